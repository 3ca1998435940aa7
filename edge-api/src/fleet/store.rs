use rules::scheduling::lease::Settlement;
use rules::{Job, Source};
use sqlx::FromRow;

use wire::{Credits, JobId, Micros, PricePerCu, SliceId, TileHash};

use crate::db::{DbConnection, Dialect, count, id, uncount};
use crate::jobs::store::{StoredSource, from_json};

pub async fn heartbeat(conn: &mut DbConnection, replica: &str, now: Micros) -> sqlx::Result<()> {
    sqlx::query(
        "insert into replica (replica_id, heartbeat_at)
        values ($1, $2)
        on conflict (replica_id) do update set heartbeat_at = excluded.heartbeat_at",
    )
    .bind(replica)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets replicas that were last heard before `dead_before`; their slices are free to claim.
pub async fn delete_replicas(conn: &mut DbConnection, dead_before: Micros) -> sqlx::Result<()> {
    sqlx::query("delete from replica where heartbeat_at < $1").bind(dead_before).execute(conn).await?;
    Ok(())
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

pub async fn insert_slice(
    conn: &mut DbConnection,
    slice: SliceId,
    job: JobId,
    first_tile: u64,
    tiles: u64,
    settled: Vec<u8>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into slice (slice_id, job_id, first_tile, tiles, settled, remaining, owner, fence, version)
        values ($1, $2, $3, $4, $5, $4, '', 0, 0)",
    )
    .bind(slice.to_string())
    .bind(job.to_string())
    .bind(count(first_tile))
    .bind(count(tiles))
    .bind(settled)
    .execute(conn)
    .await?;
    Ok(())
}

/// A list that is bound as JSON, row by row.
macro_rules! sqlite_list {
    ($place:literal) => {
        concat!("select value from json_each(", $place, ")")
    };
}

macro_rules! postgres_list {
    ($place:literal) => {
        concat!("select jsonb_array_elements_text(", $place, "::jsonb)")
    };
}

fn list(entries: &impl serde::Serialize) -> sqlx::Result<String> {
    serde_json::to_string(entries).map_err(|error| sqlx::Error::Encode(error.into()))
}

macro_rules! claim_slices_sql {
    ($list:ident, $lock:literal) => {
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
            $list!("$2"),
            ")
                  and (
                    slice.job_id in (",
            $list!("$3"),
            ")
                    or exists (
                      select 1
                      from receipt
                      where receipt.job_id = slice.job_id
                        and receipt.state = 'pending'
                        and receipt.slice_id = slice.slice_id
                    )
                  )
                order by slice.slice_id
                limit $4",
            $lock,
            ")
            returning slice_id, job_id, first_tile, tiles, settled, fence, version"
        )
    };
}

/// Owners of unfinished slices that are no living replica: nobody, and those that are gone. A claim names
/// them, so that of two replicas that claim at once one finds another owner there than it looked for.
pub async fn list_lost_owners(
    conn: &mut DbConnection,
    replica: &str,
    alive_since: Micros,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select distinct owner
        from slice
        where remaining > 0
          and owner <> $1
          and not exists (select 1 from replica where replica.replica_id = slice.owner and replica.heartbeat_at >= $2)",
    )
    .bind(replica)
    .bind(alive_since)
    .fetch_all(conn)
    .await
}

/// Takes up to `most` unfinished slices of these owners: of these jobs, or with a receipt that waits for
/// its check.
pub async fn claim_slices(
    conn: &mut DbConnection,
    dialect: Dialect,
    replica: &str,
    owners: &[String],
    jobs: &[JobId],
    most: i64,
) -> sqlx::Result<Vec<ClaimedSlice>> {
    let statement = match dialect {
        Dialect::Sqlite => claim_slices_sql!(sqlite_list, " "),
        Dialect::Postgres => claim_slices_sql!(postgres_list, " for update of slice skip locked "),
    };
    let (owners, jobs) = (list(&owners)?, list(&jobs)?);
    let rows: Vec<SliceRow> =
        sqlx::query_as(statement).bind(replica).bind(owners).bind(jobs).bind(most).fetch_all(conn).await?;
    Ok(rows.into_iter().map(ClaimedSlice::from).collect())
}

