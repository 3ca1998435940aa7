//! What runs beside requests until the server stops.

use std::time::Duration;

use crate::app::App;
use crate::blobs::collect;
use crate::devices::presence;
use crate::fleet::{challenge, claim, close, outcomes, redraw, undone};
use crate::sweep;

const CLOSE_EVERY: Duration = Duration::from_secs(2);
const LOOK_AT_RECEIPTS_EVERY: Duration = Duration::from_secs(1);
const CLOSED_AT_ONCE: i64 = 16;
/// Closings that wait for a checker hold what is not mature of their jobs in memory.
const CLOSING_MAX: usize = 1024;

/// Starts all of them once; `App::shut_down` waits for them.
pub fn start(app: &App) {
    app.tasks.spawn(claim::run(app.clone()));
    app.tasks.spawn(challenge::run(app.clone()));
    app.tasks.spawn(close_jobs(app.clone()));
    app.tasks.spawn(undone::run(app.clone()));
    app.tasks.spawn(look_at_receipts(app.clone()));
    app.tasks.spawn(presence::run(app.clone()));
    app.tasks.spawn(collect::run(app.clone()));
    app.tasks.spawn(sweep::run(app.clone()));
}

/// Goes on with checks that another replica, or an earlier run of this one, left open.
async fn look_at_receipts(app: App) {
    let mut tick = tokio::time::interval(LOOK_AT_RECEIPTS_EVERY);
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = redraw::redraw(&app).await {
            tracing::error!(error = format!("{error:#}"), "receipts of caught devices could not be listed");
        }
        if let Err(error) = outcomes::look(&app).await {
            tracing::error!(error = format!("{error:#}"), "receipts that wait could not be listed");
        }
    }
}

/// Closes jobs whose closing was cut short: the server died between the last tile and the end.
async fn close_jobs(app: App) {
    let mut tick = tokio::time::interval(CLOSE_EVERY);
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        app.limits.shrink();
        app.compilers.shrink();
        if let Err(error) = close_once(&app).await {
            tracing::error!(error = format!("{error:#}"), "ended jobs could not be closed");
        }
    }
}

async fn close_once(app: &App) -> anyhow::Result<()> {
    // A final draw may have to wait for a checker, and no other job should wait with it.
    let under_way = app.scheduler.lock().closing.clone();
    if under_way.len() >= CLOSING_MAX {
        return Ok(());
    }
    let jobs = store::job_progress::list_jobs_to_close(&mut *app.db.read().await?, &under_way, CLOSED_AT_ONCE).await?;
    for job in jobs {
        let task = app.clone();
        app.tasks.spawn(async move {
            if let Err(error) = close::close_job(&task, job).await {
                tracing::error!(error = format!("{error:#}"), %job, "an ended job could not be closed");
            }
        });
    }
    Ok(())
}
