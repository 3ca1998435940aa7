//! A check failed: the device's unmatured work is taken back, and done again by others.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use rules::scheduling::bitmap::Bitmap;
use rules::verification::Mismatch;
use rules::verification::standing::{ACCOUNTS_IN_DISPUTE, suspension};
use store::DbConnection;
use store::codec::uncount;
use store::job_progress::JobBalance;
use store::receipts::StoredReceipt;
use store::slices::ClaimedSlice;
use wire::{DeviceId, ErrorCode, JobEventKind, JobId, LeaseId, Micros, SliceId, ToDevice};

use super::mature;
use crate::app::App;
use crate::retry::retry;

/// Suspends a device that was caught, for twice as long each time; returns until when.
pub async fn suspend(app: &App, device: DeviceId) -> anyhow::Result<Micros> {
    let mut tx = app.db.begin_write().await?;
    let until = suspend_in(&mut tx, device, app.clock.now()).await?;
    tx.commit().await?;
    Ok(until)
}

async fn suspend_in(conn: &mut DbConnection, device: DeviceId, now: Micros) -> anyhow::Result<Micros> {
    let failed = store::devices::count_failed(conn, device).await?;
    let until = now + suspension(uncount(failed));
    store::devices::suspend_device(conn, device, until).await?;
    Ok(until)
}

/// A check failed: the lease is done again by another, and so is everything of the device's that
/// was not yet mature.
pub async fn reject(app: &App, device: DeviceId, job: JobId, lease: LeaseId, mismatch: Mismatch) -> anyhow::Result<()> {
    tracing::warn!(%device, %lease, %mismatch, "a check failed");
    let Some(Rejection { until, voided, slices, ended }) = retry(|| write_rejection(app, device, job, lease)).await?
    else {
        return Ok(());
    };
    let now = app.clock.now();
    let mut state = app.scheduler.lock();
    state.drive(|core, link| {
        core.on_refused(link, now, lease);
        core.on_device_suspended(link, now, device, until);
        core.on_slices_lost(link, &slices);
        if ended {
            core.on_job_ended(link, now, job);
        }
    });
    state.send(device, ToDevice::Refused { lease, code: ErrorCode::CheckFailed, message: mismatch.to_string() });
    drop(state);
    app.scheduler.wake.notify_one();
    app.scheduler.job_changed(job);
    for stored in voided {
        app.scheduler.job_changed(stored.receipt.job);
    }
    Ok(())
}

struct Rejection {
    until: Micros,
    voided: Vec<StoredReceipt>,
    /// Nobody owns them now.
    slices: BTreeSet<SliceId>,
    /// The job has ended, since its runs disagree.
    ended: bool,
}

/// `None` when the receipt no longer awaits a verdict.
async fn write_rejection(app: &App, device: DeviceId, job: JobId, lease: LeaseId) -> anyhow::Result<Option<Rejection>> {
    let now = app.clock.now();
    let mut tx = app.db.begin_write().await?;
    // Rows are locked in the order that `retry` names: what is accepted meanwhile waits for the device's row.
    let suspects = store::receipts::list_accepted_receipts_of_device(&mut tx, device).await?;
    let slices: BTreeSet<SliceId> = suspects.iter().map(|stored| stored.slice).collect();
    let mut seized = BTreeMap::new();
    for &id in &slices {
        seized.insert(id, store::slices::seize_slice(&mut tx, id).await?);
    }
    let mut jobs: BTreeSet<JobId> = suspects.iter().map(|stored| stored.receipt.job).collect();
    jobs.insert(job);
    store::job_progress::lock_jobs(&mut tx, &jobs).await?;
    let until = suspend_in(&mut tx, device, now).await?;
    let leases: Vec<LeaseId> = suspects.iter().map(|stored| stored.receipt.lease).collect();
    let voided = store::receipts::void_accepted_receipts(&mut tx, &leases).await?;
    if !store::receipts::reject_receipt(&mut tx, lease).await? {
        return Ok(None);
    }
    take_back(&mut tx, app, seized, &voided).await?;
    store::job_detail::insert_event(&mut tx, job, JobEventKind::CheckFailed, Some(device), now).await?;
    let in_dispute = store::devices::count_accounts_rejected(&mut tx, job).await? >= ACCOUNTS_IN_DISPUTE;
    let ended = in_dispute && store::job_progress::end_disputed_job(&mut tx, job, now).await?;
    if ended {
        store::devices::forgive_devices_of(&mut tx, job).await?;
        store::job_detail::insert_event(&mut tx, job, JobEventKind::Nondeterministic, None, now).await?;
        store::ledger::release_and_post(&mut tx, job, &[]).await?;
    }
    tx.commit().await?;
    Ok(Some(Rejection { until, voided, slices, ended }))
}

/// Undoes settlements: tiles clear, tiles owed again, money back.
async fn take_back(
    conn: &mut DbConnection,
    app: &App,
    seized: BTreeMap<SliceId, ClaimedSlice>,
    voided: &[StoredReceipt],
) -> anyhow::Result<()> {
    for (id, slice) in seized {
        let mut settled = Bitmap::from_bytes(slice.tiles, &slice.settled).context("a slice's bitmap is damaged")?;
        let mut back = 0;
        for stored in voided.iter().filter(|stored| stored.slice == id) {
            settled.clear(stored.receipt.first_tile - slice.first_tile, u64::from(stored.receipt.tiles));
            back += u64::from(stored.receipt.tiles);
        }
        store::slices::write_seized_slice(conn, id, settled.to_bytes(), back).await?;
    }
    let jobs: BTreeSet<JobId> = voided.iter().map(|stored| stored.receipt.job).collect();
    let jobs = store::jobs::load_jobs(conn, &jobs.into_iter().collect::<Vec<_>>()).await?;
    let mut transfers = Vec::with_capacity(voided.len());
    for stored in voided {
        let job =
            jobs.iter().find(|job| job.id == stored.receipt.job).context("a receipt's job should be on record")?;
        let tiles = u64::from(stored.receipt.tiles);
        let flops = job.tiles(stored.receipt.first_tile..stored.receipt.first_tile + tiles).flops();
        let JobBalance { bill, .. } = store::job_progress::return_tiles(conn, job.id, tiles).await?;
        let bill = bill.take_back(flops, job.price, stored.charge)?;
        store::job_progress::write_bill(conn, job.id, bill).await?;
        store::devices::uncount_lease(conn, stored.device, tiles, stored.kflop, stored.charge.earned()?).await?;
        transfers.push(mature::payment(app, stored).void(app.clock.now())?);
    }
    store::ledger::post(conn, &transfers).await?;
    Ok(())
}
