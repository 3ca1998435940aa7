//! The beginning of a job's result as a person would look at it: a table, what classes there are, a picture.

mod column;
mod picture;
mod table;

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::TryStreamExt;
use serde::Deserialize;
use store::job_detail::OutputPart;
use tokio::sync::Semaphore;
use wire::{DType, ErrorCode, Field, Job, JobId, JobPreview, Task, number};

use self::column::Column;
use self::picture::Layout;
use super::result::{Pieces, rows_of, stream_blobs};
use crate::app::App;
use crate::auth::Caller;
use crate::http::error::{ApiResult, gone, invalid, not_found};
use crate::http::extract::{PathParam, QueryParams};
use crate::http::limits::Action;
use crate::openapi::answers::{Binary, OutOfBounds, RateLimited, Refusals, ResultDamaged};
use crate::programs;

/// Of the rows that are looked at, unless one row is more.
const BYTES_AIM: u64 = 4 << 20;
/// Of a row, or of a picture.
const BYTES_MAX: u64 = 32 << 20;
/// Results that are looked at at a time: each takes memory and a processor for a while.
static PLACES: Semaphore = Semaphore::const_new(2);
/// Rows that are shown as pictures.
const PICTURES_MAX: u64 = 4;

/// What is verified of a job.
struct Verified {
    job: Job,
    parts: Vec<OutputPart>,
    columns: Vec<Column>,
}

impl Verified {
    async fn find(app: &App, caller: &Caller, id: JobId) -> ApiResult<Self> {
        let mut conn = app.db.read().await?;
        let job = store::jobs::find_job(&mut conn, caller.account, id).await?.ok_or_else(|| not_found("job"))?;
        let parts = store::job_detail::list_outputs(&mut conn, id).await?;
        let admitted = store::jobs::load_job(&mut conn, id).await?.ok_or_else(|| not_found("job"))?;
        let mut start = 0;
        let columns = job.outputs.iter().map(|field| {
            let column = Column { field: field.clone(), start, words: words(&admitted.task) };
            start += column.bytes();
            column
        });
        Ok(Self { columns: columns.collect(), parts, job })
    }

    fn row_bytes(&self) -> u64 {
        self.job.outputs.iter().map(Field::bytes).sum::<u64>().max(1)
    }

    fn count(&self) -> u64 {
        self.parts.iter().map(|part| rows_of(&self.job, part)).map(|rows| rows.end - rows.start).sum()
    }

    /// The numbers of the first verified rows.
    fn row_numbers(&self) -> impl Iterator<Item = u64> {
        self.parts.iter().flat_map(|part| rows_of(&self.job, part))
    }

    /// An output of one of the verified rows, and nothing else of it.
    async fn read_row(&self, app: &App, column: &Column, row: u64) -> ApiResult<Bytes> {
        let lost = || gone(ErrorCode::ResultDamaged, "this row is lost on the server");
        let mut before = 0;
        for part in &self.parts {
            let rows = rows_of(&self.job, part);
            let count = rows.end - rows.start;
            if row < before + count {
                let place = row - before;
                let notes = place / self.job.tile_rows.max(1) * programs::tile_note_bytes(&self.job.program);
                let start = place * self.row_bytes() + notes + number::to::<u64>(column.start);
                let range = start..start + column.field.bytes();
                let read = app.blobs.read_range(part.blob, range).await;
                return read.map_err(|error| {
                    tracing::warn!(%error, blob = %part.blob, "a row to look at cannot be read");
                    lost()
                });
            }
            before += count;
        }
        Err(lost())
    }

    /// Of so many rows from the first verified one on.
    async fn read(&self, app: &App, rows: u64) -> ApiResult<Vec<u8>> {
        let wanted = number::to::<usize>(rows * self.row_bytes());
        let mut bytes = Vec::with_capacity(wanted);
        let mut pieces = Box::pin(stream_blobs(app, Pieces::whole(&self.job, &self.parts)));
        while bytes.len() < wanted {
            let piece = pieces.try_next().await.map_err(|_unreadable| {
                gone(ErrorCode::ResultDamaged, "tiles are lost on the server: 'partial' of the result gives the rest")
            })?;
            let Some(piece) = piece else { break };
            bytes.extend_from_slice(&piece);
        }
        bytes.truncate(wanted);
        Ok(bytes)
    }
}

