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
use wire::{BlobHash, ErrorCode, JobId, TileHash, merkle};

use super::store::{self, JobSource};
use crate::app::App;
use crate::db::{count, id, uncount};
use crate::error::{ApiResult, invalid, not_found};
use crate::jobs::store::shape;
use crate::json::{At, Params};
use crate::random;

const BINARY: [(&str, &str); 2] =
    [("content-type", "application/octet-stream"), ("cache-control", "public, max-age=60")];

#[derive(Debug, Deserialize)]
pub struct TileParams {
    tile: Option<u64>,
}

/// A tile with its rows' places.
struct Place {
    source: JobSource,
    statement: SignedReceipt,
    tile: u64,
}

impl Place {
    /// `tile` of a published job, or one at random.
    async fn find(app: &App, job: JobId, tile: Option<u64>) -> ApiResult<Self> {
        let mut conn = app.db.read().await?;
        let source = store::find_job_source(&mut conn, job).await?.ok_or_else(|| not_found("published job"))?;
        let tiles = uncount(source.tiles);
        let tile = tile.unwrap_or_else(|| u64::from_le_bytes(random::bytes()) % tiles.max(1));
        if tile >= tiles {
            return Err(invalid(ErrorCode::MalformedRequest, "tile", format!("this job has tiles 0 to {}", tiles - 1)));
        }
        let statement = store::find_statement_of_tile(&mut conn, job, count(tile)).await?;
        Ok(Self { source, statement: statement.ok_or_else(|| not_found("matured tile"))?, tile })
    }

    fn rows(&self, tile: u64) -> std::ops::Range<u64> {
        let (size, all) = (uncount(self.source.tile_rows), uncount(self.source.row_count));
        tile * size..((tile + 1) * size).min(all)
    }

    fn row_shape(&self) -> Vec<u64> {
        shape(&self.source.row_shape)
    }

    fn output_row_len(&self) -> u64 {
        shape(&self.source.output_row_shape).iter().product()
    }

    /// Where a tile's rows lie in the output of their lease, in bytes.
    fn output_range(&self, tile: u64) -> std::ops::Range<u64> {
        let first = self.rows(self.statement.receipt.first_tile).start;
        let rows = self.rows(tile);
        let at = |row: u64| (row - first) * self.output_row_len() * 4;
        at(rows.start)..at(rows.end)
    }

    fn input_range(&self) -> std::ops::Range<u64> {
        let row_bytes = self.row_shape().iter().product::<u64>() * 4;
        let rows = self.rows(self.tile);
        let at = |row: u64| uncount(self.source.input_offset) + row * row_bytes;
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
    let rows = place.rows(place.tile);
    Ok(Json(Sample {
        tile: place.tile,
        proof,
        rows: rows.end - rows.start,
        row_shape: place.row_shape(),
        output_row_len: place.output_row_len(),
        model: id(&place.source.model_hash),
        flops: (rows.end - rows.start) * uncount(place.source.row_flops),
        statement: place.statement,
    }))
}

/// Fetch the model of a published job
pub async fn sample_model(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    At(job): At<JobId>,
) -> ApiResult<Response> {
    app.limits.check_sample(from.ip())?;
    let source = store::find_job_source(&mut *app.db.read().await?, job).await?;
    let model: BlobHash = id(&source.ok_or_else(|| not_found("published job"))?.model_hash);
    Ok((BINARY, Body::from_stream(app.blobs.stream(model).await?)).into_response())
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
    Ok((BINARY, app.blobs.read_range(id(&place.source.input_hash), place.input_range()).await?).into_response())
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
