//! A request turned into a job that can run: the model checked, the input's head read, tiles cut.

use std::sync::Arc;

use axum::http::StatusCode;
use gpu_kernels::graph::{Graph, ModelError, Signature};
use wire::{BlobHash, Check, CheckedBy, Credits, DType, ErrorCode, Field, Infer, InferTask, Privacy, Program, Task};

use super::inputs::{self, Inputs, Source};
use super::kernel;
use crate::app::App;
use crate::auth::Caller;
use crate::billing::{self, TileWork};
use crate::blobs;
use crate::error::{ApiError, Refusal, invalid};
use crate::scheduling::core::Census;
use crate::verification::checkers::Checkers;
use crate::verification::{self, CHECKER_FLOPS_MAX, EDGE_FLOPS_MAX};

/// Work of a tile that the edge chooses: a CPU redoes it well inside 50 ms.
pub const TILE_FLOPS_AIM: u64 = 20_000_000;
/// Tiles that a job is cut into where it has rows enough, so that many devices can share it.
const TILES_AIM: u64 = 256;
/// Input and output of one tile together, in bytes.
pub const TILE_BYTES_AIM: u64 = 4 << 20;
const TILE_BYTES_MAX: u64 = 64 << 20;
const TILES_MAX: u64 = 1 << 20;

/// A job that can run, with what it will cost.
#[derive(Clone, Debug)]
pub struct JobSpec {
    pub program: Program,
    pub privacy: Privacy,
    pub task: Task,
    /// Where each input's values begin, in the task's order.
    pub sources: Vec<Source>,
    pub check: Check,
    pub checked_by: CheckedBy,
    pub work: TileWork,
    /// Of the largest buffer.
    pub device_bytes: u64,
    /// Of all that is alive at once.
    pub peak_bytes: u64,
    pub cost: Credits,
}

/// How a job is cut into tiles, and what a device needs for one.
pub struct Cut {
    pub rows: u64,
    pub tile_rows: u64,
    pub row_flops: u64,
    pub device_bytes: u64,
    pub peak_bytes: u64,
}

impl JobSpec {
    pub async fn read(app: &App, caller: Caller, program: Program, privacy: Privacy) -> Result<Self, ApiError> {
        let has_checkers = !app.config.checkers.is_empty();
        let (task, sources, check, cut) = match &program {
            Program::Infer(Infer { model, input, inputs: named, tile_rows }) => {
                let graph = load_model(app, caller, *model).await?;
                let sent = inputs::receive(app, caller, &graph, *input, named).await?;
                let limits = (*tile_rows, if has_checkers { CHECKER_FLOPS_MAX } else { EDGE_FLOPS_MAX });
                let (fed, cut, outputs) = match try_cut(&graph, inputs::by_rows(app, &graph, &sent).await, limits).await
                {
                    Err(ApiError::Refused(refusal)) if tile_rows.is_none() && is_about_rows(&refusal) => {
                        let whole = try_cut(&graph, inputs::as_whole(app, &graph, &sent).await, limits).await;
                        // Most models have rows, so the advice is for those.
                        whole.map_err(|_whole| ApiError::Refused(refusal))?
                    }
                    other => other?,
                };
                (Task::Infer(InferTask { model: *model, inputs: fed.fields, outputs }), fed.sources, Check::Exact, cut)
            }
            Program::Map(_) => kernel::read(app, caller, &program).await?,
        };
        let price = app.config.price();
        let work = TileWork {
            rows: cut.rows,
            tile_rows: cut.tile_rows,
            tiles: cut.rows.div_ceil(cut.tile_rows),
            row_flops: cut.row_flops,
            price,
        };
        let cost = billing::cost_of_tiles(&work, 0, work.tiles)
            .map_err(|error| invalid(ErrorCode::TooLarge, "input", error.to_string()))?;
        let tile_flops = work.tile_rows.saturating_mul(work.row_flops);
        let checked_by = verification::checked_by(&task, tile_flops, has_checkers);
        Ok(Self {
            program,
            privacy,
            task,
            sources,
            check,
            checked_by,
            work,
            device_bytes: cut.device_bytes,
            peak_bytes: cut.peak_bytes,
            cost,
        })
    }

