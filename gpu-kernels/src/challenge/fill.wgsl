// Writes a matrix of a chain: each entry follows from the matrix's key and its place.
struct Params { key: vec2<u32>, entries: u32 }
@group(0) @binding(0) var<storage, read> p: Params;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;

fn mix(value: u32) -> u32 {
  var x = value;
  x ^= x >> 16u;
  x *= 0x7feb352du;
  x ^= x >> 15u;
  x *= 0x846ca68bu;
  return x ^ (x >> 16u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * 1024u + lane;
  for (var i = 0u; i < 16u; i++) {
    let at = first + i * 64u;
    if (at < p.entries) { out[at] = mix(mix(at ^ p.key.x) + p.key.y); }
  }
}
