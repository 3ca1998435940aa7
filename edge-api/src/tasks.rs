//! What runs beside requests until the server stops.

use std::time::Duration;

use crate::app::App;
use crate::blobs::collect;
use crate::devices::presence;
use crate::fleet::{challenge, claim, close, fail, notices, outcomes, redraw, undone};
use crate::status::probe;
use crate::sweep;

const CLOSE_EVERY: Duration = Duration::from_secs(2);
const LOOK_AT_RECEIPTS_EVERY: Duration = Duration::from_secs(1);
const CLOSED_AT_ONCE: i64 = 16;
const LOOK_AT_DEADLINES_EVERY: Duration = Duration::from_secs(1);
const OVERDUE_AT_ONCE: i64 = 64;
/// Closings that wait for a checker hold what is not mature of their jobs in memory.
const CLOSING_MAX: usize = 1024;

/// Starts all of them once; `App::shut_down` waits for them.
pub fn start(app: &App) {
    app.tasks.spawn(claim::beat(app.clone()));
    app.tasks.spawn(claim::run(app.clone()));
    app.tasks.spawn(notices::run(app.clone()));
    app.tasks.spawn(challenge::run(app.clone()));
    app.tasks.spawn(close_jobs(app.clone()));
    app.tasks.spawn(end_overdue_jobs(app.clone()));
    app.tasks.spawn(undone::run(app.clone()));
    app.tasks.spawn(look_at_receipts(app.clone()));
    app.tasks.spawn(presence::run(app.clone()));
    app.tasks.spawn(collect::run(app.clone()));
    app.tasks.spawn(sweep::run(app.clone()));
    app.tasks.spawn(probe::run(app.clone()));
    if app.config.metrics.is_on() {
        app.tasks.spawn(sample_backlog(app.clone()));
        app.tasks.spawn(sample_books(app.clone()));
    }
}

/// Counts for the metrics what waits in the database.
async fn sample_backlog(app: App) {
    loop {
        let rest = app.metrics.sampled.read_backlog(&app.db).await;
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// Goes through the books for the metrics.
async fn sample_books(app: App) {
    loop {
        let rest = app.metrics.sampled.read_books(&app.db, app.clock.now()).await;
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
    }
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

/// Ends jobs at their deadlines, which stand in the database: a server that was away finds those that passed meanwhile.
async fn end_overdue_jobs(app: App) {
    let mut tick = tokio::time::interval(LOOK_AT_DEADLINES_EVERY);
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = sweep_overdue_jobs(&app).await {
            tracing::error!(error = format!("{error:#}"), "jobs could not be ended at their deadlines");
        }
    }
}

/// Ends those that are overdue now.
pub async fn sweep_overdue_jobs(app: &App) -> anyhow::Result<()> {
    let now = app.clock.now();
    let jobs = store::job_progress::list_overdue_jobs(&mut *app.db.read().await?, now, OVERDUE_AT_ONCE).await?;
    for job in jobs {
        fail::end_overdue_job(app, job).await?;
    }
    Ok(())
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
