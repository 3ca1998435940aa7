struct Params { start: u32, units: u32, lines: u32, axis: u32, inner: u32, exclusive: u32, reverse: u32 }

@group(0) @binding(0) var<storage, read> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<T>;

@compute @workgroup_size(GROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = unit_of(p.start, group, groups);
  let line = unit * GROUP + lane;
  if (unit >= p.start + p.units || line >= p.lines) { return; }
  let base = (line / p.inner) * p.axis * p.inner + line % p.inner;
  var total = FIRST;
  for (var i = 0u; i < p.axis; i++) {
    let at = base + select(i, p.axis - 1u - i, p.reverse != 0u) * p.inner;
    let before = total;
    total = combine(total, x[at]);
    out[at] = select(total, before, p.exclusive != 0u);
  }
}
