//! A job on its way: tiles taken off its remainder and put back, and its end.

use std::collections::BTreeSet;

use rules::billing::bill::Bill;
use wire::{Credits, JobFault, JobId, JobState, Micros};

use crate::codec::{count, id, json, uncount};
use crate::db::{DbConnection, Dialect};
use crate::jobs::state;
use crate::list::list_sql;

pub async fn find_job_state(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Option<JobState>> {
    let row: Option<(String,)> =
        sqlx::query_as("select state from job where job_id = $1").bind(job.to_string()).fetch_optional(conn).await?;
    Ok(row.map(|(name,)| state(&name)))
}

/// A job's tiles and money, with its row locked for the rest of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobBalance {
    pub remaining: u64,
    pub bill: Bill,
}

type BalanceRow = (i64, i64, i64, i64);

fn balance((remaining, cost, fee, rest): BalanceRow) -> JobBalance {
    let bill = Bill { cost: Credits::from_micros(cost), fee: Credits::from_micros(fee), rest };
    JobBalance { remaining: uncount(remaining), bill }
}

macro_rules! lock_jobs_sql {
    ($engine:ident, $lock:literal) => {
        concat!("select job_id, state from job where job_id in (", list_sql!($engine "$1"), ") order by job_id", $lock)
    };
}

/// Locks the rows of jobs for the rest of the transaction, in the order of their ids; returns those that run.
pub async fn lock_jobs(conn: &mut DbConnection, jobs: &BTreeSet<JobId>) -> sqlx::Result<BTreeSet<JobId>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => lock_jobs_sql!(sqlite, ""),
        // A row that refers to a job, written or updated twice, locks the job's key: two transactions that did so would
        // wait for each other's key here.
        Dialect::Postgres => lock_jobs_sql!(postgres, " for no key update"),
    };
    let rows: Vec<(String, String)> = sqlx::query_as(statement).bind(json(jobs)).fetch_all(conn).await?;
    let running = rows.iter().filter(|(_, name)| state(name) == JobState::Running);
    Ok(running.map(|(job, _)| id(job)).collect())
}

/// Takes settled tiles off a running job. `None`: the job has ended, nothing was written.
pub async fn take_tiles(
    conn: &mut DbConnection,
    job: JobId,
    tiles: u64,
    recomputed: u64,
) -> sqlx::Result<Option<JobBalance>> {
    let row: Option<BalanceRow> = sqlx::query_as(
        "update job
        set remaining_tiles = remaining_tiles - $2, recomputed_tiles = recomputed_tiles + $3
        where job_id = $1
          and state = 'running'
        returning remaining_tiles, cost, fee, cost_rest",
    )
    .bind(job.to_string())
    .bind(count(tiles))
    .bind(count(recomputed))
    .fetch_optional(conn)
    .await?;
    Ok(row.map(balance))
}

/// Puts tiles back that were settled, whatever the job's state.
pub async fn return_tiles(conn: &mut DbConnection, job: JobId, tiles: u64) -> sqlx::Result<JobBalance> {
    let row: BalanceRow = sqlx::query_as(
        "update job
        set remaining_tiles = remaining_tiles + $2
        where job_id = $1
        returning remaining_tiles, cost, fee, cost_rest",
    )
    .bind(job.to_string())
    .bind(count(tiles))
    .fetch_one(conn)
    .await?;
    Ok(balance(row))
}

/// Writes the bill of a job whose row this transaction has locked.
pub async fn write_bill(conn: &mut DbConnection, job: JobId, bill: Bill) -> sqlx::Result<()> {
    sqlx::query("update job set cost = $2, fee = $3, cost_rest = $4 where job_id = $1")
        .bind(job.to_string())
        .bind(bill.cost.micros())
        .bind(bill.fee.micros())
        .bind(bill.rest)
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends a running job of which nothing remains. `false`: it had ended, or tiles remain.
pub async fn finish_job(conn: &mut DbConnection, job: JobId, now: Micros) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update job
        set state = 'done', ended_at = $2
        where job_id = $1
          and state = 'running'
          and remaining_tiles = 0",
    )
    .bind(job.to_string())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a running job at its customer's wish. `false`: it had ended.
