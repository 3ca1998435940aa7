//! A finished job's output, streamed in order from the blobs of its receipts: an array as `.npy`,
//! several as `.npz`, a map's records as they are, or row by row as CSV or JSON.

use std::ops::Range;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use serde::Deserialize;
use store::job_detail::OutputPart;
use wire::{BlobHash, DType, ErrorCode, Field, Job, JobId, JobState};

use super::notes::TileNotes;
use crate::app::App;
use crate::arrays::npy;
use crate::arrays::npz::NpzWriter;
use crate::arrays::rows::{self, Format};
use crate::auth::Caller;
use crate::http::attachment::{attachment, plain_name};
use crate::http::error::{ApiError, ApiResult, conflict, gone, invalid, not_found};
use crate::http::extract::{PathParam, QueryParams};
use crate::http::resume::{Known, Resume, Whole};
use crate::openapi::answers::{Binary, JobNotDone, OutOfBounds, RangeBehindEnd, Refusals, ResultDamaged};
use crate::programs;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ResultParams {
    /// `npy`, `npz`, `csv`, `json` or `bin`.
    format: Option<String>,
    /// Which output, where there are several.
    output: Option<String>,
    /// What is verified so far, whatever became of the job: every output with zeros for the rows that are missing, and
    /// `rows_present`, which says which rows are there. As `npz`.
    #[serde(default)]
    partial: bool,
}

/// Download a job's result
///
/// `format` is `npy` (one array), `npz` (all of them), `csv` (a row a line), `json` (`shape` and
/// `rows`) or `bin` (row after row, without a head). Left out: `npy`, or `npz` where there are several
/// outputs, or `bin` for a map's records. `output` names one of several. Of a job that is not done, `partial` asks for
/// what is verified and paid.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/result",
    tag = "jobs",
    params(
        ("id" = JobId, Path, description = "The job"),
        ResultParams,
        ("Range" = Option<String>, Header, description = "What is wanted of the file: after a download that broke off, the rest. With `If-Range: ETAG` all of it comes where it is another file by now", example = "bytes=0-")
    ),
    responses(
        (status = 200, description = "The file; as CSV or JSON where that is asked for", body = Binary, content_type = "application/octet-stream"),
        (status = 206, description = "The part that `Range` asks for: of `npy`, `npz` and `bin`, under the `ETag` that came before", body = Binary, content_type = "application/octet-stream"),
        (status = 304, description = "`If-None-Match` has it already"),
        Refusals<(Caller, PathParam<JobId>, QueryParams<ResultParams>, OutOfBounds, JobNotDone, ResultDamaged, RangeBehindEnd)>
    )
)]
pub async fn job_result(
    caller: Caller,
    State(app): State<App>,
    PathParam(id): PathParam<JobId>,
    QueryParams(params): QueryParams<ResultParams>,
    resume: Resume,
) -> ApiResult<Response> {
    let (job, outputs) = {
        let mut conn = app.db.read().await?;
        let job = store::jobs::find_job(&mut conn, caller.account, id).await?.ok_or_else(|| not_found("job"))?;
        (job, store::job_detail::list_outputs(&mut conn, id).await?)
    };
    if params.partial {
        if params.format.as_deref().is_some_and(|format| format != "npz") {
            let message = "a partial result comes as 'npz', with 'rows_present' beside the outputs";
            return Err(invalid(ErrorCode::MalformedRequest, "format", message));
        }
        let outputs = intact(&app, outputs).await?;
        let (pieces, present) = (Pieces::with_gaps(&job, &outputs), Some(rows_present(&job, &outputs)));
        let file = Whole { size: None, version: None, body: npz_body(&app, &job, &pieces, present) };
        return Ok(resume.answer(headers(&job, "npz", BINARY), file));
    }
    if job.state != JobState::Done {
        let message = format!(
            "this job is {}; only a done job has a result: 'partial' asks for what is verified",
            job.state.name()
        );
        return Err(conflict(ErrorCode::JobNotDone, message));
    }
    if let Some(part) = find_lost(&app, &outputs).await? {
        tracing::error!(job = %job.id, blob = %part.blob, "a result's output is lost");
        let message = format!("tiles from {} on are lost on the server: 'partial' gives the rest", part.first_tile);
        return Err(gone(ErrorCode::ResultDamaged, message));
    }
    let outputs = Pieces::whole(&job, &outputs);
    let arrays = if params.output.is_some() { 1 } else { job.outputs.len() };
    let usual = programs::result_format(&job.program, arrays);
    let blobs = || stream_blobs(&app, outputs.clone());
    let one = || Column::find(&job, params.output.as_deref());
    let format = params.format.as_deref().unwrap_or(usual);
    // What is done does not change.
    let version = |place: usize| format!("{}.{place}.{format}", job.id);
    let text = |format: Format| {
        let column = one()?;
        let body = rows::text(format, column.field.dtype, &column.shape(), column.cut(blobs())).boxed();
        let file = Whole { size: None, version: None, body };
        Ok(resume.answer(headers(&job, format.ending(), format.content_type()), file))
    };
    match format {
        "npy" => {
            let column = one()?;
            let file = Known::new(column.size(), &version(column.place));
            let open = |first| column.file_from(&app, &outputs, first);
            Ok(resume.answer_from(headers(&job, format, BINARY), &file, open))
        }
        "npz" => {
            let (size, version) = (npz_size(&job)?, Some(version(0)));
            let file = Whole { size, version, body: npz_body(&app, &job, &outputs, None) };
            Ok(resume.answer(headers(&job, format, BINARY), file))
        }
        "csv" => text(Format::Csv),
        "json" => text(Format::Json),
        "bin" => {
            let row_bytes: u64 = job.outputs.iter().map(Field::bytes).sum();
            let open = |first: u64| {
                let (row, pieces) = outputs.pieces_at(first.checked_div(row_bytes).unwrap_or(0), row_bytes);
                (row * row_bytes, stream_blobs(&app, pieces).boxed())
            };
            let file = Known::new(job.rows * row_bytes, &version(0));
            Ok(resume.answer_from(headers(&job, format, BINARY), &file, open))
        }
        _ => {
            let message = "a result comes as 'npy', 'npz', 'csv', 'json' or 'bin'";
            Err(invalid(ErrorCode::MalformedRequest, "format", message))
        }
    }
}

