//! A lease's output against its receipt, and drawn tiles of it against what others compute.

use std::sync::Arc;

use bytes::Bytes;
use rules::Job;
use rules::scheduling::lease::Lease;
use rules::verification::Mismatch;
use rules::verification::dispute::Outcome;
use wire::number::to;
use wire::{CheckedBy, Receipt};

use super::dispute::{self, Resolution};
use super::lease_output::LeaseOutput;
use super::observed;
use super::recheck::GivenUp;
use super::undone;
use super::verified::Verified;
use crate::app::App;
use crate::programs::{self, Checked};

/// What came of a check.
#[derive(Clone, Debug)]
pub enum Judgement {
    Stands(Verified),
    /// The device was wrong.
    Falls(Mismatch),
    /// What was uploaded is damaged where it is kept: nobody is to blame.
    Damaged,
    /// Whoever was asked to compute its tiles again gave them back.
    Unanswered(GivenUp),
}

impl Judgement {
    fn name(&self) -> &'static str {
        match self {
            Self::Stands(_) => "passed",
            Self::Falls(_) => "failed",
            Self::Damaged => "damaged",
            Self::Unanswered(_) => "unanswered",
        }
    }
}

/// `tiles` were drawn after the device had signed; they count from the lease's first. `at_hand`: the output that the receipt
/// names, where it need not be read.
pub async fn check_lease(
    app: &App,
    job: &Arc<Job>,
    lease: &Lease,
    receipt: &Receipt,
    tiles: &[u32],
    at_hand: Option<Bytes>,
) -> anyhow::Result<Judgement> {
    let begun_at = app.clock.now();
    let judgement = judge_lease(app, job, lease, receipt, tiles, at_hand).await?;
    observed::checked(app, lease, begun_at, judgement.name());
    Ok(judgement)
}

async fn judge_lease(
    app: &App,
    job: &Arc<Job>,
    lease: &Lease,
    receipt: &Receipt,
    tiles: &[u32],
    at_hand: Option<Bytes>,
) -> anyhow::Result<Judgement> {
    let output = LeaseOutput { job: Arc::clone(job), lease: *lease, output: receipt.output };
    let flops_left = match output.verify(app, receipt.root, at_hand).await? {
        None => return Ok(Judgement::Damaged),
        Some(Err(mismatch)) => return Ok(Judgement::Falls(mismatch)),
        Some(Ok(flops_left)) => flops_left,
    };
    let mut irreproducible = false;
    let by = job.checked_by(app.config.has_checkers());
    let mut recomputed: u64 = to(tiles.len());
    let mut rest = tiles;
    while !rest.is_empty() {
        let found = match programs::check(app, &output, rest).await {
            Ok(Checked::Agreed(by)) => {
                return Ok(Judgement::Stands(Verified { recomputed, flops_left, irreproducible, by }));
            }
            Ok(Checked::OwnWork) => {
                let (recomputed, by) = (0, CheckedBy::Owner);
                return Ok(Judgement::Stands(Verified { recomputed, flops_left, irreproducible, by }));
            }
            Ok(Checked::Differs(found)) => found,
            Err(error) => {
                let first = rest.first().copied().unwrap_or_default();
                return unanswered(app, &output, first, error).await;
            }
        };
        let tile = found.tile;
        match dispute::resolve(app, &output, found).await? {
            Resolution::Decided(Outcome::DeviceWrong) => return Ok(Judgement::Falls(Mismatch::Values)),
            Resolution::Damaged => return Ok(Judgement::Damaged),
            Resolution::Undecidable => return Ok(Judgement::Unanswered(given_up(&output, tile))),
            Resolution::Decided(Outcome::CheckerWrong) => {}
            // It is paid, and nobody has verified it.
            Resolution::Decided(Outcome::NotReproducible) => {
                recomputed -= 1;
                irreproducible = true;
            }
        }
        rest = &rest[rest.partition_point(|drawn| *drawn <= tile)..];
    }
    // Nothing was drawn, or nothing that is left.
    Ok(Judgement::Stands(Verified { recomputed, flops_left, irreproducible, by }))
}

fn given_up(output: &LeaseOutput, tile: u32) -> GivenUp {
    GivenUp { tiles: output.tiles_of_job(&(tile..tile + 1)) }
}

/// A check that failed: since whoever was asked gave its tiles back, or since what they are computed from is damaged, which
/// ends the job. Any other error may pass.
async fn unanswered(app: &App, output: &LeaseOutput, tile: u32, error: anyhow::Error) -> anyhow::Result<Judgement> {
    let error = match error.downcast() {
        Ok(given_up) => return Ok(Judgement::Unanswered(given_up)),
        Err(error) => error,
    };
    if undone::fail_if_damaged(app, &output.job, output.lease.first_tile + u64::from(tile)).await? {
        return Ok(Judgement::Unanswered(given_up(output, tile)));
    }
    Err(error)
}
