//! `infer`: a model over rows. Its tiles are recomputed by this server's processor, or by a checker where
//! that would hold the server up. Models are read, planned and computed by `compile`'s processes alone.

pub mod arrays;
pub mod kept_plans;
pub mod plans;
pub mod recompute;

use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use onnx::{Feed, Signature};
use rules::Job;
use rules::admission::{AdmitError, Order};
use rules::program::infer::{self as infer_rules, Layout, ModelCost, Port};
use rules::program::limits::{CHECKER_FLOPS_MAX, EDGE_FLOPS_MAX};
use rules::scheduling::recheck::group_tiles;
use rules::scheduling::recheck_request::{Answer, Answerer};
use rules::verification::party::Parties;
use wire::number::to;
use wire::{
    AccountId, BlobHash, Check, CheckRule, CheckedBy, DType, Field, InferTask, ModelInput, ModelPlan, ModelReport,
};

use self::recompute::Pair;
use super::failure::AdmitFailure;
use super::program::{Checked, Disagreement, Program};
use crate::app::App;
use crate::compile::pool::{CompileError, Model, Purpose};
use crate::fleet::judges::Recomputed;
use crate::fleet::lease_output::{LeaseOutput, TilePair};
use crate::fleet::recheck::{self, GivenUp};
use crate::random;

/// How often a tile is computed again before two outputs of it are said to differ, unless that is clear before: what lies near
/// a tie comes out one way or the other with even chances. A dispute looks again, with other seeds.
const NUDGED_RUNS_MAX: u32 = 16;

pub struct Infer;

impl Program for Infer {
    type Order = wire::Infer;
    type Task = InferTask;

    async fn admit(app: &App, order: &Order, wanted: &wire::Infer) -> Result<Job, AdmitFailure> {
        let blob = find_model(app, order.customer, wanted.model).await?;
        let mut model = app.compilers.open(&app.blobs, blob.hash, Purpose::Order).await.map_err(refuse)?;
        let ports = ports(model.ports());
        let sent = arrays::receive(app, order.customer, &ports, wanted).await?;
        let flops_max = if order.has_checkers { CHECKER_FLOPS_MAX } else { EDGE_FLOPS_MAX };
        let limits = Limits { tile_rows: wanted.tile_rows, flops_max };
        let planned = match plan(app, &mut model, infer_rules::by_rows(&ports, &sent), limits).await {
            Err(AdmitFailure::Refused(error)) if wanted.tile_rows.is_none() && infer_rules::may_be_whole(&error) => {
                let whole = plan(app, &mut model, infer_rules::as_whole(&ports, &sent), limits).await;
                // Most models have rows, so the advice is for those.
                whole.map_err(|failure| {
                    failure.or_if_refused(|| infer_rules::lacks_batch(&ports, &sent).unwrap_or(error))
                })?
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
            code_bytes: blob.size,
        })
    }

    async fn check(app: &App, output: &LeaseOutput, task: &InferTask, tiles: &[u32]) -> anyhow::Result<Checked> {
        let is_for_checkers = output.job.checked_by(app.config.has_checkers()) == CheckedBy::Checker;
        if is_for_checkers && let ByChecker::Checked(found) = check_by_checker(app, output, task, tiles).await? {
            return Ok(Checked::of(CheckedBy::Checker, found));
        }
        Ok(Checked::of(CheckedBy::Edge, check_here(app, output, task, tiles).await?))
    }

    fn rule(_job: &Job) -> CheckRule {
        CheckRule::Reference
    }

    async fn try_tile(app: &App, job: &Arc<Job>, task: &InferTask, tile: u64) -> anyhow::Result<Option<String>> {
        match job.checked_by(app.config.has_checkers()) {
            CheckedBy::Checker if job.tile_flops() > EDGE_FLOPS_MAX => recheck::try_elsewhere(app, job, tile).await,
            CheckedBy::Edge | CheckedBy::Checker | CheckedBy::Quorum | CheckedBy::Owner => {
                let _permit = app.checks.acquire().await.context("the server is stopping")?;
                let mut model = app.compilers.open(&app.blobs, task.model, Purpose::Check).await?;
                Ok(recompute_tile(app, &mut model, job, task, tile, None).await?.err().map(|error| error.to_string()))
            }
        }
    }

