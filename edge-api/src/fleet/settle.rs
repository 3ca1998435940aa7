//! From a stored receipt to money: its output checked, its tiles settled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use rules::Job;
use rules::scheduling::lease::Lease;
use rules::verification::draw::draw;
use store::DbConnection;
use store::receipts::StoredReceipt;
use store::verdicts::{Cause, NewVerdict, Verdict};
use wire::explorer::ReceiptState;
use wire::{DeviceId, ErrorCode, JobState, LeaseId, Receipt, ToDevice};

use super::check::{Judgement, check_lease};
use super::close::{close_job, end_if_unreproducible};
use super::gathered::{Settled, ToSettle};
use super::lease_output::committed_lease;
use super::observed;
use super::reject::{DAMAGED, Fall, UNCHECKED, reject};
use super::settlement;
use super::undone;
use super::verified::Verified;
use crate::app::App;
use crate::random;
use crate::retry::retry;

/// Attempts at a check, and the time before the second one; doubled for each one more.
const CHECK_ATTEMPTS: u32 = 6;
const CHECK_AGAIN: Duration = Duration::from_secs(2);

/// Why a receipt comes to nothing.
pub const SETTLED_BY_ANOTHER: &str = "its tiles are another device's by now";
pub const JOB_ENDED: &str = "its job has ended";

/// A receipt that was not committed to a lease of this replica: checked here, if its slice is this replica's; else it
/// waits for whoever owns that.
pub fn take_found(app: &App, stored: StoredReceipt, drawn: Option<Verdict>) {
    let now = app.clock.now();
    let lease = committed_lease(&stored, now);
    let (owns, taken) = {
        let mut state = app.scheduler.lock();
        let is_known = state.core.lease(lease.id).is_some();
        let owns = state.core.owns(lease.slice) && !is_known;
        (owns, owns && state.drive(|core, link| core.on_receipt_found(link, now, lease)))
    };
    if taken {
        spawn_check(app, lease, stored, drawn, None);
    } else if owns {
        spawn_drop(app, stored, SETTLED_BY_ANOTHER);
    }
}

/// Checks a committed lease in the background, and again after a while where that fails: one read that fails costs a
/// receipt at the most. The server waits for it when it stops. `at_hand` is its output, where that need not be read.
pub fn spawn_check(app: &App, lease: Lease, stored: StoredReceipt, drawn: Option<Verdict>, mut at_hand: Option<Bytes>) {
    let task = app.clone();
    app.tasks.spawn(async move {
        let _taken = observed::Receipt::taken(&task, lease);
        for doubled in 0..CHECK_ATTEMPTS {
            let checked = check(&task, lease, &stored, drawn.as_ref(), at_hand.take()).await;
            let Err(error) = checked else { return };
            tracing::error!(error = format!("{error:#}"), lease = %lease.id, "a check could not be finished");
            tokio::select! {
                () = task.stop.cancelled() => return,
                () = tokio::time::sleep(CHECK_AGAIN * 2_u32.pow(doubled)) => {}
            }
            if task.scheduler.lock().core.lease(lease.id).is_none() {
                // The slice is somebody else's by now, and the receipt with it.
                return;
            }
        }
        spawn_drop(&task, stored, "it could not be checked");
    });
}

/// Drops a receipt that comes to nothing, in the background.
pub fn spawn_drop(app: &App, stored: StoredReceipt, why: &'static str) {
    let task = app.clone();
    app.tasks.spawn(async move {
        let lease = stored.receipt.lease;
        if let Err(error) = drop_receipt(&task, &stored, why).await {
            tracing::error!(error = format!("{error:#}"), %lease, "a receipt could not be dropped");
            // It is found again with its slice.
            task.scheduler.forget_slice(stored.slice);
        }
    });
}

