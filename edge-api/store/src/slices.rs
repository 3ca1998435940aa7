//! Slices: who owns which, and what is settled in them. A write names the fence and the version that its writer saw.

use std::collections::{BTreeMap, BTreeSet};

use rules::scheduling::bitmap::Bitmap;
use rules::scheduling::lease::Settlement;
use rules::scheduling::mosaic::SettledSlice;
use sqlx::FromRow;
use wire::{JobId, Micros, SliceId};

use crate::codec::{count, id, json, uncount};
use crate::db::{DbConnection, Dialect, now_sql};
use crate::list::list_sql;

/// A slice as claimed, under its new fence.
#[derive(Clone, Debug)]
pub struct ClaimedSlice {
    pub slice: SliceId,
    pub job: JobId,
    pub first_tile: u64,
    pub tiles: u64,
    pub settled: Vec<u8>,
    pub fence: i64,
    pub version: i64,
}

#[derive(FromRow)]
struct SliceRow {
    slice_id: String,
    job_id: String,
    first_tile: i64,
    tiles: i64,
    settled: Vec<u8>,
    fence: i64,
    version: i64,
}

impl From<SliceRow> for ClaimedSlice {
    fn from(row: SliceRow) -> Self {
        Self {
            slice: id(&row.slice_id),
            job: id(&row.job_id),
            first_tile: uncount(row.first_tile),
            tiles: uncount(row.tiles),
            settled: row.settled,
            fence: row.fence,
            version: row.version,
        }
    }
}

/// A slice that nobody owns yet, with nothing settled.
pub async fn insert_slice(
    conn: &mut DbConnection,
    slice: SliceId,
    job: JobId,
    first_tile: u64,
    tiles: u64,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into slice (slice_id, job_id, first_tile, tiles, settled, remaining, owner, fence, version)
        values ($1, $2, $3, $4, $5, $4, '', 0, 0)",
    )
    .bind(slice.to_string())
    .bind(job.to_string())
    .bind(count(first_tile))
    .bind(count(tiles))
    .bind(Bitmap::new(tiles).to_bytes())
    .execute(conn)
    .await?;
    Ok(())
}

macro_rules! lost_owners_sql {
    ($engine:ident) => {
        concat!(
            "select distinct owner
            from slice
            where remaining > 0
              and owner <> $1
              and not exists (
                select 1
                from replica
                where replica.replica_id = slice.owner
                  and replica.heartbeat_at >= ",
            now_sql!($engine),
            " - $2
              )"
        )
    };
}

/// Owners of unfinished slices that are no living replica: nobody, and those that have said nothing for so long, by the
/// database's clock. A claim names them, so that of two replicas that claim at once one finds another owner there than it
/// looked for.
pub async fn list_lost_owners(conn: &mut DbConnection, replica: &str, silent: Micros) -> sqlx::Result<Vec<String>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => lost_owners_sql!(sqlite),
        Dialect::Postgres => lost_owners_sql!(postgres),
    };
    sqlx::query_scalar(statement).bind(replica).bind(silent).fetch_all(conn).await
}