    /// Where they differ, the references tell how uncertain the values are there: this server's, or the checkers' where
    /// that is too much for one processor.
    async fn agree(
        app: &App,
        job: &Arc<Job>,
        task: &InferTask,
        tile: u64,
        (one, other): (&[u8], &[u8]),
    ) -> anyhow::Result<bool> {
        let Some(pair) = Pair::new(task, one, other) else { return Ok(false) };
        if pair.agrees() {
            return Ok(true);
        }
        if job.tile_flops() > EDGE_FLOPS_MAX && app.config.has_checkers() {
            return is_uncertain(app, (job, task, tile), &pair, None).await;
        }
        let _permit = app.checks.acquire().await.context("the server is stopping")?;
        let mut model = app.compilers.open(&app.blobs, task.model, Purpose::Check).await?;
        is_uncertain(app, (job, task, tile), &pair, Some(&mut model)).await
    }

    fn result_format(arrays: usize) -> &'static str {
        if arrays == 1 { "npy" } else { "npz" }
    }
}

/// What a model takes and answers, without rows. Fails where it cannot run.
pub async fn report(app: &App, customer: AccountId, model: BlobHash) -> Result<ModelReport, AdmitFailure> {
    let blob = find_model(app, customer, model).await?;
    let mut model = app.compilers.open(&app.blobs, blob.hash, Purpose::Order).await.map_err(refuse)?;
    let ports = ports(model.ports());
    let plan = match declared_sizes(&ports) {
        Some(sizes) => {
            let rows = sizes.iter().map(|sizes| Feed::Rows(sizes[1..].to_vec())).collect();
            match plan_declared(&mut model, rows).await {
                // As orders are: arrays whose rows belong together are computed whole.
                Err(AdmitFailure::Refused(error)) if infer_rules::may_be_whole(&error) => {
                    let whole = sizes.into_iter().map(Feed::Whole).collect();
                    let whole = plan_declared(&mut model, whole).await;
                    Some(whole.map_err(|failure| failure.or_if_refused(|| error))?)
                }
                planned => Some(planned?),
            }
        }
        None => None,
    };
    let input = |port: Port| ModelInput { name: port.name, dtype: port.dtype.to_owned(), shape: port.shape };
    Ok(ModelReport { inputs: ports.into_iter().map(input).collect(), plan })
}

/// The sizes of each input with one row; none where some axis besides the first may have any size, or there is none.
fn declared_sizes(ports: &[Port]) -> Option<Vec<Vec<usize>>> {
    let sizes = |port: &Port| {
        let (first, others) = port.shape.as_ref()?.split_first()?;
        std::iter::once(Some(first.unwrap_or(1))).chain(others.iter().copied()).map(|size| size.map(to)).collect()
    };
    let all: Vec<Vec<usize>> = ports.iter().map(sizes).collect::<Option<_>>()?;
    (!all.is_empty()).then_some(all)
}

async fn plan_declared(model: &mut Model<'_>, feeds: Vec<Feed>) -> Result<ModelPlan, AdmitFailure> {
    let signature = model.signature(&feeds).await.map_err(refuse)?;
    let whole = feeds.iter().all(|feed| matches!(feed, Feed::Whole(_)));
    let batch: u64 = to(signature.micro_batch);
    let flops = model.measure(batch, &feeds).await.map_err(refuse)?.flops;
    let outputs = output_fields(&signature, whole)?;
    let row_flops = flops.checked_div(batch).unwrap_or(flops);
    Ok(ModelPlan { outputs, row_flops, mixes_rows: whole || signature.mixed_by.is_some() })
}

