// One invocation per result. `wide.wgsl` has barriers, and none may follow a return that only some take.
fn run_element(i: u32) {
  if (i >= p.len) { return; }
  let base = offsets(i).view;
  var best = found_at(base, 0u);
  for (var r = 1u; r < p.red_len; r++) { best = merge(best, found_at(base, r)); }
  out[i] = result(best);
}
