//! Devices that compute again what others did are paid for it once it is clear that they were right, whomever that
//! helps. An operator's checker is not.

use rules::Job;
use rules::billing::judge::{Question, payable};
use rules::billing::transfer;
use rules::scheduling::recheck_request::Answerer;
use wire::{DeviceId, Nonce};

use super::lease_output::LeaseOutput;
use crate::app::App;
use crate::random;
use crate::retry::retry;

/// `asked` of the `drawn` tiles of a lease were computed again by `by`.
pub async fn pay_for_check(app: &App, output: &LeaseOutput, by: Answerer, asked: u64, drawn: u64) {
    let tile_flops = output.job.tile_flops();
    let flops = |tiles: u64| tile_flops.saturating_mul(tiles);
    let question =
        Question::Check { flops: flops(asked), drawn_flops: flops(drawn), lease_flops: flops(output.lease.tiles) };
    if let Answerer::Peer { device, .. } = by {
        pay(app, &output.job, device, question).await;
    }
}

/// A device computed a tile of the job over which others disagree.
pub async fn pay_for_dispute(app: &App, job: &Job, device: DeviceId) {
    pay(app, job, device, Question::Dispute { flops: job.tile_flops() }).await;
}

/// No check fails for it: what cannot be paid is said in the log.
async fn pay(app: &App, job: &Job, device: DeviceId, question: Question) {
    if let Err(error) = try_pay(app, job, device, question).await {
        tracing::error!(error = format!("{error:#}"), job = %job.id, %device, "a judge could not be paid");
    }
}

async fn try_pay(app: &App, job: &Job, device: DeviceId, question: Question) -> anyhow::Result<()> {
    let worth = question.worth(job.price, app.config.fee_bps)?;
    if worth == 0 {
        return Ok(());
    }
    // One for all attempts, so that none of them pays a second time.
    let reference = Nonce(random::bytes()).to_string();
    retry(async || {
        let now = app.clock.now();
        let mut tx = app.db.begin_write().await?;
        let Some((account, owed)) = store::devices::add_owed(&mut tx, device, worth).await? else { return Ok(()) };
        let (paid, rest) = payable(owed)?;
        if paid > wire::Credits::ZERO {
            store::devices::set_owed(&mut tx, device, rest).await?;
            let transfer = transfer::judge(app.fees, account, (job.id, device), paid, reference.clone(), now)?;
            store::ledger::post(&mut tx, &[transfer]).await?;
        }
        Ok::<(), anyhow::Error>(tx.commit().await?)
    })
    .await
}
