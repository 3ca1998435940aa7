use rules::Source;
use rules::scheduling::bitmap::Bitmap;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use wire::explorer::{PublicReceipt, Share};
use wire::{
    AccountId, BlobHash, Credits, DeviceId, Job, JobEvent, JobEventKind, JobId, JobState, Micros, PricePerCu, Privacy,
    Program, Task, Throughput, TileHash,
};

use super::mosaic::SettledSlice;
use crate::db::{DbConnection, count, flag, id, uncount};
use crate::random;

/// What a job stores as one text.
pub fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("what a job stores should serialise")
}

/// A stored JSON text. What was written through a type reads back as it.
pub fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).expect("what a job stores should parse")
}

pub fn privacy(text: &str) -> Privacy {
    *Privacy::ALL.iter().find(|privacy| privacy.name() == text).expect("a stored privacy class should be known")
}

pub fn state(text: &str) -> JobState {
    *JobState::ALL.iter().find(|state| state.name() == text).expect("a stored state should be known")
}

/// Where an input's values begin, as a job stores it.
#[derive(Deserialize, Serialize)]
pub struct StoredSource {
    blob: BlobHash,
    offset: u64,
}

impl From<Source> for StoredSource {
    fn from(Source { blob, offset }: Source) -> Self {
        Self { blob, offset }
    }
}

impl From<StoredSource> for Source {
    fn from(StoredSource { blob, offset }: StoredSource) -> Self {
        Self { blob, offset }
    }
}

/// What a job is written down with besides itself.
pub struct Submission<'a> {
    pub idempotency_key: &'a str,
    pub request_hash: TileHash,
    pub name: &'a str,
    /// As the customer asked for it.
    pub program: &'a Program,
    /// The most that the job can cost.
    pub hold: Credits,
    pub now: Micros,
}

/// `false` when the account has used the idempotency key before: nothing was written.
pub async fn insert_job(conn: &mut DbConnection, job: &rules::Job, submission: &Submission<'_>) -> sqlx::Result<bool> {
    let sources: Vec<StoredSource> = job.sources.iter().copied().map(StoredSource::from).collect();
    let inserted = sqlx::query(
        "insert into job (job_id, account_id, idempotency_key, request_hash, name, state, privacy, published, program, model_hash,
                          input_hash, input_offset, row_count, row_shape, output_row_shape, tile_rows, tiles, row_flops, price,
                          device_bytes, hold, cost, remaining_tiles, recomputed_tiles, created_at, ended_at, task, sources,
                          check_rule, peak_bytes)
        values ($1, $2, $3, $4, $5, 'running', $6, 0, $7, $8, '', 0, $9, '', '', $10, $11, $12, $13, $14, $15, 0, $11, 0, $16, 0,
                $17, $18, $19, $20)
        on conflict (account_id, idempotency_key) do nothing",
    )
    .bind(job.id.to_string())
    .bind(job.customer.to_string())
    .bind(submission.idempotency_key)
    .bind(submission.request_hash.to_string())
    .bind(submission.name)
    .bind(job.privacy.name())
    .bind(json(submission.program))
    .bind(job.task.code().to_string())
    .bind(count(job.rows))
    .bind(count(job.tile_rows))
    .bind(count(job.tile_count()))
    .bind(count(job.row_flops))
    .bind(job.price.0)
    .bind(count(job.device_bytes))
    .bind(submission.hold.micros())
    .bind(submission.now)
    .bind(json(&job.task))
    .bind(json(&sources))
    .bind(json(&job.check))
    .bind(count(job.peak_bytes))
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

#[derive(FromRow)]
struct JobRow {
    job_id: String,
    name: String,
    state: String,
    privacy: String,
    published: i64,
    program: String,
    task: String,
    fault: String,
    row_count: i64,
    tile_rows: i64,
    tiles: i64,
    row_flops: i64,
    price: i64,
    hold: i64,
    cost: i64,
    remaining_tiles: i64,
    recomputed_tiles: i64,
    created_at: i64,
    ended_at: i64,
    devices: i64,
}

macro_rules! select_job_sql {
    ($where:literal) => {
        concat!(
            "select job_id, name, case when fault <> '' then 'failed' else state end as state, privacy, published, program, task,
                    fault, row_count, tile_rows, tiles, row_flops, price, hold, cost, remaining_tiles, recomputed_tiles, created_at, ended_at,
                    (select cast(count(distinct receipt.device_id) as bigint)
                     from receipt
                     where receipt.job_id = job.job_id
                       and receipt.state in ('accepted', 'matured')) as devices
            from job ",
            $where
        )
    };
}