macro_rules! unclaimed_jobs_sql {
    ($list:ident) => {
        concat!(
            "select job_id, account_id, privacy, task, sources, check_rule, row_count, tile_rows, row_flops, price, device_bytes, peak_bytes
            from job
            where state = 'running'
              and job_id > $2
              and exists (
                select 1
                from slice
                where slice.job_id = job.job_id
                  and slice.remaining > 0
                  and slice.owner in (",
            $list!("$1"),
            ")
              )
            order by job_id
            limit $3"
        )
    };
}

/// Running jobs after `after` with unfinished slices of these owners, in the order of their ids.
pub async fn list_unclaimed_jobs(
    conn: &mut DbConnection,
    dialect: Dialect,
    owners: &[String],
    after: Option<JobId>,
    most: i64,
) -> sqlx::Result<Vec<Job>> {
    let statement = match dialect {
        Dialect::Sqlite => unclaimed_jobs_sql!(sqlite_list),
        Dialect::Postgres => unclaimed_jobs_sql!(postgres_list),
    };
    let after = after.map(|job| job.to_string()).unwrap_or_default();
    let rows: Vec<AdmittedJobRow> =
        sqlx::query_as(statement).bind(list(&owners)?).bind(after).bind(most).fetch_all(conn).await?;
    Ok(rows.into_iter().map(Job::from).collect())
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

/// Lets a slice go that nobody works on here. Nothing happens when it is somebody else's by now.
pub async fn release_slice(conn: &mut DbConnection, replica: &str, slice: SliceId) -> sqlx::Result<()> {
    sqlx::query("update slice set owner = '' where slice_id = $1 and owner = $2")
        .bind(slice.to_string())
        .bind(replica)
        .execute(conn)
        .await?;
    Ok(())
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

#[derive(FromRow)]
struct AdmittedJobRow {
    job_id: String,
    account_id: String,
    privacy: String,
    task: String,
    sources: String,
    check_rule: String,
    row_count: i64,
    tile_rows: i64,
    row_flops: i64,
    price: i64,
    device_bytes: i64,
    peak_bytes: i64,
}

/// The job as it was admitted.
pub async fn load_job(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Option<Job>> {
    let row: Option<AdmittedJobRow> = sqlx::query_as(
        "select job_id, account_id, privacy, task, sources, check_rule, row_count, tile_rows, row_flops, price, device_bytes, peak_bytes
        from job
        where job_id = $1",
    )
    .bind(job.to_string())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Job::from))
}

/// The job as it was admitted, if its owner has published it.
pub async fn load_published_job(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Option<Job>> {
    let row: Option<AdmittedJobRow> = sqlx::query_as(
        "select job_id, account_id, privacy, task, sources, check_rule, row_count, tile_rows, row_flops, price, device_bytes, peak_bytes
        from job
        where job_id = $1
          and published = 1",
    )
    .bind(job.to_string())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Job::from))
}

impl From<AdmittedJobRow> for Job {
    fn from(row: AdmittedJobRow) -> Self {
        let sources: Vec<StoredSource> = from_json(&row.sources);
        Self {
            id: id(&row.job_id),
            customer: id(&row.account_id),
            privacy: crate::jobs::store::privacy(&row.privacy),
            task: from_json(&row.task),
            sources: sources.into_iter().map(Source::from).collect(),
            check: from_json(&row.check_rule),
            rows: uncount(row.row_count),
            tile_rows: uncount(row.tile_rows),
            row_flops: uncount(row.row_flops),
            price: PricePerCu(row.price),
            device_bytes: uncount(row.device_bytes),
            peak_bytes: uncount(row.peak_bytes),
        }
    }
}

/// Takes settled tiles off a running job; returns what remains. `None`: the job has ended, nothing was written.
pub async fn take_tiles(
    conn: &mut DbConnection,
    job: JobId,
    tiles: u64,
    recomputed: u64,
    cost: Credits,
) -> sqlx::Result<Option<i64>> {
    let row: Option<(i64,)> = sqlx::query_as(
        "update job
        set remaining_tiles = remaining_tiles - $2, recomputed_tiles = recomputed_tiles + $3, cost = cost + $4
        where job_id = $1
          and state = 'running'
        returning remaining_tiles",
    )
    .bind(job.to_string())
    .bind(count(tiles))
    .bind(count(recomputed))
    .bind(cost.micros())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(remaining,)| remaining))
}

/// Takes a settlement off a job's account again, whatever its state.
pub async fn return_tiles(conn: &mut DbConnection, job: JobId, tiles: u64, cost: Credits) -> sqlx::Result<()> {
    sqlx::query("update job set remaining_tiles = remaining_tiles + $2, cost = cost - $3 where job_id = $1")
        .bind(job.to_string())
        .bind(count(tiles))
        .bind(cost.micros())
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends a running job. `done` asks that nothing remains. `false`: it had ended, or is not done.
pub async fn end_job(conn: &mut DbConnection, job: JobId, state: wire::JobState, now: Micros) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update job
        set state = $2, ended_at = $3
        where job_id = $1
          and state = 'running'
          and ($2 <> 'done' or remaining_tiles = 0)",
    )
    .bind(job.to_string())
    .bind(state.name())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a running job whose program cannot finish. `false`: it had ended.
pub async fn fail_job(conn: &mut DbConnection, job: JobId, fault: wire::JobFault, now: Micros) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update job
        set state = 'cancelled', fault = $2, ended_at = $3
        where job_id = $1
          and state = 'running'",
    )
    .bind(job.to_string())
    .bind(crate::jobs::store::json(&fault))
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Jobs that only want closing: all is settled, or they ended with receipts that are not mature.
pub async fn list_jobs_to_close(conn: &mut DbConnection, most: i64) -> sqlx::Result<Vec<JobId>> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "select job_id
        from job
        where (state = 'running' and remaining_tiles = 0)
           or (state <> 'running' and exists (select 1 from receipt where receipt.job_id = job.job_id and receipt.state = 'accepted'))
        order by job_id
        limit $1",
    )
    .bind(most)
    .fetch_all(conn)
    .await?;
    Ok(rows.iter().map(|(job,)| id(job)).collect())
}

/// The value of a secret that all replicas share; `fresh` is kept if there was none.
pub async fn find_or_insert_secret(conn: &mut DbConnection, name: &str, fresh: TileHash) -> sqlx::Result<TileHash> {
    sqlx::query("insert into secret (name, value) values ($1, $2) on conflict (name) do nothing")
        .bind(name)
        .bind(fresh.to_string())
        .execute(&mut *conn)
        .await?;
    let (value,): (String,) =
        sqlx::query_as("select value from secret where name = $1").bind(name).fetch_one(conn).await?;
    Ok(id(&value))
}
