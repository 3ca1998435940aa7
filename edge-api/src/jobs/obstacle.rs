//! Why nobody does a job now.

use rules::Job;
use store::explorer::ONLINE;
use wire::{JobId, Obstacle};

use crate::app::App;

/// Of an order that is not submitted yet.
pub(super) async fn of_order(app: &App, job: &Job) -> anyhow::Result<Option<Obstacle>> {
    find(app, None, job).await
}

/// Of a job that runs and that nobody works on.
pub(super) async fn of_job(app: &App, job: &Job) -> anyhow::Result<Option<Obstacle>> {
    find(app, Some(job.id), job).await
}

async fn find(app: &App, id: Option<JobId>, job: &Job) -> anyhow::Result<Option<Obstacle>> {
    let (needs, now, has_checkers) = (job.needs(), app.clock.now(), app.config.has_checkers());
    let checked_by = job.checked_by(has_checkers);
    let found = {
        let state = app.scheduler.lock();
        let of_device = state.core.device_obstacle(id, &needs, now);
        of_device.or_else(|| state.core.check_obstacle(job.id, &needs, checked_by, has_checkers, now))
    };
    // What another replica's devices are is not known here, and they may well do it.
    if found.is_some() {
        let mut conn = app.db.read().await?;
        if store::presence::has_devices_elsewhere(&mut conn, &app.replica, now - ONLINE).await? {
            return Ok(None);
        }
    }
    Ok(found)
}
