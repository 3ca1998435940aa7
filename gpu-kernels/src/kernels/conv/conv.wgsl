fn run_element(i: u32) {
  let plane = p.out[0] * p.out[1] * p.out[2];
  let filters = p.groups * p.filters;
  if (i >= p.n * filters * plane) { return; }
  let ox = i % p.out[2];
  let oy = (i / p.out[2]) % p.out[1];
  let oz = (i / (p.out[2] * p.out[1])) % p.out[0];
  let filter_at = (i / plane) % filters;
  let part = (i / (plane * filters)) * p.groups + filter_at / p.filters;
  let volume = p.size[0] * p.size[1] * p.size[2];
  let taps = p.kernel[0] * p.kernel[1] * p.kernel[2];

  var sum = T(0);
  for (var channel = 0u; channel < p.channels; channel++) {
    let x_base = (part * p.channels + channel) * volume;
    let w_base = (filter_at * p.channels + channel) * taps;
    var tap = 0u;
    for (var kz = 0u; kz < p.kernel[0]; kz++) {
      let iz = oz * p.stride[0] + kz * p.dilation[0] - p.pad[0];
      for (var ky = 0u; ky < p.kernel[1]; ky++) {
        let iy = oy * p.stride[1] + ky * p.dilation[1] - p.pad[1];
        for (var kx = 0u; kx < p.kernel[2]; kx++) {
          let ix = ox * p.stride[2] + kx * p.dilation[2] - p.pad[2];
          if (iz < p.size[0] && iy < p.size[1] && ix < p.size[2]) {
            sum += x[x_base + (iz * p.size[1] + iy) * p.size[2] + ix] * weight_at(w_base + tap);
          }
          tap += 1u;
        }
      }
    }
  }
  if (p.has_bias != 0u) { sum += bias[filter_at]; }
  out[i] = bound(sum);
}
