struct View { offset: i32, strides: array<i32, MAX_RANK> }
struct Params {
  start: u32, units: u32, len: u32, rank: u32, red_rank: u32, red_len: u32,
  shape: array<u32, MAX_RANK>, red_shape: array<u32, MAX_RANK>,
  view: View, red_strides: array<i32, MAX_RANK>,
}

@group(0) @binding(0) var<storage, read> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<Result>;

fn base_of(index: u32) -> i32 {
  var rest = index;
  var at = p.view.offset;
  for (var d = p.rank; d > 0u; d--) {
    at += i32(rest % p.shape[d - 1u]) * p.view.strides[d - 1u];
    rest = rest / p.shape[d - 1u];
  }
  return at;
}

fn value_at(base: i32, index: u32) -> T {
  if (p.red_rank == 1u) { return x[base + i32(index) * p.red_strides[0]]; }
  var rest = index;
  var at = base;
  for (var d = p.red_rank; d > 0u; d--) {
    at += i32(rest % p.red_shape[d - 1u]) * p.red_strides[d - 1u];
    rest = rest / p.red_shape[d - 1u];
  }
  return x[at];
}

var<workgroup> partial: array<T, GROUP>;

@compute @workgroup_size(GROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = unit_of(p.start, group, groups);
  if (unit >= p.start + p.units) { return; }
  if (LANES == 1u) {
    let i = unit * GROUP + lane;
    if (i >= p.len) { return; }
    let base = base_of(i);
    var total = lift(value_at(base, 0u));
    for (var r = 1u; r < p.red_len; r++) { total = combine(total, lift(value_at(base, r))); }
    out[i] = result(total, 0u);
    return;
  }
  // A wide reduction has at least as many values as lanes.
  let base = base_of(unit);
  var total = lift(value_at(base, lane));
  for (var r = lane + GROUP; r < p.red_len; r += GROUP) { total = combine(total, lift(value_at(base, r))); }
  partial[lane] = total;
  workgroupBarrier();
  for (var half = GROUP / 2u; half > 0u; half /= 2u) {
    if (lane < half) { partial[lane] = combine(partial[lane], partial[lane + half]); }
    workgroupBarrier();
  }
  if (lane == 0u) { out[unit] = result(partial[0], 0u); }
}
