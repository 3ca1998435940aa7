struct Params { start: u32, units: u32, len: u32, op: u32, a: f32, b: f32 }

@group(0) @binding(0) var<storage, read> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

// Beyond ±40 the exponential would overflow or vanish next to 1; the answer is the same.
fn sigmoid(v: f32) -> f32 {
  return 1.0 / (1.0 + exp(-clamp(v, -80.0, 40.0)));
}

// WGSL's tanh may overflow to NaN for large arguments, and loses small ones.
fn tanh_safe(v: f32) -> f32 {
  if (abs(v) < 0.25) {
    let s = v * v;
    return v * (1.0 + s * (-0.333333333 + s * (0.133333333 + s * (-0.053968254 + s * 0.021869489))));
  }
  return 1.0 - 2.0 / (exp(2.0 * clamp(v, -15.0, 15.0)) + 1.0);
}

@compute @workgroup_size(GROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = unit_of(p.start, group, groups);
  let i = unit * GROUP + lane;
  if (unit >= p.start + p.units || i >= p.len) { return; }
  let v = x[i];
  if (is_nan(v)) { out[i] = v; return; }
  var value = v;
  switch (p.op) {
    case OP_RELU: { value = max(v, 0.0); }
    case OP_LEAKY_RELU: { value = select(v * p.a, v, v >= 0.0); }
    case OP_SIGMOID: { value = sigmoid(v); }
    case OP_TANH: { value = tanh_safe(v); }
    case OP_CLIP: { value = min(max(v, p.a), p.b); }
    default: {}
  }
  out[i] = value;
}
