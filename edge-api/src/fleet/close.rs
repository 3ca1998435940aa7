//! A job's end: the final draw over what is not mature, then everything matures and the rest of the hold is
//! released.

use std::sync::Arc;

use anyhow::Context;
use rules::verification::draw::draw_one;
use wire::{JobEventKind, JobId, JobState};

use super::check::check_lease;
use super::lease_output::committed_lease;
use super::mature;
use super::reject::reject;
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
    let (found, accepted) = {
        let mut conn = app.db.read().await?;
        (store::jobs::load_job(&mut conn, job).await?, store::receipts::list_accepted_receipts(&mut conn, job).await?)
    };
    let found = Arc::new(found.context("a job to close should be on record")?);
    for stored in &accepted {
        let tile = draw_one(stored.receipt.tiles, random::bytes());
        let lease = committed_lease(stored, app.clock.now());
        if let Err(mismatch) = check_lease(app, &found, &lease, &stored.receipt, &[tile]).await? {
            return reject(app, stored.device, job, stored.receipt.lease, mismatch).await;
        }
    }
    if retry(|| write_end(app, job)).await? {
        app.scheduler.end_job(app.clock.now(), job);
        app.scheduler.job_changed(job);
    }
    Ok(())
}

/// `false` when tiles came back while the draw was going on.
async fn write_end(app: &App, job: JobId) -> anyhow::Result<bool> {
    let now = app.clock.now();
    let mut tx = app.db.begin_write().await?;
    let done = store::job_progress::finish_job(&mut tx, job, now).await?;
    let state = store::job_progress::find_job_state(&mut tx, job).await?;
    if !done && state == Some(JobState::Running) {
        return Ok(false);
    }
    if done {
        store::job_detail::insert_event(&mut tx, job, JobEventKind::Done, None, now).await?;
    }
    let matured = store::receipts::mature_receipts_of_job(&mut tx, job).await?;
    store::ledger::release_and_post(&mut tx, job, &mature::transfers(app, &matured)?).await?;
    tx.commit().await?;
    Ok(true)
}
