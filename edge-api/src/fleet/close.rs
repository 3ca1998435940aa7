//! A job's end: the final draw over what is not mature, then everything matures and the rest of the hold is
//! released.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use rules::Job;
use rules::verification::dispute::{UNREPRODUCIBLE_ACCOUNTS, UNREPRODUCIBLE_TILES};
use rules::verification::draw::draw_final;
use store::notices::Notice;
use store::receipts::StoredReceipt;
use store::verdicts::{Cause, NewVerdict, Verdict, VerdictState};
use wire::{DeviceId, JobEventKind, JobId, JobState, LeaseId};

use super::check::{Judgement, check_lease};
use super::lease_output::committed_lease;
use super::mature;
use super::observed;
use super::reject::{Fall, reject};
use super::undone;
use crate::app::App;
use crate::random;
use crate::retry::retry;

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
    let (found, accepted, is_running) = {
        let mut conn = app.db.read().await?;
        if store::verdicts::has_redraws(&mut conn, job).await? {
            // A device of this job was caught: what else it computed is looked at first.
            return Ok(());
        }
        let is_running = store::job_progress::find_job_state(&mut conn, job).await? == Some(JobState::Running);
        let accepted = store::receipts::list_accepted_receipts(&mut conn, job).await?;
        (store::jobs::load_job(&mut conn, job).await?, accepted, is_running)
    };
    let found = Arc::new(found.context("a job to close should be on record")?);
    // Whoever computed and checked it read the same bytes, and would not have seen that they are others than were sent. A
    // bucket looks after its own.
    if app.blobs.folder().is_some() && is_running && undone::fail_if_damaged(app, &found, 0).await? {
        return Ok(());
    }
    let mut is_hopeless = false;
    let opened = open_final_verdicts(app, accepted).await?;
    let open = opened.into_iter().filter(|(_, verdict)| verdict.state == VerdictState::Open);
    let (drawn, spared): (Vec<_>, Vec<_>) = open.partition(|(_, verdict)| !verdict.tiles.is_empty());
    let spared: Vec<LeaseId> = spared.iter().map(|(stored, _)| stored.receipt.lease).collect();
    pass_final(app, &spared).await?;
    for (stored, verdict) in drawn {
        // Where nobody can compute one of an ended job's tiles, each of the others would be waited for as long.
        if is_hopeless {
            end_unchecked(app, &stored, &found).await?;
            continue;
        }
        let lease = committed_lease(&stored, app.clock.now());
        match check_lease(app, &found, &lease, &stored.receipt, &verdict.tiles, None).await? {
            Judgement::Stands(_) => pass_final(app, &[stored.receipt.lease]).await?,
            Judgement::Unanswered(given_up) => {
                undone::look_into(app, job, given_up.tiles).await?;
                let state = store::job_progress::find_job_state(&mut *app.db.read().await?, job).await?;
                if state == Some(JobState::Running) {
                    // Somebody can, and is asked the next time.
                    return Ok(());
                }
                is_hopeless = true;
                end_unchecked(app, &stored, &found).await?;
            }
            Judgement::Falls(mismatch) => {
                return reject(app, &stored, &found, Cause::Final, Fall::Wrong(mismatch)).await;
            }
            Judgement::Damaged => return reject(app, &stored, &found, Cause::Final, Fall::Damaged).await,
        }
    }
    if retry(|| write_end(app, job)).await? {
        observed::job_ended(app, job, "closed");
        app.scheduler.end_job(app.clock.now(), job);
        app.scheduler.job_changed(job);
    }
    Ok(())
}

