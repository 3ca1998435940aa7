//! What an operator watches: how much waits in the database, and how the money stands.

use sqlx::FromRow;
use wire::Micros;

use crate::db::DbConnection;

/// What waits to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Backlog {
    pub jobs_running: i64,
    /// Receipts that await a check.
    pub receipts_pending: i64,
    /// Draws of tiles that are not yet decided.
    pub verdicts_open: i64,
    /// Tiles of which it is not yet clear who was wrong.
    pub disputes_open: i64,
}

pub async fn read_backlog(conn: &mut DbConnection) -> sqlx::Result<Backlog> {
    sqlx::query_as(
        "select
            (select count(*) from job where state = 'running') as jobs_running,
            (select count(*) from receipt where state = 'pending') as receipts_pending,
            (select count(*) from verdict where state = 'open') as verdicts_open,
            (select count(*) from dispute where outcome = '') as disputes_open",
    )
    .fetch_one(conn)
    .await
}

/// What people have, in micro-credits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Purses {
    pub posted: i64,
    pub held: i64,
    pub pending: i64,
    pub holds_open: i64,
}

pub async fn read_purses(conn: &mut DbConnection) -> sqlx::Result<Purses> {
    sqlx::query_as(
        "select
            (select cast(coalesce(sum(posted), 0) as bigint) from account) as posted,
            (select cast(coalesce(sum(held), 0) as bigint) from account) as held,
            (select cast(coalesce(sum(pending), 0) as bigint) from account) as pending,
            (select count(*) from hold where state = 'open') as holds_open",
    )
    .fetch_one(conn)
    .await
}

/// The sum of each asset's entries, which is zero.
pub async fn list_ledger_sums(conn: &mut DbConnection) -> sqlx::Result<Vec<(String, i64)>> {
    sqlx::query_as("select asset, cast(sum(amount) as bigint) from ledger_entry group by asset order by asset")
        .fetch_all(conn)
        .await
}

/// When the receipt came that has waited longest for its check.
pub async fn find_oldest_pending(conn: &mut DbConnection) -> sqlx::Result<Option<Micros>> {
    // Of a sum there is no index: with one, an engine may walk all receipts from the oldest on, and not only those that wait.
    let (oldest,): (Option<i64>,) =
        sqlx::query_as("select min(created_at + 0) from receipt where state = 'pending'").fetch_one(conn).await?;
    Ok(oldest)
}

/// Whether any job runs.
pub async fn has_running_job(conn: &mut DbConnection) -> sqlx::Result<bool> {
    let row: Option<(String,)> =
        sqlx::query_as("select job_id from job where state = 'running' limit 1").fetch_optional(conn).await?;
    Ok(row.is_some())
}
