var<workgroup> partial: array<f32, GROUP>;

// The sum over all lanes.
fn sum_over_lanes(lane: u32, own: f32) -> f32 {
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

fn run_workgroup(unit: u32, lane: u32) {
  let base = unit * p.axis;
  let count = f32(p.axis);

  var sum = 0.0;
  if (p.centred != 0u) {
    for (var i = lane; i < p.axis; i += GROUP) { sum += x[base + i]; }
  }
  let mean = sum_over_lanes(lane, sum) / count;
  var square = 0.0;
  for (var i = lane; i < p.axis; i += GROUP) {
    let v = x[base + i] - mean;
    square += v * v;
  }
  let scale = 1.0 / sqrt(sum_over_lanes(lane, square) / count + p.epsilon);
  for (var i = lane; i < p.axis; i += GROUP) { out[base + i] = (x[base + i] - mean) * scale; }
}
