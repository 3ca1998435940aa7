//! One tile of a published job, for anyone who would compute it again: its rows, what its device
//! answered, and the way from that answer to the root that the device signed.

use std::ops::Range;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use rules::{Job, TileRange};
use serde::Deserialize;
use store::codec::count;
use wire::explorer::{Sample, SignedReceipt};
use wire::{BlobHash, ErrorCode, GatedKernel, JobId, merkle};

use crate::app::App;
use crate::fleet::lease_output::{blake3_hash, tile_hashes};
use crate::fleet::task_files::TaskFiles;
use crate::http::client_address::ClientAddress;
use crate::http::error::{ApiResult, invalid, not_found};
use crate::http::extract::{PathParam, QueryParams};
use crate::http::limits::Action;
use crate::http::resume::Resume;
use crate::openapi::answers::{Binary, OutOfBounds, RangeBehindEnd, RateLimited, Refusals};
use crate::random;

const CACHE_CONTROL: &str = "public, max-age=60";

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TileParams {
    /// Counted from 0; left out, one is drawn.
    tile: Option<u64>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SamplePlanParams {
    /// Counted from 0; left out, one is drawn.
    tile: Option<u64>,
    /// Rows at once.
    #[param(minimum = 1, example = 40)]
    rows: u64,
}

/// A drawn tile of a published job, and the signed statement about the lease that it was in.
struct SampledTile {
    job: Job,
    statement: SignedReceipt,
    /// Counted over the job.
    tile: u64,
}

async fn find_published_job(app: &App, id: JobId) -> ApiResult<Job> {
    let job = store::jobs::load_published_job(&mut *app.db.read().await?, id).await?;
    job.ok_or_else(|| not_found("published job"))
}

impl SampledTile {
    /// `tile` of a published job, or one at random.
    async fn find(app: &App, job: JobId, tile: Option<u64>) -> ApiResult<Self> {
        let job = find_published_job(app, job).await?;
        let tiles = job.tile_count();
        let tile = tile.unwrap_or_else(|| u64::from_le_bytes(random::bytes()) % tiles.max(1));
        if tile >= tiles {
            return Err(invalid(ErrorCode::MalformedRequest, "tile", format!("this job has tiles 0 to {}", tiles - 1)));
        }
        let statement =
            store::explorer::find_statement_of_tile(&mut *app.db.read().await?, job.id, count(tile)).await?;
        Ok(Self { statement: statement.ok_or_else(|| not_found("matured tile"))?, job, tile })
    }

    /// The tiles of its lease.
    fn lease_tiles(&self) -> TileRange<'_> {
        let first = self.statement.receipt.first_tile;
        self.job.tiles(first..first + u64::from(self.statement.receipt.tiles))
    }

    /// Its number in its lease.
    fn index(&self) -> u32 {
        wire::number::to(self.tile - self.statement.receipt.first_tile)
    }

    fn files<'a>(&'a self, app: &'a App) -> TaskFiles<'a> {
        let tile = self.job.tiles(self.tile..self.tile + 1);
        files(app, &self.job, tile.rows(), tile.input_parts())
    }
}

fn files<'a>(app: &'a App, job: &'a Job, rows: u64, input: Vec<(BlobHash, Range<u64>)>) -> TaskFiles<'a> {
    TaskFiles { app, task: &job.task, rows, input, cache_control: CACHE_CONTROL }
}

