// Prepended to every kernel, after its injected constants.

const MAX_RANK: u32 = 8u;
const GROUP: u32 = 64u;

// A work unit's number: a dispatch covers `units` of them from `start`, laid out in x, then y,
// since one dimension holds 65,535 workgroups at most.
fn unit_of(start: u32, group: vec3<u32>, groups: vec3<u32>) -> u32 {
  return start + group.y * groups.x + group.x;
}

// WGSL lets a compiler assume that no NaN exists, so it is asked of the bits.
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
