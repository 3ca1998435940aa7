// The image's value at tap `k` of the window of one output; 0 in the padding.
fn value_at_tap(base: u32, k: u32, oz: u32, oy: u32, ox: u32) -> T {
  let kx = k % p.kernel[2];
  let ky = (k / p.kernel[2]) % p.kernel[1];
  let kz = (k / (p.kernel[2] * p.kernel[1])) % p.kernel[0];
  let channel = k / (p.kernel[2] * p.kernel[1] * p.kernel[0]);
  // A coordinate in the padding wraps to a huge number and fails the comparison.
  let iz = oz * p.stride[0] + kz * p.dilation[0] - p.pad[0];
  let iy = oy * p.stride[1] + ky * p.dilation[1] - p.pad[1];
  let ix = ox * p.stride[2] + kx * p.dilation[2] - p.pad[2];
  if (iz >= p.size[0] || iy >= p.size[1] || ix >= p.size[2]) { return T(0); }
  return x[base + ((channel * p.size[0] + iz) * p.size[1] + iy) * p.size[2] + ix];
}

var<workgroup> tile_a: array<T, TILE_AREA>;
var<workgroup> tile_b: array<T, TILE_AREA>;

fn run_workgroup(unit: u32, lane: u32) {
  let plane = p.out[0] * p.out[1] * p.out[2];
  let depth_all = p.channels * p.kernel[0] * p.kernel[1] * p.kernel[2];
  let tiles_n = (plane + TILE - 1u) / TILE;
  let tiles_m = (p.filters + TILE - 1u) / TILE;
  let col0 = (unit % tiles_n) * TILE;
  let row0 = ((unit / tiles_n) % tiles_m) * TILE;
  // One group of one image.
  let part = unit / (tiles_n * tiles_m);
  let x_base = part * p.channels * p.size[0] * p.size[1] * p.size[2];
  let w_base = (part % p.groups) * p.filters * depth_all;
  let lane_row = (lane / 8u) * 4u;
  let lane_col = (lane % 8u) * 4u;
  // A lane always loads the same column of the right tile.
  let col = col0 + lane % TILE;
  let ox = col % p.out[2];
  let oy = (col / p.out[2]) % p.out[1];
  let oz = col / (p.out[2] * p.out[1]);

  var sums: array<vec4<T>, 4>;
  for (var k0 = 0u; k0 < depth_all; k0 += DEPTH) {
    for (var i = lane; i < TILE_AREA; i += GROUP) {
      let row = row0 + i / DEPTH;
      let ka = k0 + i % DEPTH;
      var left = T(0);
      if (row < p.filters && ka < depth_all) { left = weight_at(w_base + row * depth_all + ka); }
      tile_a[(i % DEPTH) * TILE + i / DEPTH] = left;
      let kb = k0 + i / TILE;
      var right = T(0);
      if (col < plane && kb < depth_all) { right = value_at_tap(x_base, kb, oz, oy, ox); }
      tile_b[i] = right;
    }
    workgroupBarrier();
    let depth = min(DEPTH, depth_all - k0);
    for (var i = 0u; i < depth; i++) {
      let ra = i * TILE + lane_row;
      let rb = i * TILE + lane_col;
      let row_b = vec4<T>(tile_b[rb], tile_b[rb + 1u], tile_b[rb + 2u], tile_b[rb + 3u]);
      sums[0] += tile_a[ra] * row_b;
      sums[1] += tile_a[ra + 1u] * row_b;
      sums[2] += tile_a[ra + 2u] * row_b;
      sums[3] += tile_a[ra + 3u] * row_b;
    }
    workgroupBarrier();
  }

  for (var r = 0u; r < 4u; r++) {
    let row = row0 + lane_row + r;
    if (row >= p.filters) { break; }
    var start = T(0);
    if (p.has_bias != 0u) { start = bias[(part % p.groups) * p.filters + row]; }
    for (var s = 0u; s < 4u; s++) {
      let place = col0 + lane_col + s;
      if (place >= plane) { break; }
      out[(part * p.filters + row) * plane + place] = bound(sums[r][s] + start);
    }
  }
}
