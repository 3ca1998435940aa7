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
var<workgroup> places: array<u32, GROUP>;

@compute @workgroup_size(GROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = unit_of(p.start, group, groups);
  if (unit >= p.start + p.units) { return; }
  let i = select(unit * GROUP + lane, unit, LANES == 64u);
  if (LANES == 1u && i >= p.len) { return; }
  let base = base_of(i);
  let first = select(0u, lane, LANES == 64u);
  var best = value_at(base, first);
  var place = first;
  for (var r = first + LANES; r < p.red_len; r += LANES) {
    let v = value_at(base, r);
    if (takes(best, place, v, r)) { best = v; place = r; }
  }
  if (LANES == 1u) { out[i] = result(best, place); return; }
  partial[lane] = best;
  places[lane] = place;
  workgroupBarrier();
  for (var half = GROUP / 2u; half > 0u; half /= 2u) {
    if (lane < half && takes(partial[lane], places[lane], partial[lane + half], places[lane + half])) {
      partial[lane] = partial[lane + half];
      places[lane] = places[lane + half];
    }
    workgroupBarrier();
  }
  if (lane == 0u) { out[i] = result(partial[0], places[0]); }
}
