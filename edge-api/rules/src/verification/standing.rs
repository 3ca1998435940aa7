//! What a device has behind it, and what a failed check takes from it.

use wire::Micros;

/// Accepted leases after which a device has shown that it computes what it is asked to.
const LEASES_OF_STANDING: u64 = 64;
/// Its age by then, in microseconds: a day.
pub(super) const AGE_OF_STANDING: Micros = 24 * 3_600_000_000;
/// First suspension after a failed check; doubled each time, up to a day.
const SUSPENSION: Micros = 60_000_000;
const SUSPENSION_MAX: Micros = 24 * 3_600_000_000;
/// A device's receipts mature this many accepted leases later.
pub const MATURE_AFTER_LEASES: i64 = 8;

/// What a device has behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Accepted leases since its last failed check.
    pub passed: u64,
    /// Since it was first seen, in microseconds.
    pub age: i64,
}

impl Standing {
    pub fn is_established(self) -> bool {
        self.passed >= LEASES_OF_STANDING && self.age >= AGE_OF_STANDING
    }
}

/// How long a device is suspended whose checks have failed so often.
pub fn suspension(failed: u64) -> Micros {
    let doublings = failed.clamp(1, 12) - 1;
    SUSPENSION.saturating_mul(1 << doublings).min(SUSPENSION_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failed_check_suspends_for_twice_as_long_up_to_a_day() {
        let minutes = |failed| suspension(failed) / 60_000_000;

        assert_eq!([0, 1, 2, 3, 11, 12, 99].map(minutes), [1, 1, 2, 4, 1024, 1440, 1440]);
    }
}