/// Show one tile of a published job with its signed receipt
///
/// With what it takes to compute the tile again, and the way from its output's hash to the signed root.
#[utoipa::path(
    get,
    path = "/v1/public/jobs/{id}/sample",
    tag = "explorer",
    params(("id" = JobId, Path, description = "The job"), TileParams),
    responses(
        (status = 200, description = "The tile", body = Sample),
        Refusals<(RateLimited, PathParam<JobId>, QueryParams<TileParams>, OutOfBounds)>
    )
)]
pub async fn show_sample(
    State(app): State<App>,
    from: ClientAddress,
    PathParam(job): PathParam<JobId>,
    QueryParams(params): QueryParams<TileParams>,
) -> ApiResult<Json<Sample>> {
    app.limits.check(Action::Sample, from)?;
    let sampled = SampledTile::find(&app, job, params.tile).await?;
    let output = app.blobs.read(sampled.statement.receipt.output).await?;
    let lease = sampled.statement.receipt.lease;
    let leaves = tile_hashes(&sampled.lease_tiles(), lease, &output);
    let proof = merkle::proof(leaves, wire::number::to(sampled.index()), blake3_hash);
    let tile = sampled.job.tiles(sampled.tile..sampled.tile + 1);
    Ok(Json(Sample {
        tile: sampled.tile,
        proof,
        rows: tile.rows(),
        flops: tile.flops(),
        task: sampled.job.task.clone(),
        check: sampled.job.check,
        statement: sampled.statement,
    }))
}

/// Fetch the program of a published job
///
/// A model as ONNX, a kernel as WGSL, as the customer sent it.
#[utoipa::path(
    get,
    path = "/v1/public/jobs/{id}/sample/code",
    tag = "explorer",
    params(("id" = JobId, Path, description = "The job")),
    responses(
        (status = 200, description = "The model or the kernel", body = Binary, content_type = "application/octet-stream"),
        (status = 206, description = "The part that `Range` asks for, under the `ETag` that came before", body = Binary, content_type = "application/octet-stream"),
        (status = 304, description = "`If-None-Match` has it already"),
        Refusals<(RateLimited, PathParam<JobId>, RangeBehindEnd)>
    )
)]
pub async fn sample_code(
    State(app): State<App>,
    from: ClientAddress,
    PathParam(job): PathParam<JobId>,
    resume: Resume,
) -> ApiResult<Response> {
    app.limits.check(Action::Sample, from)?;
    files(&app, &find_published_job(&app, job).await?, 0, Vec::new()).code(&resume).await
}

/// Fetch the kernel of a published job as the gate emits it
#[utoipa::path(
    get,
    path = "/v1/public/jobs/{id}/sample/kernel",
    tag = "explorer",
    params(("id" = JobId, Path, description = "The job")),
    responses(
        (status = 200, description = "The kernel with its checks", body = GatedKernel),
        Refusals<(RateLimited, PathParam<JobId>)>
    )
)]
pub async fn sample_kernel(
    State(app): State<App>,
    from: ClientAddress,
    PathParam(job): PathParam<JobId>,
) -> ApiResult<Json<GatedKernel>> {
    app.limits.check(Action::Sample, from)?;
    files(&app, &find_published_job(&app, job).await?, 0, Vec::new()).kernel().await
}

/// Fetch the plan of one tile of a published job
///
/// For tabs: what to run over which buffers, in postcard's format.
#[utoipa::path(
    get,
    path = "/v1/public/jobs/{id}/sample/plan",
    tag = "explorer",
    params(("id" = JobId, Path, description = "The job"), SamplePlanParams),
    responses(
        (status = 200, description = "The plan", body = Binary, content_type = "application/octet-stream"),
        Refusals<(RateLimited, PathParam<JobId>, QueryParams<SamplePlanParams>, OutOfBounds)>
    )
)]
pub async fn sample_plan(
    State(app): State<App>,
    from: ClientAddress,
    PathParam(job): PathParam<JobId>,
    QueryParams(params): QueryParams<SamplePlanParams>,
) -> ApiResult<Response> {
    app.limits.check(Action::Sample, from)?;
    SampledTile::find(&app, job, params.tile).await?.files(&app).plan(params.rows).await
}

