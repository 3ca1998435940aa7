// An invocation a result. Apart from `wide.wgsl`, since no barrier may follow a return that only some take.
@compute @workgroup_size(GROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = unit_of(p.start, group, groups);
  let i = unit * GROUP + lane;
  if (unit >= p.start + p.units || i >= p.len) { return; }
  let base = base_of(i);
  var best = found_at(base, 0u);
  for (var r = 1u; r < p.red_len; r++) { best = merge(best, found_at(base, r)); }
  out[i] = result(best);
}
