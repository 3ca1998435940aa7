//! Workgroups: the size of one, and how many a call needs.

/// Invocations of a workgroup.
pub const GROUP: u32 = 64;

/// Workgroups for `len` outputs, one output per invocation.
pub fn units_for(len: u32) -> u32 {
    len.div_ceil(GROUP)
}
