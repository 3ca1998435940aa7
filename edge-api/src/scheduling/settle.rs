//! From a device's commit to money: the receipt stored, its output checked, its tiles settled, and
//! at the job's end the final draw.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context;
use ed25519_dalek::VerifyingKey;
use wire::{
    AccountId, Credits, DeviceId, ErrorCode, JobEventKind, JobId, JobState, LeaseId, Micros, Receipt, Signature,
    SliceId, ToDevice,
};

use super::JobFacts;
use super::core::{Lease, Settlement};
use super::store;
use super::verify::verify;
use crate::app::App;
use crate::billing::{self, Payment};
use crate::db::DbConnection;
use crate::devices::store::Done;
use crate::receipts::store::{Acceptance, StoredReceipt};
use crate::verification::recompute::{Mismatch, Work};
use crate::verification::{self, Standing};
use crate::{devices, jobs, random, receipts};

/// A device's receipts mature this many accepted leases later.
const MATURE_AFTER: i64 = 8;
/// First suspension after a failed check, in microseconds; doubled each time, up to a day.
const SUSPENSION: i64 = 60_000_000;
/// Accounts whose devices must fail one job before the job is taken to be at fault.
const ACCOUNTS_IN_DISPUTE: i64 = 3;

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
    let (lease, facts) = {
        let state = app.scheduler.lock();
        let lease = state.core.lease(receipt.lease).filter(|lease| lease.device == device).copied();
        let facts = lease.and_then(|lease| state.jobs.get(&lease.job).cloned());
        match (lease, facts) {
            (Some(lease), Some(facts)) => (lease, facts),
            _ => return Ok(Err(refuse(ErrorCode::UnknownLease, "this lease is not this device's, or has ended"))),
        }
    };
    if receipt.job != lease.job
        || receipt.first_tile != lease.first_tile
        || u64::from(receipt.tiles) != lease.tiles
        || receipt.program != facts.task.program()
    {
        return Ok(Err(refuse(ErrorCode::MalformedFrame, "the receipt is not about this lease")));
    }
    let expected = work_of(&facts, &lease).output_bytes();
    if app.blobs.size(receipt.output).await? != Some(expected) {
        return Ok(Err(refuse(ErrorCode::OutputMissing, "upload the lease's output before its receipt")));
    }
    let now = app.clock.now();
    if let Err(error) = app.scheduler.lock().core.on_commit(now, device, receipt.lease) {
        return Ok(Err(refuse(ErrorCode::ReplayedFrame, error.to_string())));
    }
    let stored = async {
        let mut tx = app.db.begin_write().await?;
        receipts::store::insert_pending_receipt(&mut tx, &receipt, signature, lease.slice, device, now).await?;
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

pub fn work_of(facts: &JobFacts, lease: &Lease) -> Work {
    let rows = facts.rows_of(lease.first_tile, lease.tiles);
    Work {
        lease: lease.id,
        tiles: u32::try_from(lease.tiles).unwrap_or(u32::MAX),
        rows: rows.end - rows.start,
        tile_rows: facts.work.tile_rows,
        task: facts.task.clone(),
    }
}

/// Checks a committed lease in the background. The server waits for it when it stops.
pub fn spawn_check(app: &App, lease: Lease, receipt: Receipt) {
    let task = app.clone();
    app.tasks.spawn(async move {
        if let Err(error) = check(&task, lease, &receipt).await {
            tracing::error!(error = format!("{error:#}"), lease = %lease.id, "a check could not be finished");
            forget_slice(&task, lease.slice);
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
    receipts::store::void_pending_receipt(&mut tx, lease).await?;
    tx.commit().await?;
    Ok(())
}

/// What the database says of this slice is not known: it is claimed anew, with its pending receipts.
pub fn forget_slice(app: &App, slice: SliceId) {
    let mut state = app.scheduler.lock();
    state.drive(|core, link| core.on_slices_lost(link, &BTreeSet::from([slice])));
    state.orphans.insert(slice);
}

async fn check(app: &App, lease: Lease, receipt: &Receipt) -> anyhow::Result<()> {
    let facts = app.scheduler.lock().jobs.get(&lease.job).cloned();
    let Some(facts) = facts else {
        return void_receipt(app, lease.id).await;
    };
    let standing = standing(app, lease.device).await?;
    // Drawn only now: the device has signed its root.
    let tiles = verification::draw(
        standing,
        receipt.tiles,
        facts.work.row_flops.saturating_mul(facts.work.tile_rows),
        random::bytes(),
    );
    match verify(app, &facts, &lease, receipt, &tiles).await? {
        Ok(()) => settle(app, &facts, &lease, receipt, tiles.len()).await,
        Err(mismatch) => reject(app, lease.device, lease.job, lease.id, mismatch).await,
    }
}

async fn standing(app: &App, device: DeviceId) -> anyhow::Result<Standing> {
    let record = devices::store::find_device(&mut *app.db.read().await?, device).await?;
    let record = record.context("a device with a receipt should be on record")?;
    Ok(Standing { passed: record.passed, age: app.clock.now() - record.created_at })
}

/// Suspends a device that was caught, for twice as long each time; returns until when.
pub async fn suspend(app: &App, device: DeviceId) -> anyhow::Result<Micros> {
    let mut tx = app.db.begin_write().await?;
    let until = suspend_in(&mut tx, device, app.clock.now()).await?;
    tx.commit().await?;
    Ok(until)
}

async fn suspend_in(conn: &mut DbConnection, device: DeviceId, now: Micros) -> anyhow::Result<Micros> {
    let failed = devices::store::count_failed(conn, device).await?;
    let doublings = u32::try_from(failed.clamp(1, 12) - 1).unwrap_or(0);
    let until = now + SUSPENSION.saturating_mul(1 << doublings).min(24 * 3_600_000_000);
    devices::store::suspend_device(conn, device, until).await?;
    Ok(until)
}

/// Settles a lease whose check passed: tiles, receipt and money in one transaction.
async fn settle(
    app: &App,
    facts: &JobFacts,
    lease: &Lease,
    receipt: &Receipt,
    recomputed: usize,
) -> anyhow::Result<()> {
    let slice_turn = app.scheduler.lock().settling(lease.slice);
    let turn = slice_turn.lock().await;
    let settlement = app.scheduler.lock().core.settlement(lease.id);
    let Some(settlement) = settlement else {
        return void_receipt(app, lease.id).await;
    };
    let Some(settled) = write_settlement(app, facts, lease, receipt, &settlement, recomputed).await? else {
        // Somebody else owns the slice by now, or the job has ended: nothing was written.
        drop(turn);
        void_receipt(app, lease.id).await?;
        forget_slice(app, lease.slice);
        return Ok(());
    };
    let remaining = settled.remaining;
    {
        let mut state = app.scheduler.lock();
        state.core.on_settled(lease.id, &settlement);
        let frame = ToDevice::Settled { lease: lease.id, tiles: receipt.tiles, earnings: settled.earnings };
        state.sockets.send(lease.device, frame);
    }
    drop(turn);
    app.scheduler.job_changed(lease.job);
    if remaining == 0 {
        close_job(app, lease.job).await?;
    }
    Ok(())
}

struct Settled {
    remaining: i64,
    earnings: wire::device::Earnings,
}

async fn write_settlement(
    app: &App,
    facts: &JobFacts,
    lease: &Lease,
    receipt: &Receipt,
    settlement: &Settlement,
    recomputed: usize,
) -> anyhow::Result<Option<Settled>> {
    let now = app.clock.now();
    let cost = billing::cost_of_tiles(&facts.work, receipt.first_tile, u64::from(receipt.tiles))?;
    let fee = billing::fee(cost, app.config.fee_bps)?;
    let recomputed = u64::try_from(recomputed)?;

    let mut tx = app.db.begin_write().await?;
    if !store::settle_slice(&mut tx, settlement).await? {
        return Ok(None);
    }
    let Some(remaining) = store::take_tiles(&mut tx, lease.job, lease.tiles, recomputed, cost).await? else {
        return Ok(None);
    };
    let rows = facts.rows_of(receipt.first_tile, u64::from(receipt.tiles));
    let kflop = facts.work.row_flops.saturating_mul(rows.end - rows.start) / 1000;
    let flops_per_sec = app.scheduler.lock().core.flops_per_sec(lease.device);
    let done = Done { tiles: u64::from(receipt.tiles), kflop, earned: cost.checked_sub(fee)?, flops_per_sec };
    let sequence = devices::store::count_passed(&mut tx, lease.device, done).await?;
    if !receipts::store::accept_receipt(&mut tx, lease.id, Acceptance { kflop, cost, fee, recomputed, sequence })
        .await?
    {
        return Ok(None);
    }
    let device =
        devices::store::find_device(&mut tx, lease.device).await?.context("a settled device should be on record")?;
    anyhow::ensure!(
        billing::store::draw_hold(&mut tx, lease.job, cost).await?,
        "a running job's hold should cover its tiles"
    );
    let payment = Payment {
        job: lease.job,
        device: lease.device,
        customer: facts.customer,
        provider: device.account,
        fees: app.fees,
        cost,
        fee,
    };
    billing::store::post(&mut tx, &payment.settle(now)?).await?;
    if sequence % MATURE_AFTER == 0 {
        let matured =
            receipts::store::mature_receipts_of_device(&mut tx, lease.device, sequence - MATURE_AFTER).await?;
        pay_matured(&mut tx, app, matured).await?;
    }
    if lease.tiles + crate::db::uncount(remaining) == facts.work.tiles {
        jobs::store::insert_event(&mut tx, lease.job, JobEventKind::Started, None, now).await?;
    }
    let earnings = crate::accounts::store::find_account(&mut tx, device.account, app.config.development).await?;
    tx.commit().await?;
    let earnings =
        earnings.map(|account| wire::device::Earnings { available: account.available, pending: account.pending });
    Ok(Some(Settled { remaining, earnings: earnings.unwrap_or_default() }))
}

/// Moves what matured receipts earned, summed by job, device and account.
async fn pay_matured(conn: &mut DbConnection, app: &App, matured: Vec<StoredReceipt>) -> anyhow::Result<()> {
    let mut sums: BTreeMap<(AccountId, DeviceId, JobId), (Credits, Credits)> = BTreeMap::new();
    for stored in matured {
        let sum = sums.entry((stored.provider, stored.device, stored.receipt.job)).or_default();
        *sum = (sum.0.checked_add(stored.cost)?, sum.1.checked_add(stored.fee)?);
    }
    for ((provider, device, job), (cost, fee)) in sums {
        // Whoever paid has paid already: maturing moves nothing of the customer's.
        let payment = Payment { job, device, customer: provider, provider, fees: app.fees, cost, fee };
        billing::store::post(conn, &payment.mature(app.clock.now())?).await?;
    }
    Ok(())
}

/// A check failed: the lease is done again by another, and so is everything of the device's that
/// was not yet mature.
async fn reject(app: &App, device: DeviceId, job: JobId, lease: LeaseId, mismatch: Mismatch) -> anyhow::Result<()> {
    tracing::warn!(%device, %lease, %mismatch, "a check failed");
    let now = app.clock.now();
    let mut tx = app.db.begin_write().await?;
    let voided = receipts::store::void_accepted_receipts(&mut tx, device).await?;
    if !receipts::store::reject_receipt(&mut tx, lease).await? {
        return Ok(());
    }
    let slices = take_back(&mut tx, app, &voided).await?;
    let until = suspend_in(&mut tx, device, now).await?;
    jobs::store::insert_event(&mut tx, job, JobEventKind::CheckFailed, Some(device), now).await?;
    let in_dispute = devices::store::count_accounts_rejected(&mut tx, job).await? >= ACCOUNTS_IN_DISPUTE;
    let ended = in_dispute && store::end_job(&mut tx, job, JobState::Nondeterministic, now).await?;
    if ended {
        billing::store::release(&mut tx, job).await?;
        devices::store::forgive_devices_of(&mut tx, job).await?;
        jobs::store::insert_event(&mut tx, job, JobEventKind::Nondeterministic, None, now).await?;
    }
    tx.commit().await?;

    let mut state = app.scheduler.lock();
    state.drive(|core, link| {
        core.on_refused(link, now, lease);
        core.on_device_suspended(link, now, device, until);
        core.on_slices_lost(link, &slices);
        if ended {
            core.on_job_ended(link, now, job);
        }
    });
    if ended {
        state.jobs.remove(&job);
    }
    state
        .sockets
        .send(device, ToDevice::Refused { lease, code: ErrorCode::CheckFailed, message: mismatch.to_string() });
    drop(state);
    app.scheduler.wake.notify_one();
    app.scheduler.job_changed(job);
    for stored in voided {
        app.scheduler.job_changed(stored.receipt.job);
    }
    Ok(())
}

/// Undoes settlements: tiles clear, tiles owed again, money back. Returns the slices touched, which
/// nobody owns now.
async fn take_back(conn: &mut DbConnection, app: &App, voided: &[StoredReceipt]) -> anyhow::Result<BTreeSet<SliceId>> {
    let mut by_slice: BTreeMap<SliceId, Vec<&StoredReceipt>> = BTreeMap::new();
    for stored in voided {
        by_slice.entry(stored.slice).or_default().push(stored);
    }
    for (&id, receipts) in &by_slice {
        let slice = store::seize_slice(conn, id).await?;
        let mut settled =
            super::bitmap::Bitmap::from_bytes(slice.tiles, &slice.settled).context("a slice's bitmap is damaged")?;
        let mut back = 0;
        for stored in receipts {
            settled.clear(stored.receipt.first_tile - slice.first_tile, u64::from(stored.receipt.tiles));
            back += u64::from(stored.receipt.tiles);
        }
        store::write_seized_slice(conn, id, settled.to_bytes(), back).await?;
    }
    for stored in voided {
        let job = stored.receipt.job;
        store::return_tiles(conn, job, u64::from(stored.receipt.tiles), stored.cost).await?;
        billing::store::refill_hold(conn, job, stored.cost).await?;
        let record = store::find_job_record(conn, job).await?.context("a receipt's job should be on record")?;
        let payment = Payment {
            job,
            device: stored.device,
            customer: record.facts.customer,
            provider: stored.provider,
            fees: app.fees,
            cost: stored.cost,
            fee: stored.fee,
        };
        billing::store::post(conn, &payment.void(app.clock.now())?).await?;
        let earned = stored.cost.checked_sub(stored.fee)?;
        let tiles = u64::from(stored.receipt.tiles);
        devices::store::uncount_lease(conn, stored.device, tiles, stored.kflop, earned).await?;
    }
    Ok(by_slice.into_keys().collect())
}

/// The end of a job whose tiles are all settled, or that ended otherwise: the final draw over what
/// is not mature, then everything matures and the rest of the hold is released.
pub async fn close_job(app: &App, job: JobId) -> anyhow::Result<()> {
    if !app.scheduler.lock().closing.insert(job) {
        // Its final draw is under way, and may have to wait for a checker.
        return Ok(());
    }
    let closed = draw_and_close(app, job).await;
    app.scheduler.lock().closing.remove(&job);
    closed
}

async fn draw_and_close(app: &App, job: JobId) -> anyhow::Result<()> {
    let (record, accepted) = {
        let mut conn = app.db.read().await?;
        (store::find_job_record(&mut conn, job).await?, receipts::store::list_accepted_receipts(&mut conn, job).await?)
    };
    let facts = Arc::new(record.context("a job to close should be on record")?.facts);
    for stored in &accepted {
        let tile = verification::draw_one(stored.receipt.tiles, random::bytes());
        let lease = Lease::committed(stored, 0);
        if let Err(mismatch) = verify(app, &facts, &lease, &stored.receipt, &[tile]).await? {
            return reject(app, stored.device, job, stored.receipt.lease, mismatch).await;
        }
    }
    let now = app.clock.now();
    let mut tx = app.db.begin_write().await?;
    let done = store::end_job(&mut tx, job, JobState::Done, now).await?;
    let state = crate::jobs::store::find_job_state(&mut tx, job).await?;
    if !done && state == Some(JobState::Running) {
        // Tiles came back while the draw was going on.
        return Ok(());
    }
    if done {
        jobs::store::insert_event(&mut tx, job, JobEventKind::Done, None, now).await?;
    }
    let matured = receipts::store::mature_receipts_of_job(&mut tx, job).await?;
    pay_matured(&mut tx, app, matured).await?;
    billing::store::release(&mut tx, job).await?;
    tx.commit().await?;
    app.scheduler.end_job(now, job);
    app.scheduler.job_changed(job);
    Ok(())
}
