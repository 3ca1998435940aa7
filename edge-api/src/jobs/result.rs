//! A finished job's output, streamed in order from the blobs of its receipts: an array as `.npy`,
//! several as `.npz`, a map's records as they are, or row by row as CSV or JSON.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use serde::Deserialize;
use wire::{BlobHash, ErrorCode, Field, Job, JobId, JobState};

use crate::app::App;
use crate::arrays::npy;
use crate::arrays::npz::NpzWriter;
use crate::arrays::rows::{Format, RowWriter};
use crate::auth::Caller;
use crate::http::error::{ApiError, ApiResult, conflict, invalid, not_found};
use crate::http::extract::{PathParam, QueryParams};
use crate::openapi::answers::{Binary, JobNotDone, OutOfBounds, Refusals};
use crate::programs;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ResultParams {
    /// `npy`, `npz`, `csv`, `json` or `bin`.
    format: Option<String>,
    /// Which output, where there are several.
    output: Option<String>,
}

/// Download a job's result
///
/// `format` is `npy` (one array), `npz` (all of them), `csv` (a row a line), `json` (`shape` and
/// `rows`) or `bin` (row after row, without a head). Left out: `npy`, or `npz` where there are several
/// outputs, or `bin` for a map's records. `output` names one of several.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/result",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The job"), ResultParams),
    responses(
        (status = 200, description = "The file; as CSV or JSON where that is asked for", body = Binary, content_type = "application/octet-stream"),
        Refusals<(Caller, PathParam<JobId>, QueryParams<ResultParams>, OutOfBounds, JobNotDone)>
    )
)]
pub async fn job_result(
    caller: Caller,
    State(app): State<App>,
    PathParam(id): PathParam<JobId>,
    QueryParams(params): QueryParams<ResultParams>,
) -> ApiResult<Response> {
    let (job, outputs) = {
        let mut conn = app.db.read().await?;
        let job = store::jobs::find_job(&mut conn, caller.account, id).await?.ok_or_else(|| not_found("job"))?;
        (job, store::job_detail::list_outputs(&mut conn, id).await?)
    };
    if job.state != JobState::Done {
        let message = format!("this job is {}; only a done job has a result", job.state.name());
        return Err(conflict(ErrorCode::JobNotDone, message));
    }
    let arrays = if params.output.is_some() { 1 } else { job.outputs.len() };
    let usual = programs::result_format(&job.program, arrays);
    let blobs = || stream_blobs(&app, outputs.clone());
    let one = || Column::find(&job, params.output.as_deref());
    match params.format.as_deref().unwrap_or(usual) {
        "npy" => one().map(|column| npy_response(&job, &column, column.cut(blobs()))),
        "npz" => Ok(npz_response(&app, &job, &outputs)),
        "csv" => one().map(|column| text_response(&job, Format::Csv, &column, column.cut(blobs()))),
        "json" => one().map(|column| text_response(&job, Format::Json, &column, column.cut(blobs()))),
        "bin" => Ok(bin_response(&job, blobs())),
        _ => {
            let message = "a result comes as 'npy', 'npz', 'csv', 'json' or 'bin'";
            Err(invalid(ErrorCode::MalformedRequest, "format", message))
        }
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

/// One output among those that lie side by side in each row.
#[derive(Clone, Debug)]
struct Column {
    field: Field,
    rows: u64,
    row_bytes: u64,
    /// Of the output in a row, in bytes.
    start: u64,
}

impl Column {
    /// The output of that name, or the only one.
    fn find(job: &Job, name: Option<&str>) -> Result<Self, ApiError> {
        let names = || job.outputs.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ");
        let place = match name {
            None if job.outputs.len() == 1 => 0,
            None => {
                let message = format!("say which: {}", names());
                return Err(invalid(ErrorCode::MalformedRequest, "output", message));
            }
            Some(name) => job.outputs.iter().position(|field| field.name == name).ok_or_else(|| {
                let message = format!("there is no output '{name}'; there are: {}", names());
                invalid(ErrorCode::MalformedRequest, "output", message)
            })?,
        };
        Ok(Self::at(job, place))
    }

    fn at(job: &Job, place: usize) -> Self {
        Self {
            field: job.outputs[place].clone(),
            rows: job.rows,
            row_bytes: job.outputs.iter().map(Field::bytes).sum(),
            start: job.outputs[..place].iter().map(Field::bytes).sum(),
        }
    }

    fn shape(&self) -> Vec<u64> {
        let rows = (!self.field.whole).then_some(self.rows);
        rows.into_iter().chain(self.field.shape.iter().copied()).collect()
    }

    fn head(&self) -> Vec<u8> {
        npy::head(self.field.dtype, &self.shape())
    }

    /// Of the `.npy` file.
    fn size(&self) -> u64 {
        u64::try_from(self.head().len()).unwrap_or(0) + self.rows * self.field.bytes()
    }

    /// This output's bytes of each row.
    fn cut(&self, blobs: impl Stream<Item = Chunk> + Send + 'static) -> BoxStream<'static, Chunk> {
        let (row_bytes, own) = (self.row_bytes, self.start..self.start + self.field.bytes());
        if own == (0..row_bytes) {
            return blobs.boxed();
        }
        let mut at = 0u64;
        blobs
            .map_ok(move |chunk| {
                let mut kept = Vec::new();
                let mut rest = &chunk[..];
                while !rest.is_empty() {
                    let place = at % row_bytes;
                    // To the next place where keeping begins or ends.
                    let stop = [own.start, own.end, row_bytes].into_iter().find(|stop| *stop > place);
                    let len = usize::try_from(stop.unwrap_or(row_bytes) - place).unwrap_or(usize::MAX).min(rest.len());
                    let (now, after) = rest.split_at(len);
                    if own.contains(&place) {
                        kept.extend_from_slice(now);
                    }
                    at += u64::try_from(len).unwrap_or(0);
                    rest = after;
                }
                kept.into()
            })
            .boxed()
    }
}

fn headers(job: &Job, ending: &str, content_type: &str) -> [(&'static str, String); 3] {
    [
        ("content-type", content_type.to_owned()),
        ("content-disposition", format!("attachment; filename=\"{}.{ending}\"", job.id)),
        ("cache-control", "private, no-store".to_owned()),
    ]
}

const BINARY: &str = "application/octet-stream";

fn npy_response(job: &Job, column: &Column, values: BoxStream<'static, Chunk>) -> Response {
    let head = column.head();
    let body = stream::once(async move { Ok(head.into()) }).chain(values);
    let size = [("content-length", column.size().to_string())];
    (headers(job, "npy", BINARY), size, Body::from_stream(body)).into_response()
}

fn bin_response(job: &Job, blobs: impl Stream<Item = Chunk> + Send + 'static) -> Response {
    let size = job.rows * job.outputs.iter().map(Field::bytes).sum::<u64>();
    (headers(job, "bin", BINARY), [("content-length", size.to_string())], Body::from_stream(blobs)).into_response()
}

/// Every output, one after another; each goes through the blobs anew.
fn npz_response(app: &App, job: &Job, outputs: &[BlobHash]) -> Response {
    let (app, outputs) = (app.clone(), outputs.to_vec());
    let columns: Vec<Column> = (0..job.outputs.len()).map(|place| Column::at(job, place)).collect();
    let (sender, receiver) = tokio::sync::mpsc::channel::<Chunk>(4);
    let tasks = app.tasks.clone();
    tasks.spawn(async move {
        let mut writer = NpzWriter::default();
        let written = async {
            for column in &columns {
                writer.begin(&column.field.name, column.size())?;
                writer.write(&column.head())?;
                let mut values = column.cut(stream_blobs(&app, outputs.clone()));
                while let Some(chunk) = values.try_next().await? {
                    writer.write(&chunk)?;
                    if sender.send(Ok(writer.take())).await.is_err() {
                        // The customer went away.
                        return Ok(Bytes::new());
                    }
                }
            }
            writer.finish()
        };
        tokio::select! {
            () = app.stop.cancelled() => {}
            last = written => sender.send(last).await.unwrap_or_default(),
        }
    });
    let body = Body::from_stream(chunks_of(receiver));
    (headers(job, "npz", BINARY), body).into_response()
}

fn chunks_of(receiver: tokio::sync::mpsc::Receiver<Chunk>) -> impl Stream<Item = Chunk> {
    stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|chunk| (chunk, receiver)) })
}

fn text_response(job: &Job, format: Format, column: &Column, values: BoxStream<'static, Chunk>) -> Response {
    let writer = RowWriter::new(format, column.field.dtype, &column.shape());
    let body = stream::unfold(Some((values, writer)), |state| async move {
        let (mut values, mut writer) = state?;
        match values.next().await {
            Some(Ok(chunk)) => Some((Ok(writer.write(&chunk)), Some((values, writer)))),
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Ok(writer.finish()), None)),
        }
    });
    (headers(job, format.ending(), format.content_type()), Body::from_stream(body)).into_response()
}
