//! The end of a job that cannot be finished, or not in time.

use store::notices::Notice;
use wire::{JobEventKind, JobFault, JobId};

use super::observed;
use crate::app::App;
use crate::retry::retry;

/// A job whose deadline has passed ends: what was verified is paid, the rest is free again. Whichever replica is first does
/// it, and it is done once.
pub async fn end_overdue_job(app: &App, job: JobId) -> anyhow::Result<()> {
    let now = app.clock.now();
    let ended = retry(async || {
        let mut tx = app.db.begin_write().await?;
        if !store::job_progress::end_overdue_job(&mut tx, job, now).await? {
            return Ok::<bool, anyhow::Error>(false);
        }
        store::ledger::release_and_post(&mut tx, job, &[]).await?;
        store::job_detail::insert_event(&mut tx, job, JobEventKind::DeadlinePassed, None, now).await?;
        store::notices::notify(&mut tx, &app.replica, Notice::JobEnded(job)).await?;
        tx.commit().await?;
        Ok(true)
    });
    if ended.await? {
        observed::job_ended(app, job, "deadline_passed");
        app.scheduler.end_job(now, job);
        app.scheduler.job_changed(job);
    }
    Ok(())
}

/// A job whose program cannot finish ends: what was verified is paid, the rest is free again.
pub(super) async fn fail_job(app: &App, job: JobId, fault: &JobFault) -> anyhow::Result<()> {
    let now = app.clock.now();
    let failed = retry(async || {
        let mut tx = app.db.begin_write().await?;
        if !store::job_progress::fail_job(&mut tx, job, fault, now).await? {
            return Ok::<bool, anyhow::Error>(false);
        }
        store::ledger::release_and_post(&mut tx, job, &[]).await?;
        store::job_detail::insert_event(&mut tx, job, JobEventKind::Failed, None, now).await?;
        store::notices::notify(&mut tx, &app.replica, Notice::JobEnded(job)).await?;
        tx.commit().await?;
        Ok(true)
    });
    if failed.await? {
        observed::job_ended(app, job, "failed");
    }
    app.scheduler.end_job(now, job);
    app.scheduler.job_changed(job);
    Ok(())
}
