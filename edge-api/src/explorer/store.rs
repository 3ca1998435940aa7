use sqlx::FromRow;
use wire::explorer::PublicShare;
use wire::{Credits, JobId, PricePerCu, PublicJob};

use crate::db::{DbConnection, id, uncount};
use crate::jobs::{mosaic, store as jobs};

#[derive(FromRow)]
struct PublicJobRow {
    job_id: String,
    name: String,
    state: String,
    model_hash: String,
    row_count: i64,
    tiles: i64,
    row_flops: i64,
    price: i64,
    cost: i64,
    remaining_tiles: i64,
    recomputed_tiles: i64,
    created_at: i64,
    ended_at: i64,
}

#[derive(FromRow)]
struct ShareRow {
    device_id: String,
    backend: String,
    tiles: i64,
    receipts: i64,
}

/// A published job. `None` for one that is not, as for one that does not exist.
pub async fn find_public_job(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Option<PublicJob>> {
    let row: Option<PublicJobRow> = sqlx::query_as(
        "select job_id, name, state, model_hash, row_count, tiles, row_flops, price, cost, remaining_tiles, recomputed_tiles,
                created_at, ended_at
        from public_job
        where job_id = $1",
    )
    .bind(job.to_string())
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let parts: Vec<(i64, i64, Vec<u8>)> =
        sqlx::query_as("select first_tile, tiles, settled from public_slice where job_id = $1 order by first_tile")
            .bind(job.to_string())
            .fetch_all(&mut *conn)
            .await?;
    let parts: Vec<_> = parts.into_iter().filter_map(jobs::part).collect();
    let shares: Vec<ShareRow> = sqlx::query_as(
        "select device_id, backend, tiles, receipts
        from public_share
        where job_id = $1
        order by tiles desc, device_id
        limit 100",
    )
    .bind(job.to_string())
    .fetch_all(conn)
    .await?;
    let tiles = uncount(row.tiles);
    Ok(Some(PublicJob {
        id: id(&row.job_id),
        name: row.name,
        state: jobs::state(&row.state),
        model: id(&row.model_hash),
        rows: uncount(row.row_count),
        tiles,
        verified_tiles: uncount(row.tiles - row.remaining_tiles),
        recomputed_tiles: uncount(row.recomputed_tiles),
        flops: uncount(row.row_flops).saturating_mul(uncount(row.row_count)),
        price: PricePerCu(row.price),
        cost: Credits::from_micros(row.cost),
        created_at: row.created_at,
        ended_at: (row.ended_at != 0).then_some(row.ended_at),
        mosaic: mosaic::draw(tiles, &parts),
        devices: shares
            .into_iter()
            .map(|share| PublicShare {
                device: share.device_id.chars().take(16).collect(),
                backend: share.backend,
                tiles: uncount(share.tiles),
                receipts: uncount(share.receipts),
            })
            .collect(),
    }))
}
