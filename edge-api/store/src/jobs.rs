//! Customers' orders: written once, read by their owner as a job of the API, and by the edge as what it admitted.

use std::collections::BTreeMap;

use rules::{Job, Source};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use wire::{AccountId, BlobHash, Credits, JobId, JobState, Micros, PricePerCu, Privacy, Program, Task, TileHash};

use crate::codec::{count, flag, from_json, id, json, named, uncount};
use crate::db::{DbConnection, Dialect};
use crate::list::list_sql;

/// What a job is written down with besides itself.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    pub idempotency_key: &'a str,
    pub request_hash: TileHash,
    pub name: &'a str,
    /// As the customer asked for it.
    pub program: &'a Program,
    /// The most that the job can cost.
    pub hold: Credits,
    /// When it ends by itself.
    pub deadline: Option<Micros>,
    pub file_names: &'a BTreeMap<String, String>,
    pub now: Micros,
}

/// A [`Source`] as `job.sources` lists it.
#[derive(Deserialize, Serialize)]
struct SourceEntry {
    blob: BlobHash,
    offset: u64,
}

/// `false` when the account has used the idempotency key before: nothing was written.
pub async fn insert_job(conn: &mut DbConnection, job: &Job, submission: &Submission<'_>) -> sqlx::Result<bool> {
    let sources = job.sources.iter().map(|source| SourceEntry { blob: source.blob, offset: source.offset });
    let inserted = sqlx::query(
        "insert into job (job_id, account_id, idempotency_key, request_hash, name, state, fault, privacy, published, program,
                          task, sources, check_rule, row_count, tile_rows, tiles, row_flops, price, device_bytes, peak_bytes, code_bytes,
                          hold, cost, fee, cost_rest, remaining_tiles, recomputed_tiles, created_at, ended_at,
                          deadline, file_names)
        values ($1, $2, $3, $4, $5, 'running', '', $6, 0, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, 0, 0, 0, $13, 0, $20, 0,
                $21, $22)
        on conflict (account_id, idempotency_key) do nothing",
    )
    .bind(job.id.to_string())
    .bind(job.customer.to_string())
    .bind(submission.idempotency_key)
    .bind(submission.request_hash.to_string())
    .bind(submission.name)
    .bind(job.privacy.name())
    .bind(json(submission.program))
    .bind(json(&job.task))
    .bind(json(&sources.collect::<Vec<_>>()))
    .bind(json(&job.check))
    .bind(count(job.rows))
    .bind(count(job.tile_rows))
    .bind(count(job.tile_count()))
    .bind(count(job.row_flops))
    .bind(job.price.0)
    .bind(count(job.device_bytes))
    .bind(count(job.peak_bytes))
    .bind(count(job.code_bytes))
    .bind(submission.hold.micros())
    .bind(submission.now)
    .bind(submission.deadline.unwrap_or_default())
    .bind(json(submission.file_names))
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() == 1)
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

#[derive(FromRow)]
struct JobRow {
    job_id: String,
    name: String,
    state: String,
    fault: String,
    privacy: String,
    published: i64,
    program: String,
    task: String,
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
    deadline: i64,
    file_names: String,
    devices: i64,
}

/// Jobs as their owner sees them.
macro_rules! select_jobs_sql {
    ($rest:literal) => {
        concat!(
            "select job_id, name, state, fault, privacy, published, program, task, row_count, tile_rows, tiles, row_flops,
                    price, hold, cost, remaining_tiles, recomputed_tiles, created_at, ended_at, deadline, file_names, devices
            from job ",
            $rest
        )
    };
}

impl From<JobRow> for wire::Job {
    fn from(row: JobRow) -> Self {
        let task: Task = from_json(&row.task);
        Self {
            id: id(&row.job_id),
            name: row.name,
            state: state(&row.state),
            privacy: privacy(&row.privacy),
            published: row.published != 0,
            program: from_json(&row.program),
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
            deadline: (row.deadline != 0).then_some(row.deadline),
            file_names: from_json(&row.file_names),
            fault: (!row.fault.is_empty()).then(|| from_json(&row.fault)),
        }
    }
}

fn privacy(name: &str) -> Privacy {
    named(&Privacy::ALL, Privacy::name, name)
}

pub(crate) fn state(name: &str) -> JobState {
    named(&JobState::ALL, JobState::name, name)
}

