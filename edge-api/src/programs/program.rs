//! What a program does on this server.

use std::sync::Arc;

use bytes::Bytes;
use rules::Job;
use rules::admission::Order;
use rules::scheduling::recheck_request::Answerer;
use wire::{CheckRule, CheckedBy};

use super::failure::AdmitFailure;
use crate::app::App;
use crate::fleet::judges::Recomputed;
use crate::fleet::lease_output::LeaseOutput;

/// What came of a check.
#[derive(Clone, Debug)]
pub enum Checked {
    /// These computed the tiles to the same.
    Agreed(CheckedBy),
    /// It is its customer's own work, which nobody else computed again.
    OwnWork,
    Differs(Disagreement),
}

impl Checked {
    /// By whom there was a disagreement, or none.
    pub fn of(by: CheckedBy, found: Option<Disagreement>) -> Self {
        found.map_or(Self::Agreed(by), Self::Differs)
    }
}

/// A tile that somebody else computed to another result.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// Counted from the lease's first.
    pub tile: u32,
    /// What was computed again at once, this tile among it.
    pub done: Recomputed,
    pub by: Answerer,
    /// What the other computed; nothing where it ran out of fuel.
    pub output: Option<Bytes>,
}

pub(crate) trait Program {
    /// What a customer asks for.
    type Order;
    /// What a device does with a lease's rows.
    type Task;

    /// Reads the code and the inputs that an order names, and cuts and prices the job.
    async fn admit(app: &App, order: &Order, wanted: &Self::Order) -> Result<Job, AdmitFailure>;

    /// Holds the drawn tiles of a lease's output against what others compute, up to the first that differs. `tiles`
    /// count from the lease's first.
    async fn check(app: &App, output: &LeaseOutput, task: &Self::Task, tiles: &[u32]) -> anyhow::Result<Checked>;

    /// Why whoever checks cannot compute a tile of the job; `None` where it can.
    async fn try_tile(app: &App, job: &Arc<Job>, task: &Self::Task, tile: u64) -> anyhow::Result<Option<String>>;

    /// Whether two outputs of one tile of the job are the same by the job's rule.
    async fn agree(
        app: &App,
        job: &Arc<Job>,
        task: &Self::Task,
        tile: u64,
        outputs: (&[u8], &[u8]),
    ) -> anyhow::Result<bool>;

    /// When two outputs of one tile of the job are the same.
    fn rule(job: &Job) -> CheckRule {
        CheckRule::Stated { check: job.check }
    }

    /// Whether the operations of a job are those that it takes, and no bound far above.
    fn flops_are_known(_task: &Self::Task) -> bool {
        true
    }

    /// Bytes that follow the rows of each tile in a lease's output, and are no part of the result.
    fn tile_note_bytes() -> u64 {
        0
    }

    /// How a result of so many arrays is downloaded where nobody says how.
    fn result_format(arrays: usize) -> &'static str;
}
