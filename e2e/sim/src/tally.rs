//! What is counted over a run.

use wire::Micros;

use crate::books::Receipt;

#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub events: u64,
    pub leases: u64,
    pub settled_kflop: u64,
    pub recomputed_kflop: Recomputed,
    pub paid_tiles: u64,
    /// Of those, wrong ones.
    pub paid_wrong: f64,
    pub disputes: u64,
    pub rejected: u64,
    pub checkers_wrong: u64,
    pub not_reproducible: u64,
    /// Honest devices that were suspended.
    pub honest_harmed: u64,
    pub jobs: u64,
    pub job_time: Micros,
    /// What those jobs' work takes all GPUs that were online at their end.
    pub job_time_ideal: f64,
    /// Jobs that ended since two devices vouched for a fault that was none.
    pub ended_by_false_faults: u64,
    /// Jobs that ended since their tiles could not be reproduced.
    pub nondeterministic: u64,
    /// Time that honest GPUs were online, and at work.
    pub online: Micros,
    pub busy: Micros,
}

/// Tiles that were computed again, by why: in thousands of operations.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recomputed {
    /// Of newcomers.
    pub newcomers: u64,
    pub commits: u64,
    pub finals: u64,
    /// Of devices that were caught, and in disputes.
    pub disputes: u64,
}

impl Recomputed {
    pub(crate) fn sum(self) -> u64 {
        self.newcomers + self.commits + self.finals + self.disputes
    }
}

impl Tally {
    pub(crate) fn note_paid(&mut self, receipt: &Receipt, is_random: bool) {
        self.paid_tiles += u64::from(receipt.tiles);
        if !is_random {
            self.paid_wrong += f64::from(receipt.tiles) * receipt.run.wrong_share;
        }
    }
}
