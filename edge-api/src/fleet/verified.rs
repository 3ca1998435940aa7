//! A lease whose check passed.

use wire::CheckedBy;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Tiles that others computed again, to the same; none where it is its customer's own work, which is published as such.
    pub recomputed: u64,
    /// Operations that were not needed of those that the lease was lent for, and are not charged.
    pub flops_left: u64,
    /// Whether runs of one of its tiles disagree and nobody is to blame.
    pub irreproducible: bool,
    /// Who computed them again.
    pub by: CheckedBy,
}