pub async fn cancel_job(conn: &mut DbConnection, job: JobId, now: Micros) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update job
        set state = 'cancelled', ended_at = $2
        where job_id = $1
          and state = 'running'",
    )
    .bind(job.to_string())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a running job whose runs disagree. `false`: it had ended.
pub async fn end_disputed_job(conn: &mut DbConnection, job: JobId, now: Micros) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update job
        set state = 'nondeterministic', ended_at = $2
        where job_id = $1
          and state = 'running'",
    )
    .bind(job.to_string())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a running job whose program cannot finish, and says why. `false`: it had ended.
pub async fn fail_job(conn: &mut DbConnection, job: JobId, fault: &JobFault, now: Micros) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update job
        set state = 'failed', fault = $2, ended_at = $3
        where job_id = $1
          and state = 'running'",
    )
    .bind(job.to_string())
    .bind(json(fault))
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Running jobs with tiles left whose deadline has passed, those longest over first.
pub async fn list_overdue_jobs(conn: &mut DbConnection, now: Micros, most: i64) -> sqlx::Result<Vec<JobId>> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "select job_id
        from job
        where state = 'running'
          and deadline > 0
          and deadline <= $1
          and remaining_tiles > 0
        order by deadline, job_id
        limit $2",
    )
    .bind(now)
    .bind(most)
    .fetch_all(conn)
    .await?;
    Ok(rows.iter().map(|(job,)| id(job)).collect())
}

/// Ends a running job at its deadline. `false`: it had ended, has time left, or wants nothing but its closing.
pub async fn end_overdue_job(conn: &mut DbConnection, job: JobId, now: Micros) -> sqlx::Result<bool> {
    let row: Option<(i64,)> = sqlx::query_as("select deadline from job where job_id = $1")
        .bind(job.to_string())
        .fetch_optional(&mut *conn)
        .await?;
    // It is never changed once it is written.
    let Some((deadline,)) = row else { return Ok(false) };
    let done = sqlx::query(
        "update job
        set state = 'failed', fault = $2, ended_at = $3
        where job_id = $1
          and state = 'running'
          and deadline > 0
          and deadline <= $3
          and remaining_tiles > 0",
    )
    .bind(job.to_string())
    .bind(json(&JobFault::DeadlinePassed { deadline }))
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Of an ended job nothing can become anything else.
pub async fn mark_closed(conn: &mut DbConnection, job: JobId) -> sqlx::Result<()> {
    let statement = "update job set closed = 1 where job_id = $1 and state <> 'running'";
    sqlx::query(statement).bind(job.to_string()).execute(conn).await.map(drop)
}

macro_rules! jobs_to_close_sql {
    ($engine:ident) => {
        concat!(
            "select job_id
            from job
            where closed = 0
              and (state <> 'running' or remaining_tiles = 0)
              and job_id not in (",
            list_sql!($engine "$2"),
            ")
            union
            select receipt.job_id
            from receipt
            join job on job.job_id = receipt.job_id
            where receipt.state = 'pending'
              and job.state <> 'running'
              and receipt.job_id not in (",
            list_sql!($engine "$2"),
            ")
            order by job_id
            limit $1"
        )
    };
}

/// Jobs that only want closing, but for those named: all is settled, or they ended and are not closed, or a receipt came in
/// after that.
pub async fn list_jobs_to_close(conn: &mut DbConnection, but: &BTreeSet<JobId>, most: i64) -> sqlx::Result<Vec<JobId>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => jobs_to_close_sql!(sqlite),
        Dialect::Postgres => jobs_to_close_sql!(postgres),
    };
    let rows: Vec<(String,)> = sqlx::query_as(statement).bind(most).bind(json(but)).fetch_all(conn).await?;
    Ok(rows.iter().map(|(job,)| id(job)).collect())
}
