// One workgroup per result, for at least as many values as a workgroup has lanes.
var<workgroup> partial: array<Found, GROUP>;

fn run_workgroup(unit: u32, lane: u32) {
  let base = offsets(unit).view;
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