impl From<JobRow> for Job {
    fn from(row: JobRow) -> Self {
        let program: Program = from_json(&row.program);
        let task: Task = from_json(&row.task);
        Self {
            id: id(&row.job_id),
            name: row.name,
            state: state(&row.state),
            privacy: privacy(&row.privacy),
            published: row.published != 0,
            program,
            rows: uncount(row.row_count),
            inputs: task.inputs(),
            outputs: task.outputs(),
            tile_rows: uncount(row.tile_rows),
            tiles: uncount(row.tiles),
            verified_tiles: uncount(row.tiles - row.remaining_tiles),
            recomputed_tiles: uncount(row.recomputed_tiles),
            devices: uncount(row.devices),
            flops: uncount(row.row_flops).saturating_mul(uncount(row.row_count)),
            price: PricePerCu(row.price),
            hold: Credits::from_micros(row.hold),
            cost: Credits::from_micros(row.cost),
            created_at: row.created_at,
            ended_at: (row.ended_at != 0).then_some(row.ended_at),
            fault: (!row.fault.is_empty()).then(|| from_json(&row.fault)),
        }
    }
}

/// The job, if it is the account's.
pub async fn find_job(conn: &mut DbConnection, account: AccountId, job: JobId) -> sqlx::Result<Option<Job>> {
    let row: Option<JobRow> = sqlx::query_as(select_job_sql!("where job.job_id = $1 and job.account_id = $2"))
        .bind(job.to_string())
        .bind(account.to_string())
        .fetch_optional(conn)
        .await?;
    Ok(row.map(Job::from))
}

/// The job that the account submitted under this key, with the hash of its request.
pub async fn find_job_by_idempotency_key(
    conn: &mut DbConnection,
    account: AccountId,
    key: &str,
) -> sqlx::Result<Option<(JobId, TileHash)>> {
    let row: Option<(String, String)> =
        sqlx::query_as("select job_id, request_hash from job where account_id = $1 and idempotency_key = $2")
            .bind(account.to_string())
            .bind(key)
            .fetch_optional(conn)
            .await?;
    Ok(row.map(|(job, hash)| (id(&job), id(&hash))))
}

/// Which of an account's jobs a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct JobFilter<'a> {
    pub state: Option<JobState>,
    /// A part of the name in any case, or the beginning of the id.
    pub search: Option<&'a str>,
}

/// Up to `most` jobs of the account, newest first, older than `before` where one is given.
pub async fn list_jobs(
    conn: &mut DbConnection,
    account: AccountId,
    filter: JobFilter<'_>,
    before: Option<JobId>,
    most: i64,
) -> sqlx::Result<Vec<Job>> {
    // A failed job is stored as cancelled, with its fault.
    let (state, fault) = match filter.state {
        None => ("%", "%"),
        Some(JobState::Failed) => (JobState::Cancelled.name(), "_%"),
        Some(JobState::Cancelled) => (JobState::Cancelled.name(), ""),
        Some(state) => (state.name(), "%"),
    };
    // Every id sorts before 'g': they are hex digits.
    let before = before.map_or_else(|| "g".to_owned(), |job| job.to_string());
    let rows: Vec<JobRow> = sqlx::query_as(select_job_sql!(
        "where job.account_id = $1
              and job.job_id < $2
              and job.state like $3
              and job.fault like $7
              and (lower(job.name) like $4 escape '!' or job.job_id like $5 escape '!')
            order by job.job_id desc
            limit $6"
    ))
    .bind(account.to_string())
    .bind(before)
    .bind(state)
    .bind(format!("%{}%", like(filter.search.unwrap_or_default())))
    .bind(format!("{}%", like(filter.search.unwrap_or_default())))
    .bind(most)
    .bind(fault)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Job::from).collect())
}

