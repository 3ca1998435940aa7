fn run_element(i: u32) {
  if (i >= p.len) { return; }
  let n = i % p.inner;
  let along = (i / p.inner) % p.axis_out;
  let base = (i / (p.inner * p.axis_out)) * p.axis_in * p.inner + n;
  var sum = 0.0;
  for (var t = along * p.taps; t < (along + 1u) * p.taps; t++) {
    let w = weights[t];
    // A tap of weight 0 reads nothing, so that no NaN comes through.
    if (w != 0.0) { sum += w * x[base + min(places[t], p.axis_in - 1u) * p.inner]; }
  }
  out[i] = sum;
}