/// The receipt comes to nothing and nobody is to blame. Only the slice's owner may say so, or anybody once its job has
/// ended.
async fn drop_receipt(app: &App, stored: &StoredReceipt, why: &str) -> anyhow::Result<()> {
    let lease = stored.receipt.lease;
    let fence = app.scheduler.lock().core.fence(stored.slice);
    let dropped = retry(async || {
        let mut tx = app.db.begin_write().await?;
        let owns = match fence {
            Some(fence) => store::slices::lock_fence(&mut tx, stored.slice, fence).await?,
            None => false,
        };
        let state = store::job_progress::find_job_state(&mut tx, stored.receipt.job).await?;
        if !owns && state == Some(JobState::Running) {
            return Ok(Dropped::NotOurs);
        }
        let voided = store::receipts::end_pending_receipt(&mut tx, lease, ReceiptState::Void).await?;
        tx.commit().await?;
        Ok::<Dropped, anyhow::Error>(if voided { Dropped::Voided } else { Dropped::DecidedBefore })
    })
    .await?;
    if dropped == Dropped::NotOurs {
        // Whoever owns the slice finds the receipt waiting.
        app.scheduler.forget_slice(stored.slice);
        return Ok(());
    }
    let now = app.clock.now();
    let mut state = app.scheduler.lock();
    state.drive(|core, link| core.on_refused(link, now, lease));
    if dropped == Dropped::Voided {
        let message = format!("nothing is paid for this lease: {why}");
        state.answer(stored.device, lease, ToDevice::Refused { lease, code: ErrorCode::UnknownLease, message });
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dropped {
    /// Another replica owns the slice.
    NotOurs,
    Voided,
    /// It awaited nothing any more; the device hears of what was decided.
    DecidedBefore,
}

/// What is drawn of a receipt that was stored before, and of which nothing may have been drawn.
async fn draw_of(app: &App, job: &Job, stored: &StoredReceipt) -> anyhow::Result<Verdict> {
    let lease = stored.receipt.lease;
    let drawn = retry(async || {
        let mut tx = app.db.begin_write().await?;
        let drawn = draw_receipts(app, &mut tx, &[(job, stored.device, &stored.receipt)]).await?;
        tx.commit().await?;
        Ok::<_, anyhow::Error>(drawn)
    });
    drawn.await?.remove(&lease).context("a verdict just written should be on record")
}

/// Draws tiles of receipts whose devices have signed their roots, and stores what is drawn before anything is compared.
pub async fn draw_receipts(
    app: &App,
    conn: &mut DbConnection,
    receipts: &[(&Job, DeviceId, &Receipt)],
) -> anyhow::Result<BTreeMap<LeaseId, Verdict>> {
    let now = app.clock.now();
    let devices = receipts.iter().map(|(_, device, _)| *device).collect();
    let standings = store::standings::list_standings(conn, &devices).await?;
    let draw_one = |&(job, device, receipt): &(&Job, DeviceId, &Receipt)| {
        let standings = standings.get(&device).cloned().unwrap_or_else(store::standings::no_standing);
        let standing = standings.of(job.task.program_name(), now);
        let (seed, by) = (random::bytes(), job.checked_by(app.config.has_checkers()));
        let tiles = draw(standing, receipt.tiles, job.tile_flops(), by, seed);
        NewVerdict { lease: receipt.lease, seed, tiles }
    };
    let drawn: Vec<NewVerdict> = receipts.iter().map(draw_one).collect();
    Ok(store::verdicts::open_verdicts(conn, Cause::Commit, &drawn, now).await?)
}

async fn check(
    app: &App,
    lease: Lease,
    stored: &StoredReceipt,
    drawn: Option<&Verdict>,
    at_hand: Option<Bytes>,
) -> anyhow::Result<()> {
    let job = app.scheduler.lock().core.job(lease.job);
    let Some(job) = job else { return drop_receipt(app, stored, JOB_ENDED).await };
    let drawn = match drawn {
        Some(drawn) => drawn.clone(),
        None => draw_of(app, &job, stored).await?,
    };
    match check_lease(app, &job, &lease, &stored.receipt, &drawn.tiles, at_hand).await? {
        Judgement::Stands(verified) => settle(app, &job, &lease, stored, verified).await,
        Judgement::Falls(mismatch) => reject(app, stored, &job, Cause::Commit, Fall::Wrong(mismatch)).await,
        Judgement::Damaged => drop_receipt(app, stored, DAMAGED).await,
        Judgement::Unanswered(given_up) => {
            // Perhaps nobody can, and then the job ends.
            undone::look_into(app, job.id, given_up.tiles).await?;
            drop_receipt(app, stored, UNCHECKED).await
        }
    }
}

/// Settles a lease whose check passed.
async fn settle(
    app: &App,
    job: &Arc<Job>,
    lease: &Lease,
    stored: &StoredReceipt,
    verified: Verified,
) -> anyhow::Result<()> {
    let checked_at = app.clock.now();
    let item = ToSettle { job: Arc::clone(job), lease: *lease, verified, backend: stored.receipt.backend };
    let write = async |app: App, group: Arc<[ToSettle]>| settlement::settle_group(&app, &group).await;
    let remaining = match app.gathered.settlements.hand_in(&app.tasks, item, app, write).await? {
        Settled::Paid { remaining } => remaining,
        Settled::Taken => return drop_receipt(app, stored, SETTLED_BY_ANOTHER).await,
        Settled::Suspended => return drop_receipt(app, stored, "the device is suspended").await,
        Settled::JobEnded => {
            // Perhaps by another replica.
            app.scheduler.end_job(app.clock.now(), lease.job);
            return drop_receipt(app, stored, JOB_ENDED).await;
        }
        Settled::NotOurs => {
            // Whoever owns the slice finds the receipt waiting; the device hears of it all the same.
            app.scheduler.forget_slice(lease.slice);
            return Ok(());
        }
        Settled::DecidedBefore => {
            let now = app.clock.now();
            app.scheduler.lock().drive(|core, link| core.on_refused(link, now, lease.id));
            return Ok(());
        }
    };
    observed::settled(app, lease, checked_at);
    app.scheduler.job_changed(lease.job);
    if remaining == 0 {
        close_job(app, lease.job).await?;
    } else if verified.irreproducible {
        end_if_unreproducible(app, lease.job).await?;
    }
    Ok(())
}
