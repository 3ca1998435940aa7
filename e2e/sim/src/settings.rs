//! What is simulated.

use crate::cheat::Kind;

/// One network over some hours.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub name: &'static str,
    pub seed: u64,
    /// GPUs, honest and not.
    pub gpus: u32,
    /// Of them, by kind; the rest is honest.
    pub cheats: Vec<(Kind, f64)>,
    pub jobs_at_once: u64,
    /// Tiles of a job are so many for each GPU.
    pub job_tiles: std::ops::Range<u64>,
    /// Virtual time.
    pub seconds: u64,
    /// Before so much of it has passed nothing counts as steady.
    pub warm_up: u64,
    /// The operator runs checkers; else devices with standing check each other's kernels.
    pub has_checkers: bool,
    /// Of GPUs, those that have been here for weeks; the others are new.
    pub established: f64,
    /// Of the checkers' answers, those that are wrong.
    pub checker_errs: f64,
    /// One customer's program answers by chance, so that honest devices differ.
    pub has_ruinous_customer: bool,
}
