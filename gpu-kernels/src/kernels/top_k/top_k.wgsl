// Whether a comes before b; NaN counts as the largest.
fn before(a: T, b: T) -> bool {
  if (value_is_nan(a) || value_is_nan(b)) { return value_is_nan(a) != value_is_nan(b) && (value_is_nan(a) == (p.largest != 0u)); }
  return select((a < b), (a > b), p.largest != 0u);
}

fn run_element(i: u32) {
  if (i >= p.len) { return; }
  let n = i % p.inner;
  let along = (i / p.inner) % p.axis;
  let outer = i / (p.inner * p.axis);
  let base = outer * p.axis * p.inner + n;
  let own = x[i];
  var rank = 0u;
  for (var j = 0u; j < p.axis; j++) {
    let other = x[base + j * p.inner];
    if (before(other, own) || (j < along && !before(own, other))) { rank += 1u; }
  }
  if (rank < p.k) { out[(outer * p.k + rank) * p.inner + n] = i32(along); }
}
