struct Params { start: u32, units: u32, axis: u32, centred: u32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

var<workgroup> partial: array<f32, GROUP>;

// The sum over all lanes.
fn together(lane: u32, own: f32) -> f32 {
  partial[lane] = own;
  workgroupBarrier();
  for (var half = GROUP / 2u; half > 0u; half /= 2u) {
    if (lane < half) { partial[lane] += partial[lane + half]; }
    workgroupBarrier();
  }
  let total = partial[0];
  workgroupBarrier();
  return total;
}

@compute @workgroup_size(GROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = unit_of(p.start, group, groups);
  if (unit >= p.start + p.units) { return; }
  let base = unit * p.axis;
  let count = f32(p.axis);

  var sum = 0.0;
  if (p.centred != 0u) {
    for (var i = lane; i < p.axis; i += GROUP) { sum += x[base + i]; }
  }
  let mean = together(lane, sum) / count;
  var square = 0.0;
  for (var i = lane; i < p.axis; i += GROUP) {
    let v = x[base + i] - mean;
    square += v * v;
  }
  let scale = 1.0 / sqrt(together(lane, square) / count + p.epsilon);
  for (var i = lane; i < p.axis; i += GROUP) { out[base + i] = (x[base + i] - mean) * scale; }
}