fn words(task: &Task) -> Vec<DType> {
    let Task::Map(task) = task else { return Vec::new() };
    let runs = task.words.iter().flat_map(|run| std::iter::repeat_n(run.dtype, number::to(run.words)));
    let words: Vec<DType> = runs.take(table::VALUES_MAX).collect();
    if words.is_empty() { vec![DType::Uint32] } else { words }
}

/// Look at the beginning of a job's result
///
/// The first verified rows, whatever became of the job, and what classes they are of where they look like classes.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/preview",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The job")),
    responses(
        (status = 200, description = "Nothing of it, as long as nothing is verified", body = JobPreview),
        Refusals<(Caller, PathParam<JobId>, RateLimited, ResultDamaged)>
    )
)]
pub async fn job_preview(
    caller: Caller,
    State(app): State<App>,
    PathParam(id): PathParam<JobId>,
) -> ApiResult<Json<JobPreview>> {
    let verified = Verified::find(&app, &caller, id).await?;
    let row_bytes = verified.row_bytes();
    let rows = verified.count().min((BYTES_AIM / row_bytes).max(1));
    if row_bytes > BYTES_MAX || rows == 0 {
        return Ok(Json(JobPreview::default()));
    }
    app.limits.check(Action::DrawPage, caller.account)?;
    let _place = PLACES.acquire().await.map_err(anyhow::Error::from)?;
    let bytes = verified.read(&app, rows).await?;
    let look = move || {
        let numbers: Vec<u64> = verified.row_numbers().take(table::ROWS_MAX).collect();
        let outputs = verified.columns.iter().map(|column| {
            let pictures = match Layout::of(column, &verified.job) {
                Some(Layout::Row { .. }) => verified.count().min(PICTURES_MAX),
                Some(Layout::Records { .. }) if verified.count() == verified.job.rows => 1,
                Some(Layout::Records { .. }) | None => 0,
            };
            table::preview(column, &bytes, (row_bytes, &numbers), pictures)
        });
        JobPreview { rows, outputs: outputs.collect() }
    };
    Ok(Json(tokio::task::spawn_blocking(look).await.map_err(anyhow::Error::from)?))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PictureParams {
    /// Which output, counted from zero.
    #[serde(default)]
    output: usize,
    /// Which of the first verified rows, counted from zero.
    #[serde(default)]
    #[param(maximum = 3)]
    row: u64,
}

/// Look at a row of a job's result as a picture
///
/// Where the preview says that it is one. A kernel's records are a picture where each is a pixel, and there are as many as
/// in a square.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/preview/picture",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The job"), PictureParams),
    responses(
        (status = 200, description = "The picture", body = Binary, content_type = "image/png"),
        Refusals<(Caller, PathParam<JobId>, QueryParams<PictureParams>, OutOfBounds, RateLimited, ResultDamaged)>
    )
)]
pub async fn job_picture(
    caller: Caller,
    State(app): State<App>,
    PathParam(id): PathParam<JobId>,
    QueryParams(params): QueryParams<PictureParams>,
) -> ApiResult<Response> {
    let verified = Verified::find(&app, &caller, id).await?;
    let refuse = |field: &str| invalid(ErrorCode::MalformedRequest, field, "that is no picture of this job");
    let column = verified.columns.get(params.output).ok_or_else(|| refuse("output"))?;
    let layout = Layout::of(column, &verified.job).ok_or_else(|| refuse("output"))?;
    let count = verified.count();
    let of_rows = matches!(layout, Layout::Row { .. });
    let is_there =
        if of_rows { params.row < count.min(PICTURES_MAX) } else { params.row == 0 && count == verified.job.rows };
    if !is_there || column.field.bytes() > BYTES_MAX {
        return Err(refuse("row"));
    }
    app.limits.check(Action::DrawPage, caller.account)?;
    let _place = PLACES.acquire().await.map_err(anyhow::Error::from)?;
    let bytes = if of_rows {
        verified.read_row(&app, column, params.row).await?
    } else {
        verified.read(&app, count).await?.into()
    };
    let column = verified.columns.into_iter().nth(params.output).ok_or_else(|| refuse("output"))?;
    let drawn = tokio::task::spawn_blocking(move || picture::encode(layout, &column, &bytes)).await;
    let png = drawn.map_err(anyhow::Error::from)??;
    let headers = [(CONTENT_TYPE, "image/png"), (CACHE_CONTROL, "private, max-age=60")];
    Ok((headers, png).into_response())
}
