//! A request turned into a job that can run: the model checked, the input's head read, tiles cut.

use axum::http::StatusCode;
use gpu_kernels::dtype::DType;
use gpu_kernels::graph::{Feed, Graph, ModelError, Signature};
use wire::{BlobHash, Credits, ErrorCode, Privacy, Program};

use super::npy;
use crate::app::App;
use crate::auth::Caller;
use crate::billing::{self, TileWork};
use crate::blobs;
use crate::error::{ApiError, Refusal, invalid};
use crate::scheduling::core::Census;

/// Work of a tile that the edge chooses: a CPU redoes it well inside 50 ms.
const TILE_FLOPS_AIM: u64 = 20_000_000;
/// Tiles that a job is cut into where it has rows enough, so that many devices can share it.
const TILES_AIM: u64 = 256;
/// Most work that the edge's own checker redoes in one tile.
const TILE_FLOPS_MAX: u64 = 20_000_000_000;
/// Input and output of one tile together, in bytes.
const TILE_BYTES_AIM: u64 = 4 << 20;
const TILE_BYTES_MAX: u64 = 64 << 20;
const TILES_MAX: u64 = 1 << 20;

/// A job that can run, with what it will cost.
#[derive(Clone, Debug)]
pub struct JobSpec {
    pub program: Program,
    pub privacy: Privacy,
    pub model: BlobHash,
    pub input: BlobHash,
    pub input_offset: u64,
    pub row_shape: Vec<u64>,
    pub output_row_shape: Vec<u64>,
    pub work: TileWork,
    pub device_bytes: u64,
    pub cost: Credits,
}

impl JobSpec {
    pub async fn read(app: &App, caller: Caller, program: Program, privacy: Privacy) -> Result<Self, ApiError> {
        let Program::Infer { model, input, tile_rows } = program.clone();
        let (model_blob, input_blob) = {
            let mut conn = app.db.read().await?;
            let model = blobs::store::find_owned_blob(&mut conn, caller.account, model).await?;
            let input = blobs::store::find_owned_blob(&mut conn, caller.account, input).await?;
            (model.ok_or_else(|| unknown_blob("model"))?, input.ok_or_else(|| unknown_blob("input"))?)
        };
        let graph = app.models.load(&app.blobs, model_blob.hash).await?.map_err(|error| refuse_model(&error))?;
        let head = app.blobs.read_range(input, 0..input_blob.size.min(npy::HEAD_BYTES)).await?;
        let rows = npy::parse(&head, input_blob.size).map_err(refuse_input)?;
        let price = app.config.price();
        let shape = rows.row_shape.clone();
        // Shapes and costs of a large graph take a while; nothing else should wait for that.
        let cut = tokio::task::spawn_blocking(move || cut(&graph, rows.rows, &shape, tile_rows))
            .await
            .map_err(anyhow::Error::from)??;
        let work = TileWork {
            rows: rows.rows,
            tile_rows: cut.tile_rows,
            tiles: rows.rows.div_ceil(cut.tile_rows),
            row_flops: cut.row_flops,
            price,
        };
        let cost = billing::cost_of_tiles(&work, 0, work.tiles)
            .map_err(|error| invalid(ErrorCode::TooLarge, "input", error.to_string()))?;
        Ok(Self {
            program,
            privacy,
            model: model_blob.hash,
            input,
            input_offset: rows.offset,
            row_shape: rows.row_shape,
            output_row_shape: cut.output_row_shape,
            work,
            device_bytes: cut.device_bytes,
            cost,
        })
    }

    pub fn quote(&self, census: Census) -> wire::Quote {
        let flops = self.work.row_flops.saturating_mul(self.work.rows);
        wire::Quote {
            rows: self.work.rows,
            row_shape: self.row_shape.clone(),
            output_row_shape: self.output_row_shape.clone(),
            tile_rows: self.work.tile_rows,
            tiles: self.work.tiles,
            flops,
            price: self.work.price,
            cost: self.cost,
            device_bytes: self.device_bytes,
            devices: census.fitting,
            seconds: (census.fitting > 0).then(|| flops.div_ceil(census.flops_per_sec.max(1))),
        }
    }
}

struct Cut {
    tile_rows: u64,
    row_flops: u64,
    output_row_shape: Vec<u64>,
    device_bytes: u64,
}

