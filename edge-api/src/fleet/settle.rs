//! From a device's commit to money: the receipt stored, its output checked, its tiles settled.

use std::sync::Arc;

use anyhow::Context;
use ed25519_dalek::VerifyingKey;
use rules::Job;
use rules::billing::transfer::Payment;
use rules::scheduling::lease::{Lease, Settlement};
use rules::verification::draw::draw;
use rules::verification::standing::{MATURE_AFTER_LEASES, Standing};
use store::devices::AcceptedWork;
use store::job_progress::JobBalance;
use store::receipts::Acceptance;
use wire::{DeviceId, ErrorCode, JobEventKind, LeaseId, Receipt, Signature, ToDevice};

use super::check::check_lease;
use super::close::close_job;
use super::mature;
use super::reject::reject;
use crate::app::App;
use crate::random;
use crate::retry::retry;

/// Why a commit was not taken; the device is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRefusal {
    pub code: ErrorCode,
    pub message: String,
}

fn refuse(code: ErrorCode, message: impl Into<String>) -> CommitRefusal {
    CommitRefusal { code, message: message.into() }
}

/// Takes a device's signed receipt and has it checked.
pub async fn commit(
    app: &App,
    device: DeviceId,
    receipt: Receipt,
    signature: Signature,
) -> anyhow::Result<Result<(), CommitRefusal>> {
    if let Err(refusal) = check_signature(device, &receipt, signature) {
        return Ok(Err(refusal));
    }
    let (lease, job) = {
        let state = app.scheduler.lock();
        let lease = state.core.lease(receipt.lease).filter(|lease| lease.device == device).copied();
        let job = lease.and_then(|lease| state.core.job(lease.job));
        match (lease, job) {
            (Some(lease), Some(job)) => (lease, job),
            _ => return Ok(Err(refuse(ErrorCode::UnknownLease, "this lease is not this device's, or has ended"))),
        }
    };
    if receipt.job != lease.job
        || receipt.first_tile != lease.first_tile
        || u64::from(receipt.tiles) != lease.tiles
        || receipt.program != job.task.program()
    {
        return Ok(Err(refuse(ErrorCode::MalformedFrame, "the receipt is not about this lease")));
    }
    let expected = job.tiles(lease.tile_range()).output_bytes();
    if app.blobs.size(receipt.output).await? != Some(expected) {
        return Ok(Err(refuse(ErrorCode::OutputMissing, "upload the lease's output before its receipt")));
    }
    let now = app.clock.now();
    if let Err(error) = app.scheduler.lock().core.on_commit(now, device, receipt.lease) {
        return Ok(Err(refuse(ErrorCode::ReplayedFrame, error.to_string())));
    }
    let stored = async {
        let mut tx = app.db.begin_write().await?;
        store::receipts::insert_pending_receipt(&mut tx, &receipt, signature, lease.slice, device, now).await?;
        tx.commit().await
    };
    if let Err(error) = stored.await {
        app.scheduler.lock().drive(|core, link| core.on_refused(link, now, lease.id));
        return Err(error).context("a receipt could not be stored");
    }
    spawn_check(app, lease, receipt);
    Ok(Ok(()))
}

fn check_signature(device: DeviceId, receipt: &Receipt, signature: Signature) -> Result<(), CommitRefusal> {
    let key = VerifyingKey::from_bytes(&device.0)
        .map_err(|_no_key| refuse(ErrorCode::InvalidSignature, "the device's id is no key"))?;
    key.verify_strict(&receipt.signing_bytes(), &ed25519_dalek::Signature::from_bytes(&signature.0))
        .map_err(|_forged| refuse(ErrorCode::InvalidSignature, "the receipt is not signed by this device's key"))
}

/// Checks a committed lease in the background. The server waits for it when it stops.
pub fn spawn_check(app: &App, lease: Lease, receipt: Receipt) {
    let task = app.clone();
    app.tasks.spawn(async move {
        if let Err(error) = check(&task, lease, &receipt).await {
            tracing::error!(error = format!("{error:#}"), lease = %lease.id, "a check could not be finished");
            task.scheduler.forget_slice(lease.slice);
        }
    });
}

/// A receipt for tiles that somebody else's receipt has settled.
pub fn spawn_void(app: &App, lease: LeaseId) {
    let task = app.clone();
    app.tasks.spawn(async move {
        if let Err(error) = void_receipt(&task, lease).await {
            tracing::error!(error = format!("{error:#}"), %lease, "a stale receipt could not be voided");
        }
    });
}

async fn void_receipt(app: &App, lease: LeaseId) -> anyhow::Result<()> {
    let mut tx = app.db.begin_write().await?;
    store::receipts::void_pending_receipt(&mut tx, lease).await?;
    tx.commit().await?;
    Ok(())
}

