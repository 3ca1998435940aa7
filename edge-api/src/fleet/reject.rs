//! A check failed: the lease is rejected and done again by others, and what else of its device's is not mature is drawn
//! from once more.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use anyhow::Context;
use rules::Job;
use rules::scheduling::bitmap::Bitmap;
use rules::scheduling::lease::Settlement;
use rules::verification::Mismatch;
use rules::verification::draw::draw;
use rules::verification::standing::{Standing, suspension};
use store::DbConnection;
use store::codec::uncount;
use store::job_progress::JobBalance;
use store::notices::Notice;
use store::receipts::StoredReceipt;
use store::verdicts::{Cause, NewVerdict, VerdictState};
use wire::explorer::ReceiptState;
use wire::{DeviceId, ErrorCode, JobEventKind, JobId, Micros, ToDevice};

use super::mature;
use crate::app::App;
use crate::random;
use crate::retry::retry;

/// Suspends a device that was caught, for twice as long each time.
pub async fn suspend_device(app: &App, device: DeviceId) -> anyhow::Result<()> {
    let until = retry(async || {
        let mut tx = app.db.begin_write().await?;
        let until = suspend_in(&mut tx, device, app.clock.now()).await?;
        tx.commit().await?;
        Ok::<Micros, anyhow::Error>(until)
    })
    .await?;
    let now = app.clock.now();
    app.scheduler.lock().drive(|core, link| core.on_device_suspended(link, now, device, until));
    Ok(())
}

async fn suspend_in(conn: &mut DbConnection, device: DeviceId, now: Micros) -> anyhow::Result<Micros> {
    let failed = store::devices::count_failed(conn, device).await?;
    let until = now + suspension(uncount(failed));
    store::devices::suspend_device(conn, device, until).await?;
    Ok(until)
}

/// What a device hears of an output that is damaged, and of one that nobody can check.
pub const DAMAGED: &str = "its output was damaged on the server";

pub const UNCHECKED: &str = "nobody could compute its tiles again";

/// Why a receipt does not stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fall {
    /// The device was wrong.
    Wrong(Mismatch),
    /// Its output is damaged where it is kept: nobody is to blame, and nothing is paid for what nobody has.
    Damaged,
    /// Nobody has computed any of its tiles again, and nobody can: nobody is to blame, and nothing is paid unseen.
    Unchecked,
}

/// The receipt's check, for that cause, failed. Nothing happens where it no longer awaits a verdict, or is another
/// replica's to judge.
pub async fn reject(app: &App, stored: &StoredReceipt, job: &Arc<Job>, cause: Cause, why: Fall) -> anyhow::Result<()> {
    let (lease, device) = (stored.receipt.lease, stored.device);
    let (first_tile, tiles) = (stored.receipt.first_tile, u64::from(stored.receipt.tiles));
    // Settlements of the slice wait: each must see the version that the last one left.
    let slice_turn = app.scheduler.lock().settling(stored.slice);
    let turn = slice_turn.lock().await;
    let hold = {
        let state = app.scheduler.lock();
        match cause {
            Cause::Commit => SliceHold::Fence(state.core.fence(stored.slice)),
            Cause::Final | Cause::After(_) => {
                SliceHold::Settled(state.core.unsettlement(stored.slice, first_tile, tiles))
            }
        }
    };
    let now = app.clock.now();
    let Rejection { until, seized } = match retry(|| write_rejection(app, stored, job, cause, why, &hold)).await? {
        Written::Rejected(rejection) => rejection,
        Written::NotOurs => {
            // Whoever owns the slice finds the receipt waiting; the device hears of it all the same.
            drop(turn);
            app.scheduler.forget_slice(stored.slice);
            return Ok(());
        }
        Written::DecidedBefore => {
            app.scheduler.lock().drive(|core, link| core.on_refused(link, now, lease));
            return Ok(());
        }
    };
    tracing::warn!(%device, %lease, ?why, "a check failed");
    let mut state = app.scheduler.lock();
    state.drive(|core, link| {
        // First, so that it is not lent the very tiles that it lost.
        if let Some(until) = until {
            core.on_device_suspended(link, now, device, until);
        }
        if let (SliceHold::Settled(Some(written)), false) = (&hold, seized) {
            core.on_unsettled(link, now, first_tile, written);
        }
        core.on_refused(link, now, lease);
        if seized {
            core.on_slices_lost(link, &[stored.slice].into());
        }
    });
    let (code, message) = match why {
        Fall::Wrong(mismatch) => (ErrorCode::CheckFailed, mismatch.to_string()),
        Fall::Damaged => (ErrorCode::UnknownLease, format!("nothing is paid for this lease: {DAMAGED}")),
        Fall::Unchecked => (ErrorCode::UnknownLease, format!("nothing is paid for this lease: {UNCHECKED}")),
    };
    state.answer(device, lease, ToDevice::Refused { lease, code, message });
    drop(state);
    drop(turn);
    app.scheduler.wake.notify_one();
    app.scheduler.job_changed(job.id);
    Ok(())
}

/// By what this replica may write a slice.
enum SliceHold {
    /// Its receipt is not settled: the fence, where the slice is this replica's.
    Fence(Option<i64>),
    /// Its receipt is settled: the slice without its tiles, where it is this replica's.
    Settled(Option<Settlement>),
}

enum Written {
    Rejected(Rejection),
    /// Another replica owns the slice.
    NotOurs,
    /// The receipt awaited no verdict any more.
    DecidedBefore,
}

