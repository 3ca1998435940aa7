// A workgroup a result. There are at least as many values as lanes.
var<workgroup> partial: array<Found, GROUP>;

@compute @workgroup_size(GROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = unit_of(p.start, group, groups);
  if (unit >= p.start + p.units) { return; }
  let base = base_of(unit);
  var best = found_at(base, lane);
  for (var r = lane + GROUP; r < p.red_len; r += GROUP) { best = merge(best, found_at(base, r)); }
  partial[lane] = best;
  workgroupBarrier();
  for (var half = GROUP / 2u; half > 0u; half /= 2u) {
    if (lane < half) { partial[lane] = merge(partial[lane], partial[lane + half]); }
    workgroupBarrier();
  }
  if (lane == 0u) { out[unit] = result(partial[0]); }
}
