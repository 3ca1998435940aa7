struct Params { start: u32, units: u32, len: u32, axis: u32, inner: u32, k: u32, largest: u32 }

@group(0) @binding(0) var<storage, read> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<i32>;

// Whether a comes before b; NaN counts as the largest.
fn before(a: T, b: T) -> bool {
  if (odd(a) || odd(b)) { return odd(a) != odd(b) && (odd(a) == (p.largest != 0u)); }
  return select((a < b), (a > b), p.largest != 0u);
}

@compute @workgroup_size(GROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = unit_of(p.start, group, groups);
  let i = unit * GROUP + lane;
  if (unit >= p.start + p.units || i >= p.len) { return; }
  let n = i % p.inner;
  let along = (i / p.inner) % p.axis;
  let outer = i / (p.inner * p.axis);
  let base = outer * p.axis * p.inner + n;
  let own = x[i];
  var place = 0u;
  for (var j = 0u; j < p.axis; j++) {
    let other = x[base + j * p.inner];
    if (before(other, own) || (j < along && !before(own, other))) { place += 1u; }
  }
  if (place < p.k) { out[(outer * p.k + place) * p.inner + n] = i32(along); }
}
