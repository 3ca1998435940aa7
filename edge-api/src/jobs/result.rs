//! A finished job's output, streamed in order from the blobs of its receipts: as one `.npy`, or row
//! by row as CSV or JSON.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use serde::Deserialize;
use wire::{BlobHash, ErrorCode, Job, JobId, JobState};

use super::rows::{Format, RowWriter};
use super::{npy, store};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{ApiResult, conflict, invalid, not_found};
use crate::json::{At, Params};

#[derive(Debug, Deserialize)]
pub struct ResultParams {
    format: Option<String>,
}

/// Download a job's result
///
/// `format` is `npy`, `csv` (a row a line) or `json` (`shape` and `rows`); left out, `npy`.
pub async fn job_result(
    caller: Caller,
    State(app): State<App>,
    At(id): At<JobId>,
    Params(params): Params<ResultParams>,
) -> ApiResult<Response> {
    let (job, outputs) = {
        let mut conn = app.db.read().await?;
        let job = store::find_job(&mut conn, caller.account, id).await?.ok_or_else(|| not_found("job"))?;
        (job, store::list_outputs(&mut conn, id).await?)
    };
    if job.state != JobState::Done {
        let message = format!("this job is {}; only a done job has a result", job.state.name());
        return Err(conflict(ErrorCode::JobNotDone, message));
    }
    let blobs = stream_blobs(&app, outputs);
    match params.format.as_deref() {
        None | Some("npy") => Ok(npy_response(&job, blobs)),
        Some("csv") => Ok(text_response(&job, Format::Csv, blobs)),
        Some("json") => Ok(text_response(&job, Format::Json, blobs)),
        Some(_) => Err(invalid(ErrorCode::MalformedRequest, "format", "a result comes as 'npy', 'csv' or 'json'")),
    }
}

type Chunk = Result<Bytes, std::io::Error>;

fn stream_blobs(app: &App, outputs: Vec<BlobHash>) -> impl Stream<Item = Chunk> + Send + use<> {
    let blobs = app.blobs.clone();
    stream::iter(outputs)
        .then(move |hash| {
            let blobs = blobs.clone();
            async move { blobs.stream(hash).await.map_err(std::io::Error::other) }
        })
        .try_flatten()
        .map_err(std::io::Error::other)
}

fn shape_of(job: &Job) -> Vec<u64> {
    std::iter::once(job.rows).chain(job.output_row_shape.iter().copied()).collect()
}

fn attachment(job: &Job, ending: &str) -> (&'static str, String) {
    ("content-disposition", format!("attachment; filename=\"{}.{ending}\"", job.id))
}

fn npy_response(job: &Job, blobs: impl Stream<Item = Chunk> + Send + 'static) -> Response {
    let shape = shape_of(job);
    let head = npy::head(&shape);
    let size = u64::try_from(head.len()).unwrap_or(0) + 4 * shape.iter().product::<u64>();
    let body = stream::once(async move { Ok(head.into()) }).chain(blobs);
    let headers = [
        ("content-type", "application/octet-stream".to_owned()),
        ("content-length", size.to_string()),
        attachment(job, "npy"),
        ("cache-control", "private, no-store".to_owned()),
    ];
    (headers, Body::from_stream(body)).into_response()
}

fn text_response(job: &Job, format: Format, blobs: impl Stream<Item = Chunk> + Send + 'static) -> Response {
    let writer = RowWriter::new(format, &shape_of(job));
    let body = stream::unfold(Some((Box::pin(blobs), writer)), |state| async move {
        let (mut blobs, mut writer) = state?;
        match blobs.next().await {
            Some(Ok(chunk)) => Some((Ok(writer.write(&chunk)), Some((blobs, writer)))),
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Ok(writer.finish()), None)),
        }
    });
    let headers = [
        ("content-type", format.content_type().to_owned()),
        attachment(job, format.ending()),
        ("cache-control", "private, no-store".to_owned()),
    ];
    (headers, Body::from_stream(body)).into_response()
}