macro_rules! claim_slices_sql {
    ($engine:ident, $lock:literal) => {
        concat!(
            "update slice
            set owner = $1, fence = fence + 1
            where slice_id in (
                select slice.slice_id
                from slice
                join (
                    select
                        slice.slice_id,
                        row_number() over (partition by slice.job_id order by slice.slice_id) as turn
                    from slice
                    join job on job.job_id = slice.job_id
                    where slice.remaining > 0
                      and job.state = 'running'
                      and slice.owner in (",
            list_sql!($engine "$2"),
            ")
                      and slice.job_id in (",
            list_sql!($engine "$3"),
            ")
                ) as candidate on candidate.slice_id = slice.slice_id
                where slice.owner in (",
            list_sql!($engine "$2"),
            ")
                order by candidate.turn, slice.slice_id
                limit $4",
            $lock,
            ")
            returning slice_id, job_id, first_tile, tiles, settled, fence, version"
        )
    };
}

/// Takes up to `most` unfinished slices of these owners and these jobs: one of each job, then a second of each.
pub async fn claim_slices(
    conn: &mut DbConnection,
    replica: &str,
    owners: &[String],
    jobs: &[JobId],
    most: i64,
) -> sqlx::Result<Vec<ClaimedSlice>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => claim_slices_sql!(sqlite, " "),
        Dialect::Postgres => claim_slices_sql!(postgres, " for no key update of slice skip locked "),
    };
    let rows: Vec<SliceRow> = sqlx::query_as(statement)
        .bind(replica)
        .bind(json(&owners))
        .bind(json(&jobs))
        .bind(most)
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().map(ClaimedSlice::from).collect())
}

macro_rules! count_unclaimed_sql {
    ($engine:ident) => {
        concat!(
            "select job_id, cast(sum(remaining) as bigint)
            from slice
            where remaining > 0
              and owner in (",
            list_sql!($engine "$1"),
            ")
              and job_id in (",
            list_sql!($engine "$2"),
            ")
            group by job_id"
        )
    };
}

/// Tiles of these jobs that are not settled, in slices of these owners; none of jobs that have no such slice.
pub async fn count_unclaimed_tiles(
    conn: &mut DbConnection,
    owners: &[String],
    jobs: &[JobId],
) -> sqlx::Result<BTreeMap<JobId, u64>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => count_unclaimed_sql!(sqlite),
        Dialect::Postgres => count_unclaimed_sql!(postgres),
    };
    let rows: Vec<(String, i64)> =
        sqlx::query_as(statement).bind(json(&owners)).bind(json(&jobs)).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(job, tiles)| (id(&job), uncount(tiles))).collect())
}

macro_rules! claim_unchecked_sql {
    ($engine:ident, $lock:literal) => {
        concat!(
            "update slice
            set owner = $1, fence = fence + 1
            where slice_id in (
                select slice.slice_id
                from slice
                join job on job.job_id = slice.job_id
                where slice.remaining > 0
                  and job.state = 'running'
                  and slice.owner in (",
            list_sql!($engine "$2"),
            ")
                  and exists (
                    select 1
                    from receipt
                    where receipt.job_id = slice.job_id
                      and receipt.state = 'pending'
                      and receipt.slice_id = slice.slice_id
                  )
                order by slice.slice_id
                limit $3",
            $lock,
            ")
            returning slice_id, job_id, first_tile, tiles, settled, fence, version"
        )
    };
}

/// Takes up to `most` slices of these owners in which a receipt waits for its check, whoever can do their jobs.
pub async fn claim_unchecked_slices(
    conn: &mut DbConnection,
    replica: &str,
    owners: &[String],
    most: i64,
) -> sqlx::Result<Vec<ClaimedSlice>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => claim_unchecked_sql!(sqlite, " "),
        Dialect::Postgres => claim_unchecked_sql!(postgres, " for no key update of slice skip locked "),
    };
    let rows: Vec<SliceRow> =
        sqlx::query_as(statement).bind(replica).bind(json(&owners)).bind(most).fetch_all(conn).await?;
    Ok(rows.into_iter().map(ClaimedSlice::from).collect())
}

/// Lets a slice go that nobody works on here. Nothing happens when it is somebody else's by now.
pub async fn release_slice(conn: &mut DbConnection, replica: &str, slice: SliceId) -> sqlx::Result<()> {
    sqlx::query("update slice set owner = '' where slice_id = $1 and owner = $2")
        .bind(slice.to_string())
        .bind(replica)
        .execute(conn)
        .await?;
    Ok(())
}

/// Lets all slices of a replica go. Their receipts settle under the same fence until another replica claims them.
pub async fn release_all_slices(conn: &mut DbConnection, replica: &str) -> sqlx::Result<()> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => "update slice set owner = '' where owner = $1",
        // In the order in which others lock them.
        Dialect::Postgres => {
            "with own as (select slice_id from slice where owner = $1 order by slice_id for no key update)
            update slice set owner = '' where slice_id in (select slice_id from own)"
        }
    };
    sqlx::query(statement).bind(replica).execute(conn).await?;
    Ok(())
}

