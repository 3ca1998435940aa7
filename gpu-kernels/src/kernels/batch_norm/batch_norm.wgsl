struct Params { start: u32, units: u32, len: u32, channels: u32, inner: u32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> mean: array<f32>;
@group(0) @binding(5) var<storage, read> variance: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(GROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = unit_of(p.start, group, groups);
  let i = unit * GROUP + lane;
  if (unit >= p.start + p.units || i >= p.len) { return; }
  let c = (i / p.inner) % p.channels;
  out[i] = (x[i] - mean[c]) / sqrt(variance[c] + p.epsilon) * scale[c] + bias[c];
}
