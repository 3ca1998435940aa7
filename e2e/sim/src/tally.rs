//! What is counted over a run.

use wire::Micros;

use crate::books::Receipt;

#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub settled_flops: u64,
    pub recomputed_flops: u64,
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
}

impl Tally {
    pub(crate) fn note_paid(&mut self, receipt: &Receipt, is_random: bool) {
        self.paid_tiles += u64::from(receipt.tiles);
        if !is_random {
            self.paid_wrong += f64::from(receipt.tiles) * receipt.run.wrong_share;
        }
    }

    pub(crate) fn note_job(&mut self, took: Micros) {
        self.jobs += 1;
        self.job_time += took;
    }
}
