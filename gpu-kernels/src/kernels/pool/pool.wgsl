struct Params {
  start: u32, units: u32, len: u32,
  height: u32, width: u32, out_height: u32, out_width: u32,
  kernel_height: u32, kernel_width: u32,
  stride_y: u32, stride_x: u32,
  pad_top: u32, pad_left: u32, pad_bottom: u32, pad_right: u32,
  dilation_y: u32, dilation_x: u32,
  average: u32, count_include_pad: u32,
}

@group(0) @binding(0) var<storage, read> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

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
  let base = (i / (p.out_width * p.out_height)) * p.height * p.width;

  var best = 0.0;
  // Summed in blocks: one long sum of a large window would lose its last digits.
  var sum = 0.0;
  var block = 0.0;
  var seen = 0u;
  var padded = 0u;
  for (var ky = 0u; ky < p.kernel_height; ky++) {
    let py = oy * p.stride_y + ky * p.dilation_y;
    for (var kx = 0u; kx < p.kernel_width; kx++) {
      let px = ox * p.stride_x + kx * p.dilation_x;
      if (py < p.height + p.pad_top + p.pad_bottom && px < p.width + p.pad_left + p.pad_right) { padded += 1u; }
      // A place in the padding wraps to a huge number and fails the bound.
      let iy = py - p.pad_top;
      let ix = px - p.pad_left;
      if (iy < p.height && ix < p.width) {
        let value = x[base + iy * p.width + ix];
        if (seen == 0u || (!is_nan(best) && (is_nan(value) || value > best))) { best = value; }
        block += value;
        seen += 1u;
        if (seen % 64u == 0u) { sum += block; block = 0.0; }
      }
    }
  }
  if (p.average == 0u) { out[i] = best; return; }
  out[i] = (sum + block) / f32(max(1u, select(seen, padded, p.count_include_pad != 0u)));
}
