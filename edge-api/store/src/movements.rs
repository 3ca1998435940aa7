//! What jobs moved of an account's money, a row a job.

use sqlx::FromRow;
use wire::explorer::Page;
use wire::number::to;
use wire::{AccountId, Credits, JobId, JobMovement};

use crate::codec::id;
use crate::db::DbConnection;

/// Sorts after every job's id.
const LAST: &str = "g";

#[derive(FromRow)]
struct MovementRow {
    job_id: String,
    name: String,
    owner: String,
    published: i64,
    last_at: i64,
    available: i64,
    pending: i64,
}

impl MovementRow {
    fn seen_by(self, account: AccountId) -> JobMovement {
        let own = self.owner == account.to_string();
        let published = self.published != 0;
        JobMovement {
            job: id(&self.job_id),
            name: if own || published { self.name } else { String::new() },
            own,
            published,
            at: self.last_at,
            available: Credits::from_micros(self.available),
            pending: Credits::from_micros(self.pending),
        }
    }
}

/// Jobs that moved an account's money, newest first, after the one named where one is.
pub async fn list_job_movements(
    conn: &mut DbConnection,
    account: AccountId,
    after: Option<JobId>,
    most: i64,
) -> sqlx::Result<Page<JobMovement>> {
    let rows: Vec<MovementRow> = sqlx::query_as(
        "select moved.job_id as job_id, job.name as name, job.account_id as owner, job.published as published,
                moved.last_at as last_at, moved.available as available, moved.pending as pending
        from (
          select job_id, cast(max(created_at) as bigint) as last_at,
                 cast(sum(case when purse = 'posted' then amount else 0 end) as bigint) as available,
                 cast(sum(case when purse = 'pending' then amount else 0 end) as bigint) as pending
          from ledger_entry
          where account_id = $1
            and job_id <> ''
            and job_id < $2
          group by job_id
          order by job_id desc
          limit $3
        ) as moved
        join job on job.job_id = moved.job_id
        order by moved.job_id desc",
    )
    .bind(account.to_string())
    .bind(after.map_or_else(|| LAST.to_owned(), |job| job.to_string()))
    .bind(most.saturating_add(1))
    .fetch_all(conn)
    .await?;
    let mut rows: Vec<JobMovement> = rows.into_iter().map(|row| row.seen_by(account)).collect();
    let more = rows.len() > to(most);
    rows.truncate(to(most));
    let next = rows.last().filter(|_| more).map(|row| row.job.to_string());
    Ok(Page { rows, next })
}
