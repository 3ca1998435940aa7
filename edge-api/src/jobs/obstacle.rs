//! Why nobody does a job now.

use std::sync::PoisonError;

use rules::Job;
use store::explorer::ONLINE;
use wire::{JobId, Micros, Obstacle};

use crate::app::App;

/// How long what other replicas have is believed.
const LOOKED_UP_FOR: Micros = 1_000_000;

/// Of an order that is not submitted yet.
pub(super) async fn of_order(app: &App, job: &Job) -> anyhow::Result<Option<Obstacle>> {
    known_here(app, of_devices(app, None, job).or_else(|| of_checks(app, job))).await
}

/// Of a job that runs and that nobody works on.
pub(super) async fn of_job(app: &App, job: &Job) -> anyhow::Result<Option<Obstacle>> {
    known_here(app, of_devices(app, Some(job.id), job).or_else(|| of_checks(app, job))).await
}

/// Of a job of which something is computed and waits for its check.
pub(super) async fn of_check(app: &App, job: &Job) -> anyhow::Result<Option<Obstacle>> {
    known_here(app, of_checks(app, job)).await
}

fn of_devices(app: &App, id: Option<JobId>, job: &Job) -> Option<Obstacle> {
    app.scheduler.lock().core.device_obstacle(id, &job.needs())
}

fn of_checks(app: &App, job: &Job) -> Option<Obstacle> {
    let (needs, now, has_checkers) = (job.needs(), app.clock.now(), app.config.has_checkers());
    let checked_by = job.checked_by(has_checkers);
    app.scheduler.lock().core.check_obstacle(job.id, &needs, checked_by, has_checkers, now)
}

/// What another replica's devices are is not known here, and they may well do it.
async fn known_here(app: &App, found: Option<Obstacle>) -> anyhow::Result<Option<Obstacle>> {
    if found.is_none() {
        return Ok(None);
    }
    let elsewhere = has_devices_elsewhere(app).await?;
    Ok(found.filter(|_| !elsewhere))
}

/// Looked up once a second, however many watch their jobs.
async fn has_devices_elsewhere(app: &App) -> anyhow::Result<bool> {
    let now = app.clock.now();
    let known = *app.devices_elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, elsewhere)) = known.filter(|(at, _)| (*at..*at + LOOKED_UP_FOR).contains(&now)) {
        return Ok(elsewhere);
    }
    let mut conn = app.db.read().await?;
    let elsewhere = store::presence::has_devices_elsewhere(&mut conn, &app.replica, now - ONLINE).await?;
    *app.devices_elsewhere.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, elsewhere));
    Ok(elsewhere)
}
