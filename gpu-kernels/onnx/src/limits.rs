//! Bounds that refusals name, or that several parts keep to.

/// Oldest operator set whose definitions of our operators were read.
pub const OPSET_MIN: i64 = 7;
/// Newest operator set whose definitions of our operators were read.
pub const OPSET_MAX: i64 = 28;
/// Most values of one tensor: indices stay well inside a shader's i32.
pub(crate) const VALUES_MAX: usize = 1 << 31;
/// Most kernel calls of a plan.
pub(crate) const STEPS_MAX: usize = 20_000;
/// Nodes of bodies that one plan may unroll.
pub(crate) const UNROLLED_MAX: usize = 50_000;
