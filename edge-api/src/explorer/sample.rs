//! One tile of a published job, for anyone who would compute it again: its rows, what its device
//! answered, and the way from that answer to the root that the device signed.

use std::net::SocketAddr;

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use wire::explorer::{Sample, SignedReceipt};
use wire::{AccountId, ErrorCode, GatedKernel, JobId, MapTask, PricePerCu, Privacy, Task, TileHash, merkle};

use super::store;
use crate::app::App;
use crate::billing::TileWork;
use crate::db::{DbConnection, count, uncount};
use crate::error::{ApiResult, invalid, not_found};
use crate::jobs::store::from_json;
use crate::json::{At, Params};
use crate::random;
use crate::scheduling::{JobFacts, leases, plans};

const BINARY: [(&str, &str); 2] =
    [("content-type", "application/octet-stream"), ("cache-control", "public, max-age=60")];

#[derive(Debug, Deserialize)]
pub struct TileParams {
    tile: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub struct SamplePlanParams {
    tile: Option<u64>,
    rows: u64,
}

/// A tile with its rows' places.
struct Place {
    facts: JobFacts,
    statement: SignedReceipt,
    tile: u64,
}

/// A published job as leases of it look.
async fn find_facts(conn: &mut DbConnection, job: JobId) -> ApiResult<JobFacts> {
    let source = store::find_job_source(conn, job).await?.ok_or_else(|| not_found("published job"))?;
    Ok(JobFacts {
        id: job,
        // Who ordered it is nobody's business here.
        customer: AccountId::platform(0),
        privacy: Privacy::Open,
        task: from_json(&source.task),
        sources: from_json(&source.sources),
        check: from_json(&source.check_rule),
        work: TileWork {
            rows: uncount(source.row_count),
            tile_rows: uncount(source.tile_rows),
            tiles: uncount(source.tiles),
            row_flops: uncount(source.row_flops),
            price: PricePerCu(0),
        },
        device_bytes: 0,
    })
}

impl Place {
    /// `tile` of a published job, or one at random.
    async fn find(app: &App, job: JobId, tile: Option<u64>) -> ApiResult<Self> {
        let mut conn = app.db.read().await?;
        let facts = find_facts(&mut conn, job).await?;
        let tiles = facts.work.tiles;
        let tile = tile.unwrap_or_else(|| u64::from_le_bytes(random::bytes()) % tiles.max(1));
        if tile >= tiles {
            return Err(invalid(ErrorCode::MalformedRequest, "tile", format!("this job has tiles 0 to {}", tiles - 1)));
        }
        let statement = store::find_statement_of_tile(&mut conn, job, count(tile)).await?;
        Ok(Self { facts, statement: statement.ok_or_else(|| not_found("matured tile"))?, tile })
    }

    /// Where a tile's rows lie in the output of their lease, in bytes.
    fn output_range(&self, tile: u64) -> std::ops::Range<u64> {
        let first = self.facts.rows_of(self.statement.receipt.first_tile, 1).start;
        let rows = self.facts.rows_of(tile, 1);
        let at = |row: u64| (row - first) * self.facts.task.out_bytes();
        at(rows.start)..at(rows.end)
    }

    fn leaf(&self, tile: u64, output: &Bytes) -> TileHash {
        let range = self.output_range(tile);
        let at = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX).min(output.len());
        let bytes = merkle::leaf_bytes(self.statement.receipt.lease, &output[at(range.start)..at(range.end)]);
        TileHash(*blake3::hash(&bytes).as_bytes())
    }
}

