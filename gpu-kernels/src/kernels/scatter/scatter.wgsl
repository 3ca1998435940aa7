fn run_element(i: u32) {
  if (i >= p.len) { return; }
  let first = offsets(i);
  var update_at = first.updates;
  var index_at = first.indices;
  for (var s = 0u; s < p.serial; s++) {
    var out_at = first.out;
    var inside = true;
    for (var d = 0u; d < p.depth; d++) {
      let size = i32(p.sizes[d]);
      var index = indices[index_at + i32(d) * p.index_stride];
      if (index < 0) { index += size; }
      inside = inside && index >= 0 && index < size;
      out_at += index * p.steps[d];
    }
    if (inside) { out[out_at] = combine(out[out_at], updates[update_at]); }
    update_at += p.update_step;
    index_at += p.index_step;
  }
}