    pub fn quote(&self, census: Census) -> wire::Quote {
        let flops = self.work.row_flops.saturating_mul(self.work.rows);
        wire::Quote {
            rows: self.work.rows,
            inputs: self.task.inputs(),
            outputs: self.task.outputs(),
            tile_rows: self.work.tile_rows,
            tiles: self.work.tiles,
            flops,
            price: self.work.price,
            cost: self.cost,
            device_bytes: self.device_bytes,
            peak_bytes: self.peak_bytes,
            checked_by: self.checked_by,
            devices: census.fitting,
            seconds: (census.fitting > 0).then(|| flops.div_ceil(census.flops_per_sec.max(1))),
        }
    }
}

/// Whether arrays that were refused as rows may do as they are.
fn is_about_rows(refusal: &Refusal) -> bool {
    use ErrorCode::{InputMismatch, InvalidInput, InvalidModel, TooLarge};
    matches!(refusal.body.code, InvalidModel | InputMismatch | InvalidInput | TooLarge)
}

async fn load_model(app: &App, caller: Caller, model: BlobHash) -> Result<Arc<Graph>, ApiError> {
    let owned = blobs::store::find_owned_blob(&mut *app.db.read().await?, caller.account, model).await?;
    let blob = owned.ok_or_else(|| unknown_blob("model"))?;
    app.models.load(&app.blobs, blob.hash).await?.map_err(|error| refuse_model(&error))
}

/// Shapes and costs of a large graph take a while; nothing else should wait for that.
async fn try_cut(
    graph: &Arc<Graph>,
    fed: Result<Inputs, ApiError>,
    (wanted, most): (Option<u32>, u64),
) -> Result<(Inputs, Cut, Vec<Field>), ApiError> {
    let (graph, fed) = (Arc::clone(graph), fed?);
    let cutting = tokio::task::spawn_blocking(move || {
        let (cut, outputs) = cut(&graph, &fed, wanted, most)?;
        Ok((fed, cut, outputs))
    });
    cutting.await.map_err(anyhow::Error::from)?
}

/// Tiles of at most `most` operations.
fn cut(graph: &Graph, fed: &Inputs, wanted: Option<u32>, most: u64) -> Result<(Cut, Vec<Field>), ApiError> {
    let refuse = |error: ModelError| refuse_model(&error);
    let rows = fed.rows;
    let signature = graph.signature(&fed.feeds).map_err(refuse)?;
    let outputs = outputs(&signature, fed.fields.iter().any(|field| field.whole))?;
    // Where rows are mixed the work may grow faster than their number.
    let turn = u64::try_from(signature.turn).unwrap_or(u64::MAX);
    let batch = if signature.mixed_by.is_some() { rows } else { turn };
    let too_many = || invalid(ErrorCode::TooLarge, "input", format!("{rows} rows are too many"));
    let plan = graph.plan(usize::try_from(batch).map_err(|_too_large| too_many())?, &fed.feeds).map_err(refuse)?;
    let flops = plan.flops();
    let bytes = |fields: &[Field], shared| {
        fields.iter().filter(|field| field.shared == shared).fold(0u64, |sum, field| sum.saturating_add(field.bytes()))
    };
    let row_bytes = bytes(&fed.fields, false).saturating_add(bytes(&outputs, false)).max(1);
    let shared_bytes = bytes(&fed.fields, true);
    let wanted = if signature.mixed_by.is_some() { Some(rows) } else { wanted.map(u64::from) };
    // Where rows run one by one their plan should not grow too long.
    let at_once = u64::try_from(signature.rows_at_once).unwrap_or(u64::MAX);
    let costs = (flops.div_ceil(batch), row_bytes, at_once);
    let tile_rows = match wanted {
        Some(_) => tile_rows(rows, costs, wanted, "tile_rows")?,
        None => tile_rows(rows, costs, None, "tile_rows")?.next_multiple_of(turn).min(rows),
    };
    // A turn that is not full costs as much as one that is.
    let row_flops = flops.saturating_mul(tile_rows.div_ceil(batch)).div_ceil(tile_rows).max(1);
    let tile_flops = tile_rows.saturating_mul(row_flops);
    let tile_bytes = tile_rows.saturating_mul(row_bytes).saturating_add(shared_bytes);
    if tile_flops > most || tile_bytes > TILE_BYTES_MAX {
        let why = signature
            .mixed_by
            .map_or_else(String::new, |node| format!("node '{node}' mixes rows, so all of them are one tile, and "));
        let message = format!(
            "{why}a tile of {tile_rows} rows takes {tile_flops} operations and {tile_bytes} bytes; at most {most} and {TILE_BYTES_MAX} can be checked: use fewer rows a tile, or a smaller model"
        );
        return Err(invalid(ErrorCode::RowTooHeavy, "model", message));
    }
    let tile = graph.plan(usize::try_from(tile_rows).unwrap_or(usize::MAX), &fed.feeds).map_err(refuse)?;
    let cut =
        Cut { rows, tile_rows, row_flops, device_bytes: tile.buffer_bytes_max(), peak_bytes: tile.device_bytes() };
    Ok((cut, outputs))
}