/// Show one tile of a published job with its signed receipt
///
/// `tile` counts from 0; left out, one is drawn.
pub async fn show_sample(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    At(job): At<JobId>,
    Params(params): Params<TileParams>,
) -> ApiResult<Json<Sample>> {
    app.limits.check_sample(from.ip())?;
    let place = Place::find(&app, job, params.tile).await?;
    let output = app.blobs.read(place.statement.receipt.output).await?;
    let receipt = &place.statement.receipt;
    let tiles = receipt.first_tile..receipt.first_tile + u64::from(receipt.tiles);
    let leaves = tiles.map(|tile| place.leaf(tile, &output));
    let index = usize::try_from(place.tile - receipt.first_tile).unwrap_or(usize::MAX);
    let proof = merkle::proof(leaves, index, |bytes| *blake3::hash(bytes).as_bytes());
    let rows = place.facts.rows_of(place.tile, 1);
    Ok(Json(Sample {
        tile: place.tile,
        proof,
        rows: rows.end - rows.start,
        flops: (rows.end - rows.start) * place.facts.work.row_flops,
        task: place.facts.task,
        check: place.facts.check,
        statement: place.statement,
    }))
}

/// Fetch the program of a published job
pub async fn sample_code(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    At(job): At<JobId>,
) -> ApiResult<Response> {
    app.limits.check_sample(from.ip())?;
    let facts = find_facts(&mut *app.db.read().await?, job).await?;
    Ok((BINARY, Body::from_stream(app.blobs.stream(facts.task.code()).await?)).into_response())
}

/// Fetch the kernel of a published job as the gate emits it
pub async fn sample_kernel(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    At(job): At<JobId>,
) -> ApiResult<Json<GatedKernel>> {
    app.limits.check_sample(from.ip())?;
    let facts = find_facts(&mut *app.db.read().await?, job).await?;
    Ok(Json(leases::gated(&app, &facts.task).await?))
}

/// A plan for one tile of a published job, or for `rows` rows of it.
async fn pack(app: &App, job: JobId, params: &SamplePlanParams) -> ApiResult<plans::Packed> {
    let place = Place::find(app, job, params.tile).await?;
    let rows = place.facts.rows_of(place.tile, 1);
    let of_rows = place.facts.task.inputs().iter().filter(|field| !field.shared).count();
    let shared = place.facts.input_parts(place.tile, 1).into_iter().skip(of_rows).collect();
    let most = rows.end - rows.start;
    plans::pack(app, &place.facts.task, shared, params.rows, most).await
}

/// Fetch the plan of one tile of a published job
pub async fn sample_plan(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    At(job): At<JobId>,
    Params(params): Params<SamplePlanParams>,
) -> ApiResult<Response> {
    app.limits.check_sample(from.ip())?;
    Ok((BINARY, pack(&app, job, &params).await?.plan()?).into_response())
}

/// Fetch the constants of the plan of one tile of a published job
pub async fn sample_weights(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    At(job): At<JobId>,
    Params(params): Params<SamplePlanParams>,
) -> ApiResult<Response> {
    app.limits.check_sample(from.ip())?;
    Ok((BINARY, Body::from_stream(pack(&app, job, &params).await?.weights())).into_response())
}

/// Fetch the parameters of a published job's kernel
pub async fn sample_params(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    At(job): At<JobId>,
) -> ApiResult<Response> {
    app.limits.check_sample(from.ip())?;
    let facts = find_facts(&mut *app.db.read().await?, job).await?;
    let Task::Map(MapTask { params: Some(params), .. }) = facts.task else { return Err(not_found("parameters")) };
    Ok((BINARY, app.blobs.read(params).await?).into_response())
}

/// Fetch the input rows of one tile of a published job
pub async fn sample_input(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    At(job): At<JobId>,
    Params(params): Params<TileParams>,
) -> ApiResult<Response> {
    app.limits.check_sample(from.ip())?;
    let place = Place::find(&app, job, params.tile).await?;
    let parts = place.facts.input_parts(place.tile, 1);
    Ok((BINARY, Body::from_stream(leases::stream_parts(&app, parts))).into_response())
}

/// Fetch what a device answered for one tile of a published job
pub async fn sample_output(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    At(job): At<JobId>,
    Params(params): Params<TileParams>,
) -> ApiResult<Response> {
    app.limits.check_sample(from.ip())?;
    let place = Place::find(&app, job, params.tile).await?;
    let range = place.output_range(place.tile);
    Ok((BINARY, app.blobs.read_range(place.statement.receipt.output, range).await?).into_response())
}
