//! Devices that compute again what others did are paid for it once it is clear that they were right, whomever that
//! helps. An operator's checker is not. What counts is what the computing really took, by what they themselves note of it.

use rules::Job;
use rules::billing::judge::{Question, payable};
use rules::billing::transfer;
use rules::scheduling::lease::Lease;
use rules::scheduling::recheck_request::Answerer;
use wire::{Credits, DeviceId, Nonce};

use crate::app::App;
use crate::random;
use crate::retry::retry;

/// Tiles of a lease, side by side, that somebody computed again at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recomputed {
    /// The first of them, counted over the job.
    pub tile: u64,
    pub tiles: u64,
    /// What they took.
    pub flops: u64,
    /// Tiles of the lease that are drawn in all.
    pub drawn: u64,
}

/// Drawn tiles of a lease were computed again by `by`.
pub async fn pay_for_check(app: &App, job: &Job, lease: &Lease, by: Answerer, done: Recomputed) {
    let Recomputed { tile, tiles, flops, drawn } = done;
    if let Answerer::Peer { device, .. } = by {
        pay(app, job, lease, (device, tile), Question::Check { flops, tiles, drawn, lease_tiles: lease.tiles }).await;
    }
}

/// A device computed a tile of a lease over which others disagree.
pub async fn pay_for_dispute(app: &App, job: &Job, lease: &Lease, (device, tile): (DeviceId, u64), flops: u64) {
    pay(app, job, lease, (device, tile), Question::Dispute { flops }).await;
}

/// No check fails for it: what cannot be paid is said in the log.
async fn pay(app: &App, job: &Job, lease: &Lease, answer: (DeviceId, u64), question: Question) {
    if let Err(error) = try_pay(app, job, lease, answer, question).await {
        tracing::error!(error = format!("{error:#}"), lease = %lease.id, device = %answer.0, "a judge could not be paid");
    }
}

async fn try_pay(
    app: &App,
    job: &Job,
    lease: &Lease,
    (device, tile): (DeviceId, u64),
    question: Question,
) -> anyhow::Result<()> {
    // One for all attempts, so that none of them pays a second time.
    let reference = Nonce(random::bytes()).to_string();
    retry(async || {
        let now = app.clock.now();
        let mut tx = app.db.begin_write().await?;
        let paid = store::devices::sum_judged(&mut tx, lease.id).await?;
        let worth = question.worth(job.price, app.config.fee_bps, paid)?;
        if worth == 0 || !store::devices::insert_judge_answer(&mut tx, (lease.id, tile), device, worth, now).await? {
            return Ok(());
        }
        let Some((account, owed)) = store::devices::add_owed(&mut tx, device, worth).await? else { return Ok(()) };
        let (paid, rest) = payable(owed)?;
        if paid > Credits::ZERO {
            store::devices::set_owed(&mut tx, device, rest).await?;
            let transfer = transfer::judge(app.fees, account, (job.id, device), paid, reference.clone(), now)?;
            store::ledger::post(&mut tx, &[transfer]).await?;
        }
        Ok::<(), anyhow::Error>(tx.commit().await?)
    })
    .await
}
