//! A job on its way: tiles taken off its remainder and put back, and its end.

use wire::{Credits, JobFault, JobId, JobState, Micros};

use crate::codec::{count, id, json};
use crate::db::DbConnection;
use crate::jobs::state;

pub async fn find_job_state(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Option<JobState>> {
    let row: Option<(String,)> =
        sqlx::query_as("select state from job where job_id = $1").bind(job.to_string()).fetch_optional(conn).await?;
    Ok(row.map(|(name,)| state(&name)))
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

/// Jobs that only want closing: all is settled, or they ended with receipts that are not mature.
pub async fn list_jobs_to_close(conn: &mut DbConnection, most: i64) -> sqlx::Result<Vec<JobId>> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "select job_id
        from job
        where (state = 'running' and remaining_tiles = 0)
           or (
             state <> 'running'
             and exists (
               select 1
               from receipt
               where receipt.job_id = job.job_id
                 and receipt.state = 'accepted'
             )
           )
        order by job_id
        limit $1",
    )
    .bind(most)
    .fetch_all(conn)
    .await?;
    Ok(rows.iter().map(|(job,)| id(job)).collect())
}