async fn check(app: &App, lease: Lease, receipt: &Receipt) -> anyhow::Result<()> {
    let job = app.scheduler.lock().core.job(lease.job);
    let Some(job) = job else {
        return void_receipt(app, lease.id).await;
    };
    let standing = standing(app, lease.device).await?;
    // Drawn only now: the device has signed its root.
    let tiles = draw(standing, receipt.tiles, job.tile_flops(), random::bytes());
    match check_lease(app, &job, &lease, receipt, &tiles).await? {
        Ok(()) => settle(app, &job, &lease, receipt, tiles.len()).await,
        Err(mismatch) => reject(app, lease.device, lease.job, lease.id, mismatch).await,
    }
}

async fn standing(app: &App, device: DeviceId) -> anyhow::Result<Standing> {
    let record = store::devices::find_device(&mut *app.db.read().await?, device).await?;
    let record = record.context("a device with a receipt should be on record")?;
    Ok(Standing { passed: record.passed, age: app.clock.now() - record.created_at })
}

/// Settles a lease whose check passed: tiles, receipt and money in one transaction.
async fn settle(app: &App, job: &Arc<Job>, lease: &Lease, receipt: &Receipt, recomputed: usize) -> anyhow::Result<()> {
    let slice_turn = app.scheduler.lock().settling(lease.slice);
    let turn = slice_turn.lock().await;
    let settlement = app.scheduler.lock().core.settlement(lease.id);
    let Some(settlement) = settlement else {
        return void_receipt(app, lease.id).await;
    };
    let Some(settled) = retry(|| write_settlement(app, job, lease, receipt, &settlement, recomputed)).await? else {
        // Somebody else owns the slice by now, or the job has ended: nothing was written.
        drop(turn);
        void_receipt(app, lease.id).await?;
        app.scheduler.forget_slice(lease.slice);
        return Ok(());
    };
    let remaining = settled.remaining;
    {
        let mut state = app.scheduler.lock();
        state.core.on_settled(lease.id, &settlement);
        let frame = ToDevice::Settled { lease: lease.id, tiles: receipt.tiles, earnings: settled.earnings };
        state.send(lease.device, frame);
    }
    drop(turn);
    app.scheduler.job_changed(lease.job);
    if remaining == 0 {
        close_job(app, lease.job).await?;
    }
    Ok(())
}

struct Settled {
    remaining: u64,
    earnings: wire::device::Earnings,
}

async fn write_settlement(
    app: &App,
    job: &Arc<Job>,
    lease: &Lease,
    receipt: &Receipt,
    settlement: &Settlement,
    recomputed: usize,
) -> anyhow::Result<Option<Settled>> {
    let now = app.clock.now();
    let tiles = job.tiles(lease.tile_range());
    let recomputed = u64::try_from(recomputed)?;

    let mut tx = app.db.begin_write().await?;
    if !store::slices::settle_slice(&mut tx, settlement).await? {
        return Ok(None);
    }
    let Some(JobBalance { remaining, bill }) =
        store::job_progress::take_tiles(&mut tx, lease.job, lease.tiles, recomputed).await?
    else {
        return Ok(None);
    };
    let (bill, charge) = bill.charge(tiles.flops(), job.price, app.config.fee_bps, remaining == 0)?;
    store::job_progress::write_bill(&mut tx, lease.job, bill).await?;
    let kflop = tiles.flops().div_ceil(1000);
    let flops_per_sec = app.scheduler.lock().core.flops_per_sec(lease.device);
    let work = AcceptedWork { tiles: u64::from(receipt.tiles), kflop, earned: charge.earned()?, flops_per_sec };
    let sequence = store::devices::count_passed(&mut tx, lease.device, work).await?;
    if !store::receipts::accept_receipt(&mut tx, lease.id, Acceptance { kflop, charge, recomputed, sequence }).await? {
        return Ok(None);
    }
    let device =
        store::devices::find_device(&mut tx, lease.device).await?.context("a settled device should be on record")?;
    let payment = Payment {
        lease: lease.id,
        job: lease.job,
        device: lease.device,
        customer: job.customer,
        provider: device.account,
        fees: app.fees,
        charge,
    };
    let mut transfers = vec![payment.settle(now)?];
    if sequence % MATURE_AFTER_LEASES == 0 {
        let matured =
            store::receipts::mature_receipts_of_device(&mut tx, lease.device, sequence - MATURE_AFTER_LEASES).await?;
        transfers.extend(mature::transfers(app, &matured)?);
    }
    anyhow::ensure!(store::ledger::post(&mut tx, &transfers).await?, "a running job's hold should cover its tiles");
    if lease.tiles + remaining == job.tile_count() {
        store::job_detail::insert_event(&mut tx, lease.job, JobEventKind::Started, None, now).await?;
    }
    let earnings = store::accounts::find_account(&mut tx, device.account, app.config.development).await?;
    tx.commit().await?;
    let earnings =
        earnings.map(|account| wire::device::Earnings { available: account.available, pending: account.pending });
    Ok(Some(Settled { remaining, earnings: earnings.unwrap_or_default() }))
}