struct Rejection {
    /// Until when the device is suspended, where it was wrong.
    until: Option<Micros>,
    /// The slice is nobody's now, since it was not this replica's.
    seized: bool,
}

/// Rows are locked in the order that [`crate::retry`] names.
async fn write_rejection(
    app: &App,
    stored: &StoredReceipt,
    job: &Job,
    cause: Cause,
    why: Fall,
    hold: &SliceHold,
) -> anyhow::Result<Written> {
    let (lease, device, now) = (stored.receipt.lease, stored.device, app.clock.now());
    let mut tx = app.db.begin_write().await?;
    let seized = match hold {
        SliceHold::Fence(fence) => {
            let Some(fence) = *fence else { return Ok(Written::NotOurs) };
            if !store::slices::lock_fence(&mut tx, stored.slice, fence).await? {
                // Whoever owns the slice now finds the receipt waiting, with what was drawn of it.
                return Ok(Written::NotOurs);
            }
            false
        }
        SliceHold::Settled(Some(written)) if store::slices::unsettle_slice(&mut tx, written).await? => false,
        SliceHold::Settled(_) => {
            clear_seized(&mut tx, stored).await?;
            true
        }
    };
    store::job_progress::lock_jobs(&mut tx, &[job.id].into()).await?;
    let until = match why {
        Fall::Wrong(_) => Some(suspend_in(&mut tx, device, now).await?),
        Fall::Damaged | Fall::Unchecked => {
            store::devices::lock_devices(&mut tx, &[device].into()).await?;
            None
        }
    };
    let state = if until.is_some() { ReceiptState::Rejected } else { ReceiptState::Void };
    if cause == Cause::Commit {
        if !store::receipts::end_pending_receipt(&mut tx, lease, state).await? {
            return Ok(Written::DecidedBefore);
        }
    } else {
        let Some(fallen) = store::receipts::end_accepted_receipt(&mut tx, lease, state).await? else {
            return Ok(Written::DecidedBefore);
        };
        take_back(&mut tx, app, job, &fallen).await?;
    }
    store::verdicts::decide_verdict(&mut tx, lease, cause, VerdictState::Rejected, now).await?;
    if until.is_some() {
        redraw_others(&mut tx, app, stored, now).await?;
        store::job_detail::insert_event(&mut tx, job.id, JobEventKind::CheckFailed, Some(device), now).await?;
    }
    if let Some(until) = until {
        store::notices::notify(&mut tx, &app.replica, Notice::Suspended(device, until)).await?;
    }
    store::notices::notify(&mut tx, &app.replica, Notice::JobChanged(job.id)).await?;
    if seized {
        store::notices::notify(&mut tx, &app.replica, Notice::Work).await?;
    }
    tx.commit().await?;
    Ok(Written::Rejected(Rejection { until, seized }))
}

/// Whatever else of the device's is settled and not mature is drawn from once more.
async fn redraw_others(conn: &mut DbConnection, app: &App, caught: &StoredReceipt, now: Micros) -> anyhow::Result<()> {
    let mut jobs: BTreeMap<JobId, Option<Job>> = BTreeMap::new();
    let mut drawn = Vec::new();
    for other in store::receipts::list_accepted_receipts_of_device(conn, caught.device).await? {
        let seed = random::bytes();
        let job = match jobs.entry(other.receipt.job) {
            Entry::Occupied(job) => job.into_mut(),
            Entry::Vacant(place) => place.insert(store::jobs::load_job(conn, other.receipt.job).await?),
        };
        let Some(job) = job else { continue };
        // As much as of a newcomer's.
        let checked_by = job.checked_by(app.config.has_checkers());
        let tiles = draw(Standing::default(), other.receipt.tiles, job.tile_flops(), checked_by, seed);
        drawn.push(NewVerdict { lease: other.receipt.lease, seed, tiles });
    }
    store::verdicts::open_verdicts(conn, Cause::After(caught.receipt.lease), &drawn, now).await?;
    Ok(())
}

/// Takes the receipt's tiles back in a slice that is another replica's, or nobody's.
async fn clear_seized(conn: &mut DbConnection, stored: &StoredReceipt) -> anyhow::Result<()> {
    let slice = store::slices::seize_slice(conn, stored.slice).await?;
    let mut settled = Bitmap::from_bytes(slice.tiles, &slice.settled).context("a slice's bitmap is damaged")?;
    let tiles = u64::from(stored.receipt.tiles);
    settled.clear(stored.receipt.first_tile - slice.first_tile, tiles);
    store::slices::write_seized_slice(conn, slice.slice, settled.to_bytes(), tiles).await?;
    Ok(())
}

/// Undoes a settlement: tiles owed again, money back.
async fn take_back(conn: &mut DbConnection, app: &App, job: &Job, rejected: &StoredReceipt) -> anyhow::Result<()> {
    let tiles = u64::from(rejected.receipt.tiles);
    let lent = job.tiles(rejected.receipt.first_tile..rejected.receipt.first_tile + tiles).flops();
    let flops = lent.saturating_sub(rejected.flops_left);
    let JobBalance { bill, .. } = store::job_progress::return_tiles(conn, job.id, tiles).await?;
    let bill = bill.take_back(flops, job.price, rejected.charge)?;
    store::job_progress::write_bill(conn, job.id, bill).await?;
    let earned = rejected.charge.earned()?;
    store::devices::uncount_lease(conn, rejected.device, tiles, rejected.kflop, earned).await?;
    let transfer = mature::payment(app, rejected).void(app.clock.now())?;
    store::ledger::post(conn, &[transfer]).await?;
    Ok(())
}
