struct Params {
  start: u32, units: u32, len: u32,
  channels_in: u32, height: u32, width: u32,
  channels_out: u32, out_height: u32, out_width: u32,
  kernel_height: u32, kernel_width: u32,
  stride_y: u32, stride_x: u32,
  pad_top: u32, pad_left: u32,
  dilation_y: u32, dilation_x: u32,
  groups: u32, has_bias: u32,
}

@group(0) @binding(0) var<storage, read> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(GROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = unit_of(p.start, group, groups);
  let i = unit * GROUP + lane;
  if (unit >= p.start + p.units || i >= p.len) { return; }
  let ox = i % p.out_width;
  let oy = (i / p.out_width) % p.out_height;
  let plane = i / (p.out_width * p.out_height);
  let oc = plane % p.channels_out;
  let n = plane / p.channels_out;
  let channels = p.channels_in / p.groups;
  let first = (oc / (p.channels_out / p.groups)) * channels;

  var sum = 0.0;
  for (var ic = 0u; ic < channels; ic++) {
    let x_base = (n * p.channels_in + first + ic) * p.height * p.width;
    let w_base = (oc * channels + ic) * p.kernel_height * p.kernel_width;
    for (var ky = 0u; ky < p.kernel_height; ky++) {
      // A place in the padding wraps to a huge number and fails the bound.
      let iy = oy * p.stride_y + ky * p.dilation_y - p.pad_top;
      if (iy >= p.height) { continue; }
      for (var kx = 0u; kx < p.kernel_width; kx++) {
        let ix = ox * p.stride_x + kx * p.dilation_x - p.pad_left;
        if (ix >= p.width) { continue; }
        sum += x[x_base + iy * p.width + ix] * weight[w_base + ky * p.kernel_width + kx];
      }
    }
  }
  if (p.has_bias != 0u) { sum += bias[oc]; }
  out[i] = sum;
}
