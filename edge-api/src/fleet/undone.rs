//! Tiles that devices give back time and again: tried by whoever checks, and where that cannot compute them either the job
//! ends. Nobody's word is taken for it, so that strangers who give everything back end nothing.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rules::Job;
use wire::{JobFault, JobId, JobState};

use super::fail::fail_job;
use crate::app::App;
use crate::programs;

/// Time for whoever checks, which is more than it takes to have a tile given up. A tile that goes on to come back is looked
/// into again.
const TRY_WITHIN: Duration = Duration::from_hours(2);

/// Looks into tiles as the scheduler reports them, until the server stops.
pub async fn run(app: App) {
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = app.scheduler.undone.notified() => {}
        }
        let reported = app.scheduler.lock().take_undone();
        for (job, tile) in reported {
            let task = app.clone();
            app.tasks.spawn(async move {
                if !task.scheduler.lock().looking.insert((job, tile)) {
                    return;
                }
                if let Err(error) = look_into(&task, job, tile..tile + 1).await {
                    tracing::error!(error = format!("{error:#}"), %job, tile, "a tile could not be looked into");
                }
                task.scheduler.lock().looking.remove(&(job, tile));
            });
        }
    }
}

/// Tries each of the tiles, and ends the job where whoever checks cannot compute one of them either.
pub async fn look_into(app: &App, job: JobId, tiles: Range<u64>) -> anyhow::Result<()> {
    let found = {
        let mut conn = app.db.read().await?;
        let is_running = store::job_progress::find_job_state(&mut conn, job).await? == Some(JobState::Running);
        store::jobs::load_job(&mut conn, job).await?.filter(|_| is_running).map(Arc::new)
    };
    let Some(found) = found else { return Ok(()) };
    if fail_if_damaged(app, &found, tiles.start).await? {
        return Ok(());
    }
    for tile in tiles {
        let tried = tokio::select! {
            () = app.stop.cancelled() => return Ok(()),
            tried = tokio::time::timeout(TRY_WITHIN, try_tile(app, &found, tile)) => tried,
        };
        // Whoever checks is busy, or computed it: then it is the devices' matter.
        if let Ok(tried) = tried
            && let Some(reason) = tried?
        {
            return fail_job(app, job, &JobFault::CannotCompute { tile, reason }).await;
        }
    }
    Ok(())
}

/// Why the tile cannot be computed; `None` where it can.
async fn try_tile(app: &App, job: &Arc<Job>, tile: u64) -> anyhow::Result<Option<String>> {
    for (blob, range) in job.tiles(tile..tile + 1).input_parts() {
        let held = app.blobs.size(blob).await?;
        if held.is_none_or(|size| size < range.end) {
            return Ok(Some("an input is shorter than it says, or gone".to_owned()));
        }
    }
    programs::try_tile(app, job, tile).await
}

/// Which of the files that all of the job's tiles are computed from is damaged or gone where this server keeps it.
async fn damaged_file(app: &App, job: &Job) -> anyhow::Result<Option<String>> {
    // It is work for this server's processor.
    let _permit = app.checks.acquire().await.context("the server is stopping")?;
    let code = job.task.blobs().into_iter().map(|blob| ("its code", blob));
    let inputs = job.sources.iter().map(|source| ("an input", source.blob));
    for (what, blob) in code.chain(inputs) {
        if !app.blobs.is_intact(blob).await? {
            return Ok(Some(format!(
                "{what} ({blob}) is damaged where the server keeps it: upload it and order again"
            )));
        }
    }
    Ok(None)
}

/// Ends the job if a file of it is damaged: what differs from what was sent convicts nobody. `true`: it is.
pub async fn fail_if_damaged(app: &App, job: &Job, tile: u64) -> anyhow::Result<bool> {
    let Some(reason) = damaged_file(app, job).await? else { return Ok(false) };
    fail_job(app, job.id, &JobFault::CannotCompute { tile, reason }).await?;
    Ok(true)
}
