//! A check failed: the device's unmatured work is taken back, and done again by others.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use rules::billing::transfer::Payment;
use rules::scheduling::bitmap::Bitmap;
use rules::verification::Mismatch;
use rules::verification::standing::{ACCOUNTS_IN_DISPUTE, suspension};
use store::DbConnection;
use store::codec::uncount;
use store::receipts::StoredReceipt;
use wire::{DeviceId, ErrorCode, JobEventKind, JobId, LeaseId, Micros, SliceId, ToDevice};

use crate::app::App;

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
    let now = app.clock.now();
    let mut tx = app.db.begin_write().await?;
    let voided = store::receipts::void_accepted_receipts(&mut tx, device).await?;
    if !store::receipts::reject_receipt(&mut tx, lease).await? {
        return Ok(());
    }
    let slices = take_back(&mut tx, app, &voided).await?;
    let until = suspend_in(&mut tx, device, now).await?;
    store::job_detail::insert_event(&mut tx, job, JobEventKind::CheckFailed, Some(device), now).await?;
    let in_dispute = store::devices::count_accounts_rejected(&mut tx, job).await? >= ACCOUNTS_IN_DISPUTE;
    let ended = in_dispute && store::job_progress::end_disputed_job(&mut tx, job, now).await?;
    if ended {
        store::ledger::release(&mut tx, job).await?;
        store::devices::forgive_devices_of(&mut tx, job).await?;
        store::job_detail::insert_event(&mut tx, job, JobEventKind::Nondeterministic, None, now).await?;
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
    state.send(device, ToDevice::Refused { lease, code: ErrorCode::CheckFailed, message: mismatch.to_string() });
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
        let slice = store::slices::seize_slice(conn, id).await?;
        let mut settled = Bitmap::from_bytes(slice.tiles, &slice.settled).context("a slice's bitmap is damaged")?;
        let mut back = 0;
        for stored in receipts {
            settled.clear(stored.receipt.first_tile - slice.first_tile, u64::from(stored.receipt.tiles));
            back += u64::from(stored.receipt.tiles);
        }
        store::slices::write_seized_slice(conn, id, settled.to_bytes(), back).await?;
    }
    for stored in voided {
        let job = stored.receipt.job;
        store::job_progress::return_tiles(conn, job, u64::from(stored.receipt.tiles), stored.cost).await?;
        store::ledger::refill_hold(conn, job, stored.cost).await?;
        let payment = Payment {
            job,
            device: stored.device,
            customer: stored.customer,
            provider: stored.provider,
            fees: app.fees,
            cost: stored.cost,
            fee: stored.fee,
        };
        store::ledger::post(conn, &payment.void(app.clock.now())?).await?;
        let earned = stored.cost.checked_sub(stored.fee)?;
        let tiles = u64::from(stored.receipt.tiles);
        store::devices::uncount_lease(conn, stored.device, tiles, stored.kflop, earned).await?;
    }
    Ok(by_slice.into_keys().collect())
}
