//! How work is cut into workgroups.

/// Invocations of a workgroup.
pub const GROUP: u32 = 64;

/// Workgroups for `len` outputs, one an invocation.
pub fn units_for(len: u32) -> u32 {
    len.div_ceil(GROUP)
}
