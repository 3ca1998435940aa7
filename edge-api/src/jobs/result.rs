//! A finished job's output as one `.npy`, streamed in order from the blobs of its receipts.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::stream::{self, StreamExt, TryStreamExt};
use wire::{ErrorCode, JobId, JobState};

use super::{npy, store};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{ApiResult, conflict, not_found};
use crate::json::At;

/// Download a job's result
pub async fn job_result(caller: Caller, State(app): State<App>, At(id): At<JobId>) -> ApiResult<Response> {
    let (job, outputs) = {
        let mut conn = app.db.read().await?;
        let job = store::find_job(&mut conn, caller.account, id).await?.ok_or_else(|| not_found("job"))?;
        (job, store::list_outputs(&mut conn, id).await?)
    };
    if job.state != JobState::Done {
        let message = format!("this job is {}; only a done job has a result", job.state.name());
        return Err(conflict(ErrorCode::JobNotDone, message));
    }
    let shape: Vec<u64> = std::iter::once(job.rows).chain(job.output_row_shape.iter().copied()).collect();
    let head = npy::head(&shape);
    let size = u64::try_from(head.len()).unwrap_or(0) + 4 * shape.iter().product::<u64>();
    let blobs = app.blobs.clone();
    let rows = stream::iter(outputs)
        .then(move |hash| {
            let blobs = blobs.clone();
            async move { blobs.stream(hash).await.map_err(std::io::Error::other) }
        })
        .try_flatten();
    let body = stream::once(async move { Ok::<Bytes, std::io::Error>(head.into()) }).chain(rows);
    let headers = [
        ("content-type", "application/octet-stream".to_owned()),
        ("content-length", size.to_string()),
        ("content-disposition", format!("attachment; filename=\"{id}.npy\"")),
        ("cache-control", "private, no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}
