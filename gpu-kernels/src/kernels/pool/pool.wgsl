fn run_element(i: u32) {
  if (i >= p.len) { return; }
  let ox = i % p.out[2];
  let oy = (i / p.out[2]) % p.out[1];
  let oz = (i / (p.out[2] * p.out[1])) % p.out[0];
  let plane = i / (p.out[2] * p.out[1] * p.out[0]);
  let base = plane * p.size[0] * p.size[1] * p.size[2];

  var best = T(0);
  var index = 0u;
  // Summed in blocks: one long sum of a large window would lose its last digits.
  var sum = T(0);
  var block = T(0);
  var seen = 0u;
  var padded = 0u;
  for (var kz = 0u; kz < p.kernel[0]; kz++) {
    let pz = oz * p.stride[0] + kz * p.dilation[0];
    for (var ky = 0u; ky < p.kernel[1]; ky++) {
      let py = oy * p.stride[1] + ky * p.dilation[1];
      for (var kx = 0u; kx < p.kernel[2]; kx++) {
        let px = ox * p.stride[2] + kx * p.dilation[2];
        if (pz < p.size[0] + p.pad[0] + p.pad_after[0]
          && py < p.size[1] + p.pad[1] + p.pad_after[1]
          && px < p.size[2] + p.pad[2] + p.pad_after[2]) { padded += 1u; }
        // A coordinate in the padding wraps to a huge number and fails the comparison.
        let iz = pz - p.pad[0];
        let iy = py - p.pad[1];
        let ix = px - p.pad[2];
        if (iz < p.size[0] && iy < p.size[1] && ix < p.size[2]) {
          let value = x[base + (iz * p.size[1] + iy) * p.size[2] + ix];
          if (seen == 0u || (!value_is_nan(best) && (value_is_nan(value) || value > best))) {
            best = value;
            index = base + select((iz * p.size[1] + iy) * p.size[2] + ix, (ix * p.size[1] + iy) * p.size[0] + iz, p.by_columns != 0u);
          }
          block += value;
          seen += 1u;
          if (seen % 64u == 0u) { sum += block; block = T(0); }
        }
      }
    }
  }
  let total = sum + block;
  out[i] = RESULT;
}
