//! `infer`: a model over rows. Its tiles are recomputed by this server's processor, or by a checker where
//! that would hold the server up.

pub mod arrays;
pub mod models;
pub mod plans;
pub mod recompute;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context;
use onnx::{Feed, Graph, ModelError, Signature};
use rules::Job;
use rules::admission::{AdmitError, Order};
use rules::program::infer::{self as infer_rules, Layout, ModelCost, Port};
use rules::program::limits::{CHECKER_FLOPS_MAX, EDGE_FLOPS_MAX};
use rules::scheduling::recheck::group_tiles;
use rules::scheduling::recheck_request::Answer;
use rules::verification::Mismatch;
use wire::number::to;
use wire::{AccountId, BlobHash, Check, CheckedBy, DType, Field, InferTask};

use self::models::LoadError;
use self::recompute::{recompute_tile, same_values};
use super::failure::AdmitFailure;
use super::program::Program;
use crate::app::App;
use crate::fleet::lease_output::LeaseOutput;
use crate::fleet::recheck;

pub struct Infer;

impl Program for Infer {
    type Order = wire::Infer;
    type Task = InferTask;

    async fn admit(app: &App, order: &Order, wanted: &wire::Infer) -> Result<Job, AdmitFailure> {
        let graph = load_model(app, order.customer, wanted.model).await?;
        let ports = ports(&graph);
        let sent = arrays::receive(app, order.customer, &ports, wanted).await?;
        let flops_max = if order.has_checkers { CHECKER_FLOPS_MAX } else { EDGE_FLOPS_MAX };
        let limits = Limits { tile_rows: wanted.tile_rows, flops_max };
        let planned = match plan(app, &graph, infer_rules::by_rows(&ports, &sent), limits).await {
            Err(AdmitFailure::Refused(error)) if wanted.tile_rows.is_none() && infer_rules::may_be_whole(&error) => {
                let whole = plan(app, &graph, infer_rules::as_whole(&ports, &sent), limits).await;
                // Most models have rows, so the advice is for those.
                whole.map_err(|_whole| AdmitFailure::Refused(error))?
            }
            other => other?,
        };
        let Planned { layout, outputs, tiling, device_bytes, peak_bytes } = planned;
        Ok(Job {
            id: order.id,
            customer: order.customer,
            privacy: order.privacy,
            task: wire::Task::Infer(InferTask { model: wanted.model, inputs: layout.fields(), outputs }),
            sources: layout.sources(),
            check: Check::Exact,
            rows: layout.rows,
            tile_rows: tiling.tile_rows,
            row_flops: tiling.row_flops,
            price: order.price,
            device_bytes,
            peak_bytes,
        })
    }

    async fn check(
        app: &App,
        output: &LeaseOutput,
        task: &InferTask,
        tiles: &[u32],
    ) -> anyhow::Result<Result<(), Mismatch>> {
        match output.job.checked_by(app.config.has_checkers()) {
            CheckedBy::Checker => match check_by_checker(app, output, task, tiles).await? {
                Some(verdict) => Ok(verdict),
                None => check_here(app, output, task, tiles).await,
            },
            CheckedBy::Edge | CheckedBy::Quorum => check_here(app, output, task, tiles).await,
        }
    }

    fn result_format(arrays: usize) -> &'static str {
        if arrays == 1 { "npy" } else { "npz" }
    }
}

async fn load_model(app: &App, customer: AccountId, model: BlobHash) -> Result<Arc<Graph>, AdmitFailure> {
    let owned = store::blobs::find_owned_blob(&mut *app.db.read().await?, customer, model).await?;
    let blob = rules::admission::require_owned(owned, "model")?;
    app.models.load(&app.blobs, blob.hash).await.map_err(|error| match &*error {
        LoadError::Model(error) => refuse_model(error).into(),
        LoadError::Store(_) => AdmitFailure::Internal(error.into()),
    })
}

fn ports(graph: &Graph) -> Vec<Port> {
    let shape = |shape: &Vec<Option<usize>>| shape.iter().map(|size| size.map(to)).collect();
    let port = |port: &onnx::Port| Port {
        name: port.name.clone(),
        dtype: port.dtype.name(),
        shape: port.shape.as_ref().map(shape),
    };
    graph.inputs.iter().map(port).collect()
}

fn refuse_model(error: &ModelError) -> AdmitError {
    let reason = error.to_string();
    match error {
        ModelError::UnsupportedOperator { .. } => AdmitError::UnsupportedOperator { reason },
        ModelError::InputShape { .. } | ModelError::InputCount { .. } => AdmitError::ModelInput { reason },
        _ => AdmitError::InvalidModel { reason },
    }
}

#[derive(Clone, Copy)]
struct Limits {
    /// Rows a tile that the customer wants.
    tile_rows: Option<u32>,
    /// Most work of a tile that can be checked.
    flops_max: u64,
}

/// A model over a job's arrays, cut into tiles.
struct Planned {
    layout: Layout,
    outputs: Vec<Field>,
    tiling: infer_rules::Tiling,
    device_bytes: u64,
    peak_bytes: u64,
}

