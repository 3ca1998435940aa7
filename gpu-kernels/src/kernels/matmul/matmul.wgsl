var<workgroup> tile_a: array<T, TILE_AREA>;
var<workgroup> tile_b: array<T, TILE_AREA>;

fn run_workgroup(unit: u32, lane: u32) {
  let tiles_n = (p.n + TILE - 1u) / TILE;
  let tiles_m = (p.m + TILE - 1u) / TILE;
  let col0 = (unit % tiles_n) * TILE;
  let row0 = ((unit / tiles_n) % tiles_m) * TILE;
  let batch = unit / (tiles_n * tiles_m);
  let a_base = p.a_offset + (batch / p.inner) * p.a_outer + (batch % p.inner) * p.a_batch;
  let b_base = p.b_offset + (batch / p.inner) * p.b_outer + (batch % p.inner) * p.b_batch;
  let lane_row = (lane / 8u) * 4u;
  let lane_col = (lane % 8u) * 4u;

  var sums: array<vec4<T>, 4>;
  for (var k0 = 0u; k0 < p.k; k0 += DEPTH) {
    for (var i = lane; i < TILE_AREA; i += GROUP) {
      // A is kept transposed, so that the inner loop reads both tiles along a row.
      let row = row0 + i % TILE;
      let ka = k0 + i / TILE;
      tile_a[i] = T(0);
      if (row < p.m && ka < p.k) { tile_a[i] = a[a_base + row * p.a_row + ka * p.a_col]; }
      let col = col0 + i % TILE;
      tile_b[i] = T(0);
      if (col < p.n && ka < p.k) { tile_b[i] = b_at(b_base + ka * p.b_row + col * p.b_col); }
    }
    workgroupBarrier();
    let depth = min(DEPTH, p.k - k0);
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
    if (row >= p.m) { break; }
    for (var s = 0u; s < 4u; s++) {
      let col = col0 + lane_col + s;
      if (col >= p.n) { break; }
      out[(batch * p.m + row) * p.n + col] = finish(sums[r][s], row, col);
    }
  }
}