/// Fetch the constants of the plan of one tile of a published job
///
/// Those that the plan names by hash, one after another, as 32-bit words.
#[utoipa::path(
    get,
    path = "/v1/public/jobs/{id}/sample/weights",
    tag = "explorer",
    params(("id" = JobId, Path, description = "The job"), SamplePlanParams),
    responses(
        (status = 200, description = "The constants", body = Binary, content_type = "application/octet-stream"),
        Refusals<(RateLimited, PathParam<JobId>, QueryParams<SamplePlanParams>, OutOfBounds)>
    )
)]
pub async fn sample_weights(
    State(app): State<App>,
    from: ClientAddress,
    PathParam(job): PathParam<JobId>,
    QueryParams(params): QueryParams<SamplePlanParams>,
) -> ApiResult<Response> {
    app.limits.check(Action::Sample, from)?;
    SampledTile::find(&app, job, params.tile).await?.files(&app).weights(params.rows).await
}

/// Fetch the parameters of a published job's kernel
#[utoipa::path(
    get,
    path = "/v1/public/jobs/{id}/sample/params",
    tag = "explorer",
    params(("id" = JobId, Path, description = "The job")),
    responses(
        (status = 200, description = "What the kernel's binding 2 holds", body = Binary, content_type = "application/octet-stream"),
        Refusals<(RateLimited, PathParam<JobId>)>
    )
)]
pub async fn sample_params(
    State(app): State<App>,
    from: ClientAddress,
    PathParam(job): PathParam<JobId>,
) -> ApiResult<Response> {
    app.limits.check(Action::Sample, from)?;
    files(&app, &find_published_job(&app, job).await?, 0, Vec::new()).params().await
}

/// Fetch the input rows of one tile of a published job
#[utoipa::path(
    get,
    path = "/v1/public/jobs/{id}/sample/input",
    tag = "explorer",
    params(("id" = JobId, Path, description = "The job"), TileParams),
    responses(
        (status = 200, description = "The rows of each input after one another, then each shared input whole", body = Binary, content_type = "application/octet-stream"),
        (status = 206, description = "The part that `Range` asks for, under the `ETag` that came before", body = Binary, content_type = "application/octet-stream"),
        (status = 304, description = "`If-None-Match` has it already"),
        Refusals<(RateLimited, PathParam<JobId>, QueryParams<TileParams>, OutOfBounds, RangeBehindEnd)>
    )
)]
pub async fn sample_input(
    State(app): State<App>,
    from: ClientAddress,
    PathParam(job): PathParam<JobId>,
    QueryParams(params): QueryParams<TileParams>,
    resume: Resume,
) -> ApiResult<Response> {
    app.limits.check(Action::Sample, from)?;
    Ok(SampledTile::find(&app, job, params.tile).await?.files(&app).input(&resume))
}

/// Fetch what a device answered for one tile of a published job
#[utoipa::path(
    get,
    path = "/v1/public/jobs/{id}/sample/output",
    tag = "explorer",
    params(("id" = JobId, Path, description = "The job"), TileParams),
    responses(
        (status = 200, description = "Row after row, and in each row the outputs in order; after a kernel's records the fuel that they left, four bytes", body = Binary, content_type = "application/octet-stream"),
        Refusals<(RateLimited, PathParam<JobId>, QueryParams<TileParams>, OutOfBounds)>
    )
)]
pub async fn sample_output(
    State(app): State<App>,
    from: ClientAddress,
    PathParam(job): PathParam<JobId>,
    QueryParams(params): QueryParams<TileParams>,
) -> ApiResult<Response> {
    app.limits.check(Action::Sample, from)?;
    let sampled = SampledTile::find(&app, job, params.tile).await?;
    let index = sampled.index();
    let range = sampled.lease_tiles().output_range(index..index + 1);
    let range = wire::number::to(range.start)..wire::number::to(range.end);
    let headers = [("content-type", "application/octet-stream"), ("cache-control", CACHE_CONTROL)];
    Ok((headers, app.blobs.read_range(sampled.statement.receipt.output, range).await?).into_response())
}