async fn plan(
    app: &App,
    graph: &Arc<Graph>,
    layout: Result<Layout, AdmitError>,
    limits: Limits,
) -> Result<Planned, AdmitFailure> {
    let layout = layout?;
    let feeds = arrays::feeds(app, &layout).await?;
    let graph = Arc::clone(graph);
    // Shapes and costs of a large graph take a while; nothing else should wait for that.
    let planning = tokio::task::spawn_blocking(move || cut(&graph, layout, &feeds, limits));
    Ok(planning.await.map_err(anyhow::Error::from)??)
}

fn cut(graph: &Graph, layout: Layout, feeds: &[Feed], limits: Limits) -> Result<Planned, AdmitError> {
    let refuse = |error: ModelError| refuse_model(&error);
    let signature = graph.signature(feeds).map_err(refuse)?;
    let outputs = output_fields(&signature, layout.is_whole())?;
    let rows = layout.rows;
    let micro_batch: u64 = to(signature.micro_batch);
    // Where rows are mixed the work may grow faster than their number.
    let batch = if signature.mixed_by.is_some() { rows } else { micro_batch };
    let batch = usize::try_from(batch).map_err(|_too_large| AdmitError::TooManyRows { rows })?;
    let flops = graph.plan(batch, feeds).map_err(refuse)?.flops();
    let rows_at_once = to(signature.rows_at_once);
    let cost = ModelCost { micro_batch, flops, mixed_by: signature.mixed_by, rows_at_once };
    let tiling = infer_rules::cut(&layout, &outputs, &cost, limits.tile_rows, limits.flops_max)?;
    let tile = graph.plan(to(tiling.tile_rows), feeds).map_err(refuse)?;
    let (device_bytes, peak_bytes) = (tile.buffer_bytes_max(), tile.device_bytes());
    Ok(Planned { layout, outputs, tiling, device_bytes, peak_bytes })
}

fn output_fields(signature: &Signature, whole: bool) -> Result<Vec<Field>, AdmitError> {
    let field = |output: &onnx::Field| {
        let dtype = DType::ALL
            .into_iter()
            .find(|dtype| dtype.name() == output.dtype.name())
            .ok_or_else(|| AdmitError::OutputType { output: output.name.clone(), dtype: output.dtype.name() })?;
        let shape = output.shape.iter().map(|&size| to(size)).collect();
        Ok(Field { name: output.name.clone(), dtype, shape, shared: false, whole })
    };
    signature.outputs.iter().map(field).collect()
}

/// By the operator's checkers: it would hold this server's processor up. `None` where none that is
/// connected can, and this server could.
async fn check_by_checker(
    app: &App,
    output: &LeaseOutput,
    task: &InferTask,
    tiles: &[u32],
) -> anyhow::Result<Option<Result<(), Mismatch>>> {
    let needs = output.job.needs();
    for tiles in group_tiles(&needs, tiles) {
        let of_job = output.tiles_of_job(&tiles);
        let answered = if needs.tile_flops > EDGE_FLOPS_MAX {
            recheck::recompute_elsewhere(app, &output.job, of_job, BTreeSet::new()).await?
        } else {
            match recheck::recompute_by_checker(app, &output.job, of_job).await? {
                Some(answered) => answered,
                None => return Ok(None),
            }
        };
        let Answer::Output(hash) = answered.answer else { anyhow::bail!("a model has no fuel to run out of") };
        let answer = app.blobs.read(hash).await?;
        let first = output.tiles().output_range(tiles.clone()).start;
        // Tile by tile, since the tolerance goes by what is largest in one.
        for tile in tiles {
            let range = output.tiles().output_range(tile..tile + 1);
            let recomputed = &answer[range.start - first..range.end - first];
            let verdict = same_values(task, output.tile_bytes(tile..tile + 1), recomputed);
            if verdict.is_err() {
                return Ok(Some(verdict));
            }
        }
    }
    Ok(Some(Ok(())))
}

/// By the references, on this server's processor.
async fn check_here(
    app: &App,
    output: &LeaseOutput,
    task: &InferTask,
    tiles: &[u32],
) -> anyhow::Result<Result<(), Mismatch>> {
    let _permit = app.checks.acquire().await.context("the server is stopping")?;
    let graph = app.models.load(&app.blobs, task.model).await?;
    let task = Arc::new(task.clone());
    for &tile in tiles {
        let of_job = output.job.tiles(output.tiles_of_job(&(tile..tile + 1)));
        let rows = of_job.rows();
        let mut input = Vec::new();
        for (blob, range) in of_job.input_parts() {
            input.extend_from_slice(&app.blobs.read_range(blob, range).await?);
        }
        let (graph, task, output) = (Arc::clone(&graph), Arc::clone(&task), output.clone());
        let verdict = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
            let expected = recompute_tile(&graph, &task, rows, &input)?;
            Ok(same_values(&task, output.tile_bytes(tile..tile + 1), &expected))
        })
        .await??;
        if verdict.is_err() {
            return Ok(verdict);
        }
    }
    Ok(Ok(()))
}
