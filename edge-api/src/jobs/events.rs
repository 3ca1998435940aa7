//! A job's progress as server-sent events: one at once, one after each change, none after its end.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use futures::stream;
use rules::scheduling::mosaic;
use tokio::sync::broadcast;
use wire::{AccountId, JobId, JobProgress, JobState};

use super::obstacle;
use crate::app::App;
use crate::auth::Caller;
use crate::http::error::{ApiResult, not_found};
use crate::http::extract::PathParam;
use crate::openapi::answers::Refusals;

/// Changes made by another replica are found by reading the database this often.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// At most ten events a second.
const SPACING: Duration = Duration::from_millis(100);

/// Show a job's progress once
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/progress",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The job")),
    responses(
        (status = 200, description = "The job, and how far it is", body = JobProgress),
        Refusals<(Caller, PathParam<JobId>)>
    )
)]
pub async fn job_progress(
    caller: Caller,
    State(app): State<App>,
    PathParam(id): PathParam<JobId>,
) -> ApiResult<axum::Json<JobProgress>> {
    let progress = read(&app, caller.account, id).await?;
    Ok(axum::Json(progress.ok_or_else(|| not_found("job"))?))
}

/// Watch a job
///
/// Server-sent events called `progress`: one at once, one after each change, none after the job's end.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/events",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The job")),
    responses(
        (status = 200, description = "The data of each event", body = JobProgress, content_type = "text/event-stream"),
        Refusals<(Caller, PathParam<JobId>)>
    )
)]
pub async fn job_events(
    caller: Caller,
    State(app): State<App>,
    PathParam(id): PathParam<JobId>,
) -> ApiResult<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    read(&app, caller.account, id).await?.ok_or_else(|| not_found("job"))?;
    let changes = app.scheduler.changes.subscribe();
    let watch = Watch { app, caller, job: id, changes, last: None };
    let stream = stream::unfold(Some(watch), |watch| async move { watch?.next().await });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

struct Watch {
    app: App,
    caller: Caller,
    job: JobId,
    changes: broadcast::Receiver<JobId>,
    last: Option<JobProgress>,
}

impl Watch {
    /// The next event, and the watch to go on with unless it was the last.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Option<Self>)> {
        loop {
            let progress = match self.read().await {
                Ok(progress) => progress?,
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "a job could not be watched");
                    return None;
                }
            };
            if self.last.as_ref() != Some(&progress) {
                let event = Event::default().event("progress").json_data(&progress).ok()?;
                let ended = progress.job.state.has_ended();
                self.last = Some(progress);
                return Some((Ok(event), (!ended).then_some(self)));
            }
            let stop = self.app.draining.clone();
            tokio::select! {
                () = stop.cancelled() => return None,
                () = self.changed() => tokio::time::sleep(SPACING).await,
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        }
    }

    /// `None` once the caller's key is revoked or its session over.
    async fn read(&self) -> anyhow::Result<Option<JobProgress>> {
        if !self.caller.is_still_let_in(&self.app).await? {
            return Ok(None);
        }
        read(&self.app, self.caller.account, self.job).await
    }

    async fn changed(&mut self) {
        loop {
            match self.changes.recv().await {
                Ok(job) if job != self.job => {}
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                // Only the server's end closes it; the other branches see to that.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

async fn read(app: &App, account: AccountId, id: JobId) -> anyhow::Result<Option<JobProgress>> {
    let mut conn = app.db.read().await?;
    let Some(job) = store::jobs::find_job(&mut conn, account, id).await? else {
        return Ok(None);
    };
    let settled = store::slices::list_settled_slices(&mut conn, id).await?;
    let in_check = match job.state {
        JobState::Running => store::receipts::list_tiles_in_check(&mut conn, id).await?,
        _ => Vec::new(),
    };
    // Of a job that has just ended the scheduler may not know yet.
    let at_work = |id| app.scheduler.lock().core.devices_at_work(id);
    let devices_at_work = if job.state.has_ended() { 0 } else { at_work(id) };
    let is_idle = devices_at_work == 0 && in_check.is_empty() && job.verified_tiles < job.tiles;
    let may_wait = job.state == JobState::Running && (is_idle || !in_check.is_empty());
    let admitted = if may_wait { store::jobs::load_job(&mut conn, id).await? } else { None };
    // It looks into the database too.
    drop(conn);
    let obstacle = match &admitted {
        Some(admitted) if is_idle => obstacle::of_job(app, admitted).await?,
        // What is computed waits for its check alone.
        Some(admitted) => obstacle::of_check(app, admitted).await?,
        None => None,
    };
    Ok(Some(JobProgress {
        mosaic: mosaic::draw(job.tiles, &settled),
        checking: mosaic::draw_runs(job.tiles, &in_check),
        checking_tiles: in_check.iter().map(|(_, tiles)| tiles).sum(),
        devices_at_work,
        obstacle,
        job,
    }))
}
