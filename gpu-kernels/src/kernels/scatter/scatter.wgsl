struct View { offset: i32, strides: array<i32, MAX_RANK> }
struct Params {
  start: u32, units: u32, len: u32, rank: u32, serial: u32, depth: u32,
  index_stride: i32, update_step: i32, index_step: i32,
  shape: array<u32, MAX_RANK>, updates: View, indices: View, out: View,
  sizes: array<u32, MAX_RANK>, steps: array<i32, MAX_RANK>,
}

@group(0) @binding(0) var<storage, read> p: Params;
@group(0) @binding(1) var<storage, read> updates: array<T>;
@group(0) @binding(2) var<storage, read> indices: array<i32>;
@group(0) @binding(3) var<storage, read_write> out: array<T>;

@compute @workgroup_size(GROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = unit_of(p.start, group, groups);
  let i = unit * GROUP + lane;
  if (unit >= p.start + p.units || i >= p.len) { return; }
  var rest = i;
  var update_at = p.updates.offset;
  var index_at = p.indices.offset;
  var base = p.out.offset;
  for (var d = p.rank; d > 0u; d--) {
    let c = i32(rest % p.shape[d - 1u]);
    rest = rest / p.shape[d - 1u];
    update_at += c * p.updates.strides[d - 1u];
    index_at += c * p.indices.strides[d - 1u];
    base += c * p.out.strides[d - 1u];
  }
  for (var s = 0u; s < p.serial; s++) {
    var at = base;
    var inside = true;
    for (var d = 0u; d < p.depth; d++) {
      let size = i32(p.sizes[d]);
      var index = indices[index_at + i32(d) * p.index_stride];
      if (index < 0) { index += size; }
      inside = inside && index >= 0 && index < size;
      at += index * p.steps[d];
    }
    if (inside) { out[at] = combine(out[at], updates[update_at]); }
    update_at += p.update_step;
    index_at += p.index_step;
  }
}
