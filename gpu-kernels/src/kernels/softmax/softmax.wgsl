var<workgroup> partial: array<f32, GROUP>;

fn run_workgroup(unit: u32, lane: u32) {
  let base = (unit / p.inner) * p.axis * p.inner + unit % p.inner;

  // A lane without elements starts from the line's first one, which leaves the maximum as it is.
  var best = x[base];
  for (var i = lane; i < p.axis; i += GROUP) {
    let v = x[base + i * p.inner];
    if (is_nan(v) || (!is_nan(best) && v > best)) { best = v; }
  }
  partial[lane] = best;
  workgroupBarrier();
  for (var half = GROUP / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      let other = partial[lane + half];
      let own = partial[lane];
      if (is_nan(other) || (!is_nan(own) && other > own)) { partial[lane] = other; }
    }
    workgroupBarrier();
  }
  let top = partial[0];
  workgroupBarrier();

  var sum = 0.0;
  for (var i = lane; i < p.axis; i += GROUP) {
    let shifted = x[base + i * p.inner] - top;
    let e = exp(shifted);
    out[base + i * p.inner] = select(e, shifted, p.log != 0u);
    sum += e;
  }
  partial[lane] = sum;
  workgroupBarrier();
  for (var half = GROUP / 2u; half > 0u; half /= 2u) {
    if (lane < half) { partial[lane] += partial[lane + half]; }
    workgroupBarrier();
  }
  let total = partial[0];
  let logarithm = log(total);
  for (var i = lane; i < p.axis; i += GROUP) {
    let v = out[base + i * p.inner];
    out[base + i * p.inner] = select(v / total, v - logarithm, p.log != 0u);
  }
}