/// Outputs that are looked for at a time.
const LOOKS_AT_ONCE: usize = 32;

/// The first that is not there any more.
async fn find_lost(app: &App, outputs: &[OutputPart]) -> anyhow::Result<Option<OutputPart>> {
    let looks = outputs.iter().map(|part| {
        let (blobs, part) = (app.blobs.clone(), *part);
        async move { Ok::<_, anyhow::Error>(blobs.is_lost(part.blob).await?.then_some(part)) }
    });
    let looks: Vec<_> = looks.collect();
    let mut looks = stream::iter(looks).buffered(LOOKS_AT_ONCE);
    while let Some(lost) = looks.try_next().await? {
        if lost.is_some() {
            return Ok(lost);
        }
    }
    Ok(None)
}

/// Those that are still what was uploaded.
async fn intact(app: &App, outputs: Vec<OutputPart>) -> anyhow::Result<Vec<OutputPart>> {
    let mut kept = Vec::new();
    for part in outputs {
        if app.blobs.is_intact(part.blob).await? {
            kept.push(part);
        }
    }
    Ok(kept)
}

type Chunk = Result<Bytes, std::io::Error>;

/// Of a result, one after another.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    notes: TileNotes,
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug)]
enum Piece {
    /// A lease's output, with so many bytes of rows.
    Blob(BlobHash, u64),
    /// Bytes of rows that are not there.
    Zeros(u64),
}

impl Pieces {
    pub(super) fn whole(job: &Job, outputs: &[OutputPart]) -> Self {
        Self { notes: TileNotes::of(job), pieces: outputs.iter().map(|part| Piece::of(job, part)).collect() }
    }

    /// Without those whose rows all lie before this one; and the row that they begin with.
    fn pieces_at(&self, row: u64, row_bytes: u64) -> (u64, Self) {
        let mut begins = 0;
        let is_before = |piece: &&Piece| {
            let (Piece::Blob(_, bytes) | Piece::Zeros(bytes)) = piece;
            let end = begins + bytes.checked_div(row_bytes).unwrap_or(0);
            let is_before = end <= row;
            begins = if is_before { end } else { begins };
            is_before
        };
        let before = self.pieces.iter().take_while(is_before).count();
        (begins, Self { notes: self.notes, pieces: self.pieces[before..].to_vec() })
    }

    /// With zeros where nothing is verified.
    fn with_gaps(job: &Job, outputs: &[OutputPart]) -> Self {
        let row_bytes: u64 = job.outputs.iter().map(Field::bytes).sum();
        let (mut pieces, mut row) = (Vec::new(), 0);
        for part in outputs {
            let rows = rows_of(job, part);
            pieces.extend((rows.start > row).then(|| Piece::Zeros((rows.start - row) * row_bytes)));
            pieces.push(Piece::of(job, part));
            row = rows.end;
        }
        pieces.extend((job.rows > row).then(|| Piece::Zeros((job.rows - row) * row_bytes)));
        Self { notes: TileNotes::of(job), pieces }
    }
}

impl Piece {
    fn of(job: &Job, part: &OutputPart) -> Self {
        let rows = rows_of(job, part);
        Self::Blob(part.blob, (rows.end - rows.start) * job.outputs.iter().map(Field::bytes).sum::<u64>())
    }
}

pub(super) fn rows_of(job: &Job, part: &OutputPart) -> Range<u64> {
    part.first_tile * job.tile_rows..((part.first_tile + part.tiles) * job.tile_rows).min(job.rows)
}

