fn run_element(i: u32) {
  if (i >= p.len) { return; }
  let first = offsets(i);
  var data_at = first.data;
  for (var d = 0u; d < p.depth; d++) {
    let size = i32(p.sizes[d]);
    var index = indices[first.indices + i32(d) * p.index_stride];
    if (index < 0) { index += size; }
    data_at += clamp(index, 0, size - 1) * p.steps[d];
  }
  out[i] = data[data_at];
}
