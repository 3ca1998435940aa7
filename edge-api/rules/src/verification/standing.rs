//! What a device has behind it, and what a failed check takes from it.

use std::collections::BTreeMap;

use wire::Micros;

/// Work that others verified, after which a device is no newcomer: a tenth of a CU, in thousands of operations. An honest
/// device is paid for it; who wants to lie later has to do it first.
pub(super) const ESTABLISHED_KFLOP: u64 = 100_000_000;
/// Age from which its word on others' work counts besides, in microseconds: a day.
pub(super) const JUDGE_AGE: Micros = 24 * 3_600_000_000;
/// First suspension after a failed check; doubled each time, up to a day.
const SUSPENSION: Micros = 60_000_000;
const SUSPENSION_MAX: Micros = 24 * 3_600_000_000;

/// What a device has behind it in one program: the value that somebody else verified, since its last failed check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Operations of its tiles that others computed again and agreed on, in thousands. Work for its own account is
    /// none of it.
    pub verified_kflop: u64,
    /// Since it was first seen, in microseconds.
    pub age: Micros,
}

impl Standing {
    /// It has shown what it computes: what is drawn and lent goes by its standing from here on.
    pub fn is_established(self) -> bool {
        self.verified_kflop >= ESTABLISHED_KFLOP
    }

    /// Its word on others' work counts.
    pub fn may_judge(self) -> bool {
        self.is_established() && self.age >= JUDGE_AGE
    }

    pub fn verified_flops(self) -> u64 {
        self.verified_kflop.saturating_mul(1000)
    }
}

/// A device's standing by program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// When the device was first seen.
    pub since: Micros,
    /// By the program's name, in thousands of operations.
    pub verified_kflop: BTreeMap<String, u64>,
}

impl Standings {
    pub fn of(&self, program: &str, now: Micros) -> Standing {
        let verified_kflop = self.verified_kflop.get(program).copied().unwrap_or(0);
        Standing { verified_kflop, age: now.saturating_sub(self.since) }
    }

    pub fn add(&mut self, program: &str, kflop: u64) {
        let verified = self.verified_kflop.entry(program.to_owned()).or_default();
        *verified = verified.saturating_add(kflop);
    }

    /// A failed check takes all of it, whichever program it was in.
    pub fn clear(&mut self) {
        self.verified_kflop.clear();
    }
}

/// What of a lease's work counts as verified by others, in thousands of operations: the tiles that they computed again.
pub fn verified_kflop(kflop: u64, tiles: u64, recomputed: u64, is_own_work: bool) -> u64 {
    if is_own_work {
        return 0;
    }
    let verified = u128::from(kflop) * u128::from(recomputed.min(tiles)) / u128::from(tiles.max(1));
    u64::try_from(verified).unwrap_or(u64::MAX)
}

/// When a lease matures: once others have verified half its value again in later work of its device, of the same
/// program. Both in thousands of operations; `verified_kflop` is the device's by now, ever.
pub fn matures_at(verified_kflop: u64, kflop: u64) -> u64 {
    verified_kflop.saturating_add(kflop.div_ceil(2))
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

    #[test]
    fn standing_is_value_that_others_verified_in_one_program() {
        let mut standings = Standings::default();
        standings.add("infer", ESTABLISHED_KFLOP);

        assert!(standings.of("infer", 0).is_established());
        assert!(standings.of("infer", JUDGE_AGE).may_judge());
        assert!(!standings.of("infer", JUDGE_AGE - 1).may_judge(), "not on the first day");
        assert!(!standings.of("map", JUDGE_AGE).is_established(), "not in another program");
        standings.clear();
        assert!(!standings.of("infer", JUDGE_AGE).is_established(), "not after a failed check");
    }

    #[test]
    fn only_tiles_that_others_recomputed_count_and_never_those_for_oneself() {
        assert_eq!(verified_kflop(1000, 10, 3, false), 300);
        assert_eq!(verified_kflop(1000, 10, 10, true), 0);
        assert_eq!(verified_kflop(u64::MAX, 1, 1, false), u64::MAX);
    }

    #[test]
    fn trivial_work_matures_nothing_of_value() {
        let big = matures_at(0, 1_000_000);
        let after_sixteen_small = (0..16).fold(0, |verified, _| verified + verified_kflop(10, 1, 1, false));

        assert!(after_sixteen_small < big);
    }
}