/// What is drawn at a job's end of each device's receipts, all of a device's at once and stored before anything is
/// compared: whoever goes on after a crash finds the same draw.
async fn open_final_verdicts(app: &App, accepted: Vec<StoredReceipt>) -> anyhow::Result<Vec<(StoredReceipt, Verdict)>> {
    let mut by_device: BTreeMap<DeviceId, Vec<StoredReceipt>> = BTreeMap::new();
    // What was recomputed whole before it was settled has nothing left to draw.
    for stored in accepted.into_iter().filter(|stored| stored.recomputed < u64::from(stored.receipt.tiles)) {
        by_device.entry(stored.device).or_default().push(stored);
    }
    let mut opened = Vec::new();
    for receipts in by_device.into_values() {
        let seed = random::bytes();
        let lease_tiles: Vec<u32> = receipts.iter().map(|stored| stored.receipt.tiles).collect();
        let drawn: Vec<NewVerdict> = receipts
            .iter()
            .zip(draw_final(&lease_tiles, seed))
            .map(|(stored, tiles)| NewVerdict { lease: stored.receipt.lease, seed, tiles })
            .collect();
        let verdicts = retry(async || {
            let mut tx = app.db.begin_write().await?;
            let verdicts = store::verdicts::open_verdicts(&mut tx, Cause::Final, &drawn, app.clock.now()).await?;
            tx.commit().await?;
            Ok::<_, anyhow::Error>(verdicts)
        });
        let mut verdicts = verdicts.await?;
        for stored in receipts {
            let verdict = verdicts.remove(&stored.receipt.lease).context("a verdict should be on record")?;
            opened.push((stored, verdict));
        }
    }
    Ok(opened)
}

/// What was settled after a check is paid, and what was settled without one is void.
async fn end_unchecked(app: &App, stored: &StoredReceipt, job: &Arc<Job>) -> anyhow::Result<()> {
    if stored.recomputed > 0 {
        return pass_final(app, &[stored.receipt.lease]).await;
    }
    reject(app, stored, job, Cause::Final, Fall::Unchecked).await
}

async fn pass_final(app: &App, leases: &[LeaseId]) -> anyhow::Result<()> {
    if leases.is_empty() {
        return Ok(());
    }
    retry(async || {
        let mut tx = app.db.begin_write().await?;
        store::verdicts::pass_verdicts(&mut tx, Cause::Final, leases, app.clock.now()).await?;
        Ok(tx.commit().await?)
    })
    .await
}

/// A job of whose tiles several cannot be reproduced ends, with nobody blamed and what was done paid.
pub async fn end_if_unreproducible(app: &App, job: JobId) -> anyhow::Result<()> {
    let is_over = |(tiles, accounts)| tiles >= UNREPRODUCIBLE_TILES && accounts >= UNREPRODUCIBLE_ACCOUNTS;
    if !is_over(store::verdicts::count_unreproducible(&mut *app.db.read().await?, job).await?) {
        return Ok(());
    }
    let ended = retry(async || {
        let mut tx = app.db.begin_write().await?;
        let now = app.clock.now();
        if !store::job_progress::end_disputed_job(&mut tx, job, now).await? {
            return Ok::<bool, anyhow::Error>(false);
        }
        store::job_detail::insert_event(&mut tx, job, JobEventKind::Nondeterministic, None, now).await?;
        store::ledger::release_and_post(&mut tx, job, &[]).await?;
        store::notices::notify(&mut tx, &app.replica, Notice::JobEnded(job)).await?;
        tx.commit().await?;
        Ok(true)
    });
    if ended.await? {
        observed::job_ended(app, job, "nondeterministic");
        app.scheduler.end_job(app.clock.now(), job);
        app.scheduler.job_changed(job);
    }
    Ok(())
}

/// `false` when tiles came back while the draw was going on.
async fn write_end(app: &App, job: JobId) -> anyhow::Result<bool> {
    let now = app.clock.now();
    let mut tx = app.db.begin_write().await?;
    if store::verdicts::has_redraws(&mut tx, job).await? {
        return Ok(false);
    }
    let done = store::job_progress::finish_job(&mut tx, job, now).await?;
    let state = store::job_progress::find_job_state(&mut tx, job).await?;
    if !done && state == Some(JobState::Running) {
        return Ok(false);
    }
    if done {
        store::job_detail::insert_event(&mut tx, job, JobEventKind::Done, None, now).await?;
    }
    store::receipts::void_pending_receipts_of_job(&mut tx, job).await?;
    let matured = store::receipts::mature_receipts_of_job(&mut tx, job).await?;
    store::ledger::release_and_post(&mut tx, job, &mature::transfers(app, &matured)?).await?;
    store::job_progress::mark_closed(&mut tx, job).await?;
    store::notices::notify(&mut tx, &app.replica, Notice::JobEnded(job)).await?;
    tx.commit().await?;
    Ok(true)
}
