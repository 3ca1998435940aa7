//! What is decided of a task by its program.

use wire::CheckedBy;

pub trait TaskRules {
    /// Who redoes tiles of so much work.
    fn checked_by(&self, tile_flops: u64, has_checkers: bool) -> CheckedBy;
    /// The order's field that names the customer's code, which is at fault where no device can hold it.
    fn code_field(&self) -> &'static str;
    /// Devices run the customer's own kernels for it.
    fn needs_kernels(&self) -> bool;
}