/// Whether a slice is still under this fence; locked for the rest of the transaction if it is. What is written of its
/// receipts under another fence is for whoever owns it now.
pub async fn lock_fence(conn: &mut DbConnection, slice: SliceId, fence: i64) -> sqlx::Result<bool> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => "select slice_id from slice where slice_id = $1 and fence = $2",
        Dialect::Postgres => "select slice_id from slice where slice_id = $1 and fence = $2 for no key update",
    };
    let found = sqlx::query(statement).bind(slice.to_string()).bind(fence).fetch_optional(conn).await?;
    Ok(found.is_some())
}

/// Writes a settlement, if the slice is as its owner left it. `false`: nothing was written.
pub async fn settle_slice(conn: &mut DbConnection, settlement: &Settlement) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update slice
        set settled = $4, version = version + 1, remaining = remaining - $5
        where slice_id = $1
          and fence = $2
          and version = $3",
    )
    .bind(settlement.slice.to_string())
    .bind(settlement.fence)
    .bind(settlement.version)
    .bind(settlement.settled.to_bytes())
    .bind(count(settlement.tiles))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes a slice of which settled tiles were taken back, if it is as its owner left it. `false`: nothing was written.
pub async fn unsettle_slice(conn: &mut DbConnection, written: &Settlement) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update slice
        set settled = $4, version = version + 1, remaining = remaining + $5
        where slice_id = $1
          and fence = $2
          and version = $3",
    )
    .bind(written.slice.to_string())
    .bind(written.fence)
    .bind(written.version)
    .bind(written.settled.to_bytes())
    .bind(count(written.tiles))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes a slice from whoever owns it, locked for the rest of the transaction.
pub async fn seize_slice(conn: &mut DbConnection, slice: SliceId) -> sqlx::Result<ClaimedSlice> {
    let row: SliceRow = sqlx::query_as(
        "update slice
        set owner = '', fence = fence + 1
        where slice_id = $1
        returning slice_id, job_id, first_tile, tiles, settled, fence, version",
    )
    .bind(slice.to_string())
    .fetch_one(conn)
    .await?;
    Ok(row.into())
}

/// Writes the settled tiles of a slice seized in this transaction.
pub async fn write_seized_slice(
    conn: &mut DbConnection,
    slice: SliceId,
    settled: Vec<u8>,
    tiles_back: u64,
) -> sqlx::Result<()> {
    sqlx::query(
        "update slice
        set settled = $2, version = version + 1, remaining = remaining + $3
        where slice_id = $1",
    )
    .bind(slice.to_string())
    .bind(settled)
    .bind(count(tiles_back))
    .execute(conn)
    .await?;
    Ok(())
}

/// The settled tiles of a job, slice by slice.
pub async fn list_settled_slices(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Vec<SettledSlice>> {
    let rows: Vec<(i64, i64, Vec<u8>)> =
        sqlx::query_as("select first_tile, tiles, settled from slice where job_id = $1 order by first_tile")
            .bind(job.to_string())
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().filter_map(settled_slice).collect())
}

/// What a row of `slice` or of its view says is settled. `None` when its bitmap is damaged.
pub(crate) fn settled_slice((first_tile, tiles, settled): (i64, i64, Vec<u8>)) -> Option<SettledSlice> {
    Some(SettledSlice { first_tile: uncount(first_tile), settled: Bitmap::from_bytes(uncount(tiles), &settled)? })
}

macro_rules! lock_slices_sql {
    ($engine:ident, $lock:literal) => {
        concat!(
            "select slice_id, fence, version from slice where slice_id in (",
            list_sql!($engine "$1"),
            ") order by slice_id",
            $lock
        )
    };
}

/// Locks slices for the rest of the transaction, in the order of their ids; returns the fence and the version of each.
pub async fn lock_slices(
    conn: &mut DbConnection,
    slices: &BTreeSet<SliceId>,
) -> sqlx::Result<BTreeMap<SliceId, (i64, i64)>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => lock_slices_sql!(sqlite, ""),
        Dialect::Postgres => lock_slices_sql!(postgres, " for no key update"),
    };
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(statement).bind(json(slices)).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(slice, fence, version)| (id(&slice), (fence, version))).collect())
}
