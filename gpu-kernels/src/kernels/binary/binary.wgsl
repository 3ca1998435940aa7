struct Params {
  start: u32, units: u32, len: u32, op: u32, rank: u32,
  shape: array<u32, MAX_RANK>,
  a_strides: array<u32, MAX_RANK>,
  b_strides: array<u32, MAX_RANK>,
}

@group(0) @binding(0) var<storage, read> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(GROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = unit_of(p.start, group, groups);
  let i = unit * GROUP + lane;
  if (unit >= p.start + p.units || i >= p.len) { return; }
  var rest = i;
  var at_a = 0u;
  var at_b = 0u;
  for (var d = p.rank; d > 0u; d--) {
    let place = rest % p.shape[d - 1u];
    rest = rest / p.shape[d - 1u];
    at_a += place * p.a_strides[d - 1u];
    at_b += place * p.b_strides[d - 1u];
  }
  let left = a[at_a];
  let right = b[at_b];
  var value = left + right;
  if (p.op == OP_SUB) { value = left - right; }
  if (p.op == OP_MUL) { value = left * right; }
  if (p.op == OP_DIV) { value = left / right; }
  out[i] = value;
}