/// A byte a row: 1 for one that is there.
fn rows_present(job: &Job, outputs: &[OutputPart]) -> BoxStream<'static, Chunk> {
    let (mut runs, mut row) = (Vec::new(), 0);
    for part in outputs {
        let rows = rows_of(job, part);
        runs.extend([(&ZEROS, rows.start - row), (&ONES, rows.end - rows.start)]);
        row = rows.end;
    }
    runs.push((&ZEROS, job.rows - row));
    stream::iter(runs).flat_map(|(byte, rows)| repeat(byte, rows)).boxed()
}

const REPEATED: usize = 1 << 16;
static ZEROS: [u8; REPEATED] = [0; REPEATED];
static ONES: [u8; REPEATED] = [1; REPEATED];

fn repeat(byte: &'static [u8; REPEATED], bytes: u64) -> impl Stream<Item = Chunk> + Send {
    stream::unfold(bytes, move |left| async move {
        let len = left.min(wire::number::to(REPEATED));
        (len > 0).then(|| (Ok(Bytes::from_static(&byte[..wire::number::to(len)])), left - len))
    })
}

pub(super) fn stream_blobs(app: &App, pieces: Pieces) -> impl Stream<Item = Chunk> + Send + use<> {
    let (blobs, notes) = (app.blobs.clone(), pieces.notes);
    stream::iter(pieces.pieces)
        .then(move |piece| {
            let blobs = blobs.clone();
            async move {
                match piece {
                    Piece::Blob(hash, bytes) => {
                        let stream = blobs.stream(hash).await.map_err(std::io::Error::other)?;
                        Ok(stream.map_err(std::io::Error::other).map_ok(notes.strip(bytes)).boxed())
                    }
                    Piece::Zeros(bytes) => Ok::<_, std::io::Error>(repeat(&ZEROS, bytes).boxed()),
                }
            }
        })
        .try_flatten()
}

/// One output among those that lie side by side in each row.
#[derive(Clone, Debug)]
struct Column {
    place: usize,
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
            place,
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

    /// The `.npy` file.
    fn file(&self, blobs: impl Stream<Item = Chunk> + Send + 'static) -> BoxStream<'static, Chunk> {
        let head = self.head();
        stream::once(async move { Ok(head.into()) }).chain(self.cut(blobs)).boxed()
    }

    /// The `.npy` file from this byte on, or from one before it; and which one that is.
    fn file_from(&self, app: &App, pieces: &Pieces, first: u64) -> (u64, BoxStream<'static, Chunk>) {
        let head: u64 = wire::number::to(self.head().len());
        let Some(row) = first.checked_sub(head).and_then(|place| place.checked_div(self.field.bytes())) else {
            return (0, self.file(stream_blobs(app, pieces.clone())));
        };
        let (row, pieces) = pieces.pieces_at(row, self.row_bytes);
        (head + row * self.field.bytes(), self.cut(stream_blobs(app, pieces)))
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
    let stem = plain_name(&job.name).unwrap_or_else(|| job.id.to_string());
    [
        ("content-type", content_type.to_owned()),
        ("content-disposition", attachment(&format!("{stem}.{ending}"))),
        ("cache-control", "private, no-store".to_owned()),
    ]
}

const BINARY: &str = "application/octet-stream";

/// Of the whole `.npz`, where that is known before it is made.
fn npz_size(job: &Job) -> anyhow::Result<Option<u64>> {
    let columns = (0..job.outputs.len()).map(|place| Column::at(job, place));
    let arrays: Vec<(String, u64)> = columns.map(|column| (column.field.name.clone(), column.size())).collect();
    Ok(NpzWriter::size_of(&arrays)?)
}

/// Every output, one after another; each goes through the blobs anew. `present` tells which rows are there.
fn npz_body(
    app: &App,
    job: &Job,
    outputs: &Pieces,
    present: Option<BoxStream<'static, Chunk>>,
) -> BoxStream<'static, Chunk> {
    let (app, outputs) = (app.clone(), outputs.clone());
    let rows = job.rows;
    let columns: Vec<Column> = (0..job.outputs.len()).map(|place| Column::at(job, place)).collect();
    let (sender, receiver) = tokio::sync::mpsc::channel::<Chunk>(4);
    let tasks = app.tasks.clone();
    tasks.spawn(async move {
        let mut writer = NpzWriter::default();
        let written = async {
            let present = present.map(|values| {
                let head = npy::head(DType::Bool, &[rows]);
                ("rows_present", wire::number::to::<u64>(head.len()) + rows, head, values)
            });
            let arrays = columns.iter().map(|column| {
                let values = column.cut(stream_blobs(&app, outputs.clone()));
                (column.field.name.as_str(), column.size(), column.head(), values)
            });
            for (name, size, head, mut values) in present.into_iter().chain(arrays) {
                writer.begin(name, size)?;
                writer.write(&head)?;
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
    chunks_of(receiver).boxed()
}

fn chunks_of(receiver: tokio::sync::mpsc::Receiver<Chunk>) -> impl Stream<Item = Chunk> {
    stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|chunk| (chunk, receiver)) })
}