fn cut(graph: &Graph, rows: u64, row_shape: &[u64], wanted: Option<u32>) -> Result<Cut, ApiError> {
    let refuse = |error: ModelError| refuse_model(&error);
    let shape: Vec<usize> = row_shape
        .iter()
        .map(|&size| {
            usize::try_from(size)
                .map_err(|_too_large| refuse_input(npy::NpyError::Overflow { shape: row_shape.to_vec() }))
        })
        .collect::<Result<_, _>>()?;
    let (feeds, input_row) = (vec![Feed::Rows(shape.clone())], shape);
    let shapes = graph.signature(&feeds).map_err(refuse)?;
    let output_row = floats_only(graph, &shapes)?;
    // Where rows are mixed the work may grow faster than their number.
    let batch = if shapes.mixed_by.is_some() { rows } else { 1 };
    let too_many = || refuse_input(npy::NpyError::Overflow { shape: row_shape.to_vec() });
    let plan = graph.plan(usize::try_from(batch).map_err(|_too_large| too_many())?, &feeds).map_err(refuse)?;
    let row_flops = plan.flops().div_ceil(batch).max(1);
    let len = |shape: &[usize]| {
        shape.iter().fold(4u64, |len, &size| len.saturating_mul(u64::try_from(size).unwrap_or(u64::MAX)))
    };
    let row_bytes = len(&input_row).saturating_add(len(&output_row)).max(1);

    let tile_rows = match (&shapes.mixed_by, wanted) {
        // What mixes rows must see them all.
        (Some(_), _) => rows,
        (None, Some(wanted)) => u64::from(wanted),
        (None, None) => {
            let by_work = TILE_FLOPS_AIM / row_flops;
            let by_bytes = TILE_BYTES_AIM / row_bytes;
            by_work.min(by_bytes).min(rows.div_ceil(TILES_AIM)).max(rows.div_ceil(TILES_MAX)).max(1)
        }
    };
    if tile_rows == 0 || tile_rows > rows || rows.div_ceil(tile_rows) > TILES_MAX {
        let message = format!("a tile may hold {} to {rows} rows of this input", rows.div_ceil(TILES_MAX));
        return Err(invalid(ErrorCode::InvalidTileRows, "tile_rows", message));
    }
    let (tile_flops, tile_bytes) = (tile_rows.saturating_mul(row_flops), tile_rows.saturating_mul(row_bytes));
    if tile_flops > TILE_FLOPS_MAX || tile_bytes > TILE_BYTES_MAX {
        let why = shapes
            .mixed_by
            .map_or_else(String::new, |node| format!("node '{node}' mixes rows, so all of them are one tile, and "));
        let message = format!(
            "{why}a tile of {tile_rows} rows takes {tile_flops} operations and {tile_bytes} bytes; at most {TILE_FLOPS_MAX} and {TILE_BYTES_MAX} can be checked: use fewer rows a tile, or a smaller model"
        );
        return Err(invalid(ErrorCode::RowTooHeavy, "model", message));
    }
    let tile = usize::try_from(tile_rows).unwrap_or(usize::MAX);
    let device_bytes = graph.plan(tile, &feeds).map_err(refuse)?.buffer_bytes_max();
    let output_row_shape = output_row.iter().map(|&size| u64::try_from(size).unwrap_or(u64::MAX)).collect();
    Ok(Cut { tile_rows, row_flops, output_row_shape, device_bytes })
}

/// Rows come in as one array of float32 and go out as one: the output's row shape.
fn floats_only(graph: &Graph, signature: &Signature) -> Result<Vec<usize>, ApiError> {
    let refuse = |what: String| invalid(ErrorCode::InvalidModel, "model", what);
    let [output] = &signature.outputs[..] else {
        let names: Vec<&str> = signature.outputs.iter().map(|output| output.name.as_str()).collect();
        let message = format!("the model has {} outputs ({}); export the one you need", names.len(), names.join(", "));
        return Err(refuse(message));
    };
    let input = graph.inputs.first().map(|input| (&input.name, input.dtype));
    let not_float = |(name, dtype): (&String, DType)| {
        (dtype != DType::F32).then(|| format!("'{name}' is {}; a job's rows must be float32 in and out", dtype.name()))
    };
    match input.and_then(not_float).or_else(|| not_float((&output.name, output.dtype))) {
        Some(message) => Err(refuse(message)),
        None => Ok(output.shape.clone()),
    }
}

fn unknown_blob(field: &str) -> ApiError {
    invalid(ErrorCode::UnknownBlob, field, "this account has no such blob; upload it with POST /v1/blobs first")
}

fn refuse_model(error: &ModelError) -> ApiError {
    let (code, field) = match error {
        ModelError::UnsupportedOperator { .. } => (ErrorCode::UnsupportedOperator, "model"),
        ModelError::InputShape { .. } => (ErrorCode::InputMismatch, "input"),
        _ => (ErrorCode::InvalidModel, "model"),
    };
    invalid(code, field, error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn refuse_input(error: npy::NpyError) -> ApiError {
    let code = if error == npy::NpyError::NoRows { ErrorCode::NoRows } else { ErrorCode::InvalidInput };
    invalid(code, "input", error.to_string())
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