/// Rows a tile: as many as are wanted, or a moment's work of them.
pub fn tile_rows(
    rows: u64,
    (row_flops, row_bytes, at_once): (u64, u64, u64),
    wanted: Option<u64>,
    field: &str,
) -> Result<u64, ApiError> {
    let tile_rows = wanted.unwrap_or_else(|| {
        let by_work = TILE_FLOPS_AIM / row_flops.max(1);
        let by_bytes = TILE_BYTES_AIM / row_bytes.max(1);
        by_work.min(by_bytes).min(at_once).min(rows.div_ceil(TILES_AIM)).max(rows.div_ceil(TILES_MAX)).max(1)
    });
    if tile_rows == 0 || tile_rows > rows || rows.div_ceil(tile_rows) > TILES_MAX {
        let message = format!("a tile may hold {} to {rows} rows of this input", rows.div_ceil(TILES_MAX));
        return Err(invalid(ErrorCode::InvalidTileRows, field, message));
    }
    Ok(tile_rows)
}

fn outputs(signature: &Signature, whole: bool) -> Result<Vec<Field>, ApiError> {
    let field = |output: &gpu_kernels::graph::Field| {
        let dtype = DType::ALL.into_iter().find(|dtype| dtype.name() == output.dtype.name()).ok_or_else(|| {
            let message = format!("the output '{}' is {}, which no .npy holds", output.name, output.dtype.name());
            invalid(ErrorCode::InvalidModel, "model", message)
        })?;
        let shape = output.shape.iter().map(|&size| u64::try_from(size).unwrap_or(u64::MAX)).collect();
        Ok(Field { name: output.name.clone(), dtype, shape, shared: false, whole })
    };
    signature.outputs.iter().map(field).collect()
}

pub fn unknown_blob(field: &str) -> ApiError {
    invalid(ErrorCode::UnknownBlob, field, "this account has no such blob; upload it with POST /v1/blobs first")
}

fn refuse_model(error: &ModelError) -> ApiError {
    let (code, field) = match error {
        ModelError::UnsupportedOperator { .. } => (ErrorCode::UnsupportedOperator, "model"),
        ModelError::InputShape { .. } | ModelError::InputCount { .. } => (ErrorCode::InputMismatch, "input"),
        _ => (ErrorCode::InvalidModel, "model"),
    };
    invalid(code, field, error.to_string())
}

/// Refuses a job that no connected device could run, while some are connected.
pub fn check_devices(spec: &JobSpec, census: Census) -> Result<(), ApiError> {
    if census.connected > 0 && census.fitting == 0 && census.buffer_bytes_max < spec.device_bytes {
        let message = format!(
            "the model needs a buffer of {} bytes and the largest connected device allows {}; use fewer rows a tile, or a smaller model",
            spec.device_bytes, census.buffer_bytes_max
        );
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::NoDeviceFits, message)
            .field("model")
            .into());
    }
    Ok(())
}

/// Refuses a job that neither this server nor a connected checker could check, while some are connected.
pub fn check_checkers(spec: &JobSpec, checkers: &Checkers) -> Result<(), ApiError> {
    let tile_flops = spec.work.tile_rows.saturating_mul(spec.work.row_flops);
    if spec.checked_by == CheckedBy::Checker
        && tile_flops > EDGE_FLOPS_MAX
        && checkers.fit(spec.device_bytes) == Some(false)
    {
        let message = format!(
            "the model needs a buffer of {} bytes, which no connected checker has, and a tile takes {tile_flops} operations, of which the server itself redoes at most {EDGE_FLOPS_MAX}; use fewer rows a tile, or a smaller model",
            spec.device_bytes
        );
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::NoDeviceFits, message)
            .field("model")
            .into());
    }
    Ok(())
}