/// The job, if it is the account's.
pub async fn find_job(conn: &mut DbConnection, account: AccountId, job: JobId) -> sqlx::Result<Option<wire::Job>> {
    let row: Option<JobRow> = sqlx::query_as(select_jobs_sql!("where job.job_id = $1 and job.account_id = $2"))
        .bind(job.to_string())
        .bind(account.to_string())
        .fetch_optional(conn)
        .await?;
    Ok(row.map(wire::Job::from))
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
) -> sqlx::Result<Vec<wire::Job>> {
    // Every id sorts before 'g': they are hex digits.
    let before = before.map_or_else(|| "g".to_owned(), |job| job.to_string());
    let search = literal_pattern(filter.search.unwrap_or_default());
    let rows: Vec<JobRow> = sqlx::query_as(select_jobs_sql!(
        "where job.account_id = $1
              and job.job_id < $2
              and ($3 = '' or job.state = $3)
              and (lower(job.name) like $4 escape '!' or job.job_id like $5 escape '!')
            order by job.job_id desc
            limit $6"
    ))
    .bind(account.to_string())
    .bind(before)
    .bind(filter.state.map_or("", JobState::name))
    .bind(format!("%{search}%"))
    .bind(format!("{search}%"))
    .bind(most)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(wire::Job::from).collect())
}

/// A text as a `like` pattern that means itself alone.
fn literal_pattern(text: &str) -> String {
    text.to_lowercase().replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

/// `false` when there was nothing to change.
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

#[derive(FromRow)]
struct AdmittedRow {
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
    code_bytes: i64,
}

/// Jobs as they were admitted.
macro_rules! select_admitted_sql {
    ($($rest:expr),+) => {
        concat!(
            "select job_id, account_id, privacy, task, sources, check_rule, row_count, tile_rows, row_flops, price,
                    device_bytes, peak_bytes, code_bytes
            from job ",
            $($rest),+
        )
    };
}

impl From<AdmittedRow> for Job {
    fn from(row: AdmittedRow) -> Self {
        let sources: Vec<SourceEntry> = from_json(&row.sources);
        Self {
            id: id(&row.job_id),
            customer: id(&row.account_id),
            privacy: privacy(&row.privacy),
            task: from_json(&row.task),
            sources: sources.into_iter().map(|entry| Source { blob: entry.blob, offset: entry.offset }).collect(),
            check: from_json(&row.check_rule),
            rows: uncount(row.row_count),
            tile_rows: uncount(row.tile_rows),
            row_flops: uncount(row.row_flops),
            price: PricePerCu(row.price),
            device_bytes: uncount(row.device_bytes),
            peak_bytes: uncount(row.peak_bytes),
            code_bytes: uncount(row.code_bytes),
        }
    }
}

pub async fn load_job(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Option<Job>> {
    let row: Option<AdmittedRow> =
        sqlx::query_as(select_admitted_sql!("where job_id = $1")).bind(job.to_string()).fetch_optional(conn).await?;
    Ok(row.map(Job::from))
}

/// The job, if its owner published it: for whoever computes a tile of it again. Who its customer is is for the edge alone.
pub async fn load_published_job(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Option<Job>> {
    let row: Option<AdmittedRow> = sqlx::query_as(select_admitted_sql!("where job_id = $1 and published = 1"))
        .bind(job.to_string())
        .fetch_optional(conn)
        .await?;
    Ok(row.map(Job::from))
}

/// These jobs, in the order of their ids.
pub async fn load_jobs(conn: &mut DbConnection, jobs: &[JobId]) -> sqlx::Result<Vec<Job>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => {
            select_admitted_sql!("where job_id in (", list_sql!(sqlite "$1"), ") order by job_id")
        }
        Dialect::Postgres => {
            select_admitted_sql!("where job_id in (", list_sql!(postgres "$1"), ") order by job_id")
        }
    };
    let rows: Vec<AdmittedRow> = sqlx::query_as(statement).bind(json(&jobs)).fetch_all(conn).await?;
    Ok(rows.into_iter().map(Job::from).collect())
}

macro_rules! unclaimed_jobs_sql {
    ($engine:ident) => {
        select_admitted_sql!(
            "where state = 'running'
              and job_id > $2
              and exists (
                select 1
                from slice
                where slice.job_id = job.job_id
                  and slice.remaining > 0
                  and slice.owner in (",
            list_sql!($engine "$1"),
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
    owners: &[String],
    after: Option<JobId>,
    most: i64,
) -> sqlx::Result<Vec<Job>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => unclaimed_jobs_sql!(sqlite),
        Dialect::Postgres => unclaimed_jobs_sql!(postgres),
    };
    let after = after.map(|job| job.to_string()).unwrap_or_default();
    let rows: Vec<AdmittedRow> =
        sqlx::query_as(statement).bind(json(&owners)).bind(after).bind(most).fetch_all(conn).await?;
    Ok(rows.into_iter().map(Job::from).collect())
}
