//! What is decided of a task by its program.

use wire::CheckedBy;

pub trait TaskRules {
    /// Who redoes tiles of so much work.
    fn checked_by(&self, tile_flops: u64, has_checkers: bool) -> CheckedBy;
    /// Devices run the customer's own kernels for it.
    fn needs_kernels(&self) -> bool;
}
