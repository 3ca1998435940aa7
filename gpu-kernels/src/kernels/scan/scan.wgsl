fn run_element(line: u32) {
  if (line >= p.lines) { return; }
  let base = (line / p.inner) * p.axis * p.inner + line % p.inner;
  var total = FIRST;
  for (var i = 0u; i < p.axis; i++) {
    let at = base + select(i, p.axis - 1u - i, p.reverse != 0u) * p.inner;
    let before = total;
    total = combine(total, x[at]);
    out[at] = select(total, before, p.exclusive != 0u);
  }
}
