//! The end of a job that cannot be finished.

use wire::{JobEventKind, JobFault, JobId};

use crate::app::App;
use crate::retry::retry;

/// A job whose program cannot finish ends: what was verified is paid, the rest is free again.
pub(super) async fn fail_job(app: &App, job: JobId, fault: &JobFault) -> anyhow::Result<()> {
    let now = app.clock.now();
    retry(async || {
        let mut tx = app.db.begin_write().await?;
        if store::job_progress::fail_job(&mut tx, job, fault, now).await? {
            store::ledger::release_and_post(&mut tx, job, &[]).await?;
            store::job_detail::insert_event(&mut tx, job, JobEventKind::Failed, None, now).await?;
            tx.commit().await?;
        }
        Ok::<(), anyhow::Error>(())
    })
    .await?;
    app.scheduler.end_job(now, job);
    app.scheduler.job_changed(job);
    Ok(())
}
