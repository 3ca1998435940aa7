//! A lease's output against its receipt, and drawn tiles of it against what others compute.

use std::sync::Arc;

use rules::Job;
use rules::scheduling::lease::Lease;
use rules::verification::Mismatch;
use rules::verification::dispute::Outcome;
use wire::Receipt;

use super::dispute::{self, Resolution};
use super::lease_output::LeaseOutput;
use crate::app::App;
use crate::programs::{self, Checked};

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    Stands {
        by: CheckedTiles,
        /// Operations that were not needed of those that the lease was lent for.
        flops_left: u64,
    },
    /// The device was wrong.
    Falls(Mismatch),
    /// What was uploaded is damaged where it is kept: nobody is to blame.
    Damaged,
}

/// Whether anybody computed the drawn tiles again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckedTiles {
    ByOthers,
    /// Its customer's own work, which is published as such.
    ByNobody,
}

/// `tiles` were drawn after the device had signed; they count from the lease's first.
pub async fn check_lease(
    app: &App,
    job: &Arc<Job>,
    lease: &Lease,
    receipt: &Receipt,
    tiles: &[u32],
) -> anyhow::Result<Judgement> {
    let output = LeaseOutput { job: Arc::clone(job), lease: *lease, output: receipt.output };
    let flops_left = match output.verify(app, receipt.root).await? {
        None => return Ok(Judgement::Damaged),
        Some(Err(mismatch)) => return Ok(Judgement::Falls(mismatch)),
        Some(Ok(flops_left)) => flops_left,
    };
    let stands = |by| Ok(Judgement::Stands { by, flops_left });
    let mut rest = tiles;
    while !rest.is_empty() {
        let found = match programs::check(app, &output, rest).await? {
            Checked::Agreed => return stands(CheckedTiles::ByOthers),
            Checked::OwnWork => return stands(CheckedTiles::ByNobody),
            Checked::Differs(found) => found,
        };
        let tile = found.tile;
        match dispute::resolve(app, &output, found).await? {
            Resolution::Decided(Outcome::DeviceWrong) => return Ok(Judgement::Falls(Mismatch::Values)),
            Resolution::Damaged => return Ok(Judgement::Damaged),
            Resolution::Decided(Outcome::CheckerWrong | Outcome::NotReproducible) => {}
        }
        rest = &rest[rest.partition_point(|drawn| *drawn <= tile)..];
    }
    // Nothing was drawn, or nothing that is left.
    stands(CheckedTiles::ByOthers)
}