/// A model's inputs as it declares them.
pub async fn declared(app: &App, customer: AccountId, model: BlobHash) -> Result<Vec<Port>, AdmitFailure> {
    let blob = find_model(app, customer, model).await?;
    let model = app.compilers.open(&app.blobs, blob.hash, Purpose::Order).await.map_err(refuse)?;
    Ok(ports(model.ports()))
}

async fn find_model(app: &App, customer: AccountId, model: BlobHash) -> Result<wire::Blob, AdmitFailure> {
    let owned = store::blobs::find_owned_blob(&mut *app.db.read().await?, customer, model).await?;
    Ok(rules::admission::require_owned(owned, "model")?)
}

fn refuse(error: CompileError) -> AdmitFailure {
    AdmitFailure::of_compiler(error, "model")
}

fn ports(ports: &[onnx::Port]) -> Vec<Port> {
    let shape = |shape: &Vec<Option<usize>>| shape.iter().map(|size| size.map(to)).collect();
    let port = |port: &onnx::Port| Port {
        name: port.name.clone(),
        dtype: port.dtype.name(),
        shape: port.shape.as_ref().map(shape),
    };
    ports.iter().map(port).collect()
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
    model: &mut Model<'_>,
    layout: Result<Layout, AdmitError>,
    limits: Limits,
) -> Result<Planned, AdmitFailure> {
    let layout = layout?;
    let feeds = arrays::feeds(app, &layout).await?;
    let signature = model.signature(&feeds).await.map_err(refuse)?;
    let outputs = output_fields(&signature, layout.is_whole())?;
    let micro_batch: u64 = to(signature.micro_batch);
    // Where rows are mixed the work may grow faster than their number.
    let batch = if signature.mixed_by.is_some() { layout.rows } else { micro_batch };
    let flops = model.measure(batch, &feeds).await.map_err(refuse)?.flops;
    let rows_at_once = to(signature.rows_at_once);
    let cost = ModelCost { micro_batch, flops, mixed_by: signature.mixed_by, rows_at_once };
    let tiling = infer_rules::cut(&layout, &outputs, &cost, limits.tile_rows, limits.flops_max)?;
    let tile = model.measure(tiling.tile_rows, &feeds).await.map_err(refuse)?;
    let (device_bytes, peak_bytes) = (tile.buffer_bytes_max, tile.device_bytes);
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

enum ByChecker {
    Checked(Option<Disagreement>),
    /// None that is connected can, and this server could.
    Nobody,
}

/// By the operator's checkers: it would hold this server's processor up.
async fn check_by_checker(
    app: &App,
    output: &LeaseOutput,
    task: &InferTask,
    tiles: &[u32],
) -> anyhow::Result<ByChecker> {
    let needs = output.job.needs();
    let drawn: u64 = to(tiles.len());
    for tiles in group_tiles(&needs, tiles) {
        let of_job = output.tiles_of_job(&tiles);
        let flops = output.job.tiles(of_job.clone()).flops();
        let done = Recomputed { tile: of_job.start, tiles: of_job.end - of_job.start, flops, drawn };
        let answered = if needs.tile_flops > EDGE_FLOPS_MAX {
            recheck::recompute_elsewhere(app, &output.job, of_job, Parties::default()).await?
        } else {
            match recheck::recompute_by_checker(app, &output.job, of_job).await? {
                Some(answered) => answered,
                None => return Ok(ByChecker::Nobody),
            }
        };
        let Answer::Output(hash) = answered.answer else { anyhow::bail!("a model has no fuel to run out of") };
        let pairs = output.read_beside(app, tiles, hash).await?;
        // Tile by tile, since the tolerance goes by what is largest in one.
        for TilePair { tile, signed, recomputed } in pairs.tiles() {
            let of_job = output.tiles_of_job(&(tile..tile + 1)).start;
            if !Infer::agree(app, &output.job, task, of_job, (&signed, &recomputed)).await? {
                let by = answered.by;
                let output = Some(recomputed);
                return Ok(ByChecker::Checked(Some(Disagreement { tile, done, by, output })));
            }
        }
    }
    Ok(ByChecker::Checked(None))
}

/// A tile's output by the references. The inner error is the model's, or of the limits that it is computed in.
async fn recompute_tile(
    app: &App,
    model: &mut Model<'_>,
    job: &Job,
    task: &InferTask,
    tile: u64,
    nudge: Option<u64>,
) -> anyhow::Result<Result<Bytes, CompileError>> {
    let tiles = job.tiles(tile..tile + 1);
    let input = app.blobs.read_parts(&tiles.input_parts()).await?;
    match model.recompute(task, tiles.rows(), input, nudge).await {
        Err(CompileError::Internal(error)) => Err(error),
        computed => Ok(computed),
    }
}

/// Whether the references are as uncertain as the outputs differ. They are run some times over, each time with every float
/// moved a little: by this server where it has the model, else by checkers.
async fn is_uncertain(
    app: &App,
    (job, task, tile): (&Arc<Job>, &InferTask, u64),
    pair: &Pair,
    mut model: Option<&mut Model<'_>>,
) -> anyhow::Result<bool> {
    let mut apart = pair.apart();
    for _ in 0..NUDGED_RUNS_MAX {
        let seed = u64::from_le_bytes(random::bytes());
        let run = match &mut model {
            Some(model) => nudge(app, model, job, task, tile, seed).await?,
            None => nudge_by_checker(app, job, tile, seed).await?,
        };
        apart.note(&run).context("a nudged run is no output")?;
        if apart.is_explained() {
            return Ok(true);
        }
        if apart.is_hopeless() {
            return Ok(false);
        }
    }
    Ok(false)
}

async fn nudge(
    app: &App,
    model: &mut Model<'_>,
    job: &Job,
    task: &InferTask,
    tile: u64,
    seed: u64,
) -> anyhow::Result<Bytes> {
    let run = recompute_tile(app, model, job, task, tile, Some(seed)).await?;
    Ok(run.map_err(|_refused| GivenUp { tiles: tile..tile + 1 })?)
}

async fn nudge_by_checker(app: &App, job: &Arc<Job>, tile: u64, seed: u64) -> anyhow::Result<Bytes> {
    let hash = recheck::nudge_by_checker(app, job, tile, seed).await?;
    app.blobs.read_verified(hash).await?.context("an answer is damaged on the server")
}

/// By the references, on this server's processor.
async fn check_here(
    app: &App,
    output: &LeaseOutput,
    task: &InferTask,
    tiles: &[u32],
) -> anyhow::Result<Option<Disagreement>> {
    let _permit = app.checks.acquire().await.context("the server is stopping")?;
    let mut model = app.compilers.open(&app.blobs, task.model, Purpose::Check).await?;
    for &tile in tiles {
        let of_job = output.tiles_of_job(&(tile..tile + 1)).start;
        let given_up = || GivenUp { tiles: of_job..of_job + 1 };
        let expected = recompute_tile(app, &mut model, &output.job, task, of_job, None).await?;
        // It does not fit into what a child may take, and would not the next time.
        let expected = expected.map_err(|_refused| given_up())?;
        let signed = output.read_tiles(app, tile..tile + 1).await?;
        let pair = Pair::new(task, &signed, &expected);
        let is_same = match pair {
            Some(ref pair) if pair.agrees() => true,
            Some(pair) => is_uncertain(app, (&output.job, task, of_job), &pair, Some(&mut model)).await?,
            None => false,
        };
        if !is_same {
            let by = Answerer::Checker;
            let done = Recomputed { tile: of_job, tiles: 1, flops: output.job.tile_flops(), drawn: to(tiles.len()) };
            return Ok(Some(Disagreement { tile, done, by, output: Some(expected) }));
        }
    }
    Ok(None)
}
