struct Params { start: u32, units: u32, len: u32, axis_in: u32, axis_out: u32, inner: u32, taps: u32 }

@group(0) @binding(0) var<storage, read> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
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
  let n = i % p.inner;
  let along = (i / p.inner) % p.axis_out;
  let base = (i / (p.inner * p.axis_out)) * p.axis_in * p.inner + n;
  var sum = 0.0;
  for (var t = along * p.taps; t < (along + 1u) * p.taps; t++) {
    let w = weights[t];
    // A tap of weight 0 reads nothing, so that it hands no NaN on.
    if (w != 0.0) { sum += w * x[base + min(places[t], p.axis_in - 1u) * p.inner]; }
  }
  out[i] = sum;
}