/// A text as a `like` pattern that means itself alone.
fn like(text: &str) -> String {
    text.to_lowercase().replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

pub async fn find_job_state(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Option<JobState>> {
    let row: Option<(String,)> =
        sqlx::query_as("select state from job where job_id = $1").bind(job.to_string()).fetch_optional(conn).await?;
    Ok(row.map(|(text,)| state(&text)))
}

pub async fn publish_job(
    conn: &mut DbConnection,
    account: AccountId,
    job: JobId,
    published: bool,
) -> sqlx::Result<bool> {
    let done = sqlx::query("update job set published = $3 where job_id = $1 and account_id = $2 and published <> $3")
        .bind(job.to_string())
        .bind(account.to_string())
        .bind(flag(published))
        .execute(conn)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Adds a line to the story that a job's owner reads.
pub async fn insert_event(
    conn: &mut DbConnection,
    job: JobId,
    kind: JobEventKind,
    device: Option<DeviceId>,
    now: Micros,
) -> sqlx::Result<()> {
    let (millis, bytes) = random::id_parts(now);
    sqlx::query("insert into job_event (event_id, job_id, kind, device_id, created_at) values ($1, $2, $3, $4, $5)")
        .bind(JobId::from_parts(millis, bytes).to_string())
        .bind(job.to_string())
        .bind(kind.name())
        .bind(device.map_or_else(String::new, |device| device.to_string()))
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// The first `most` events of a job, oldest first.
pub async fn list_events(conn: &mut DbConnection, job: JobId, most: i64) -> sqlx::Result<Vec<JobEvent>> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "select kind, device_id, created_at from job_event where job_id = $1 order by created_at, event_id limit $2",
    )
    .bind(job.to_string())
    .bind(most)
    .fetch_all(conn)
    .await?;
    let kind = |text: &str| {
        *JobEventKind::ALL.iter().find(|kind| kind.name() == text).expect("a stored event should be known")
    };
    let event = |(text, device, at): (String, String, i64)| JobEvent {
        at,
        kind: kind(&text),
        device: (!device.is_empty()).then(|| id(&device)),
    };
    Ok(rows.into_iter().map(event).collect())
}

/// Who computed a job, most tiles first; 200 at most.
pub async fn list_shares(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Vec<Share>> {
    let rows: Vec<crate::explorer::store::ShareRow> = sqlx::query_as(
        "select device_id, backend, cast(sum(tiles) as bigint) as tiles, cast(count(*) as bigint) as receipts,
                cast(sum(recomputed) as bigint) as recomputed
        from receipt
        where job_id = $1
          and state in ('accepted', 'matured')
        group by device_id, backend
        order by tiles desc, device_id
        limit 200",
    )
    .bind(job.to_string())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Share::from).collect())
}

/// Settled tiles of a job between two moments, in equal steps.
pub async fn list_throughput(
    conn: &mut DbConnection,
    job: JobId,
    from: Micros,
    to: Micros,
) -> sqlx::Result<Throughput> {
    const STEPS: i64 = 60;
    let step = ((to - from) / STEPS + 1).max(100_000);
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select (created_at - $2) / $3 as step, cast(sum(tiles) as bigint)
        from receipt
        where job_id = $1
          and state in ('accepted', 'matured')
        group by (created_at - $2) / $3",
    )
    .bind(job.to_string())
    .bind(from)
    .bind(step)
    .fetch_all(conn)
    .await?;
    let mut tiles = vec![0; usize::try_from((to - from).max(0) / step + 1).unwrap_or(1)];
    for (at, settled) in rows {
        if let Some(slot) = usize::try_from(at).ok().and_then(|at| tiles.get_mut(at)) {
            *slot = uncount(settled);
        }
    }
    Ok(Throughput { step, tiles })
}

/// The latest receipts of a job, newest first.
pub async fn list_latest_receipts(conn: &mut DbConnection, job: JobId, most: i64) -> sqlx::Result<Vec<PublicReceipt>> {
    let rows: Vec<crate::explorer::store::ReceiptRow> = sqlx::query_as(
        "select lease_id, device_id, backend, program, tiles, kflop, state, recomputed, created_at, job_id
        from receipt
        where job_id = $1
        order by created_at desc, lease_id desc
        limit $2",
    )
    .bind(job.to_string())
    .bind(most)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(PublicReceipt::from).collect())
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

/// A slice row as the mosaic needs it.
pub fn settled_slice((first_tile, tiles, settled): (i64, i64, Vec<u8>)) -> Option<SettledSlice> {
    Some(SettledSlice { first_tile: uncount(first_tile), settled: Bitmap::from_bytes(uncount(tiles), &settled)? })
}

/// The outputs of a finished job, in order.
pub async fn list_outputs(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Vec<BlobHash>> {
    let rows: Vec<(String,)> =
        sqlx::query_as("select output_hash from receipt where job_id = $1 and state = 'matured' order by first_tile")
            .bind(job.to_string())
            .fetch_all(conn)
            .await?;
    Ok(rows.iter().map(|(hash,)| id(hash)).collect())
}
