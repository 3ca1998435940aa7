//! What the database of a stack must say at any moment, whatever happens to its servers.

use anyhow::ensure;
use store::audit::{Audit, audit};

use crate::stack::Stack;

impl Stack {
    /// A transaction all of whose statements see the same moment.
    pub async fn snapshot(&self) -> anyhow::Result<sqlx::Transaction<'static, sqlx::Any>> {
        let mut tx = self.try_database().await?.begin().await?;
        if tx.backend_name() == "PostgreSQL" {
            sqlx::query("set transaction isolation level repeatable read").execute(&mut *tx).await?;
        }
        Ok(tx)
    }

    /// Fails unless everything that the books say agrees with everything else.
    pub async fn check_ledger(&self) {
        let mut tx = self.snapshot().await.expect("the database should answer");
        assert_eq!(audit(&mut tx).await.expect("the audit should run"), Audit::default());
    }

    /// Fails unless every tile of the job is settled by exactly one paid receipt.
    pub async fn check_settled_once(&self, job: &wire::Job) {
        let mut tx = self.snapshot().await.expect("the database should answer");
        let settled = settled_tiles(&mut tx, &job.id.to_string()).await.expect("receipts should follow each other");
        let gap = settled.windows(2).find(|pair| pair[0].end != pair[1].start);
        assert_eq!(gap, None, "receipts should follow each other without gap");
        let ends = (settled.first().map(|range| range.start), settled.last().map(|range| range.end));
        assert_eq!(ends, (Some(0), i64::try_from(job.tiles).ok()), "receipts should cover the job");
    }
}

/// The tiles of a job's paid receipts, in order; an error where one is paid twice.
pub async fn settled_tiles(conn: &mut store::DbConnection, job: &str) -> anyhow::Result<Vec<std::ops::Range<i64>>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select first_tile, tiles
        from receipt
        where job_id = $1
          and state in ('accepted', 'matured')
        order by first_tile",
    )
    .bind(job)
    .fetch_all(conn)
    .await?;
    let ranges: Vec<_> = rows.into_iter().map(|(first, tiles)| first..first + tiles).collect();
    let twice = ranges.windows(2).find(|pair| pair[0].end > pair[1].start);
    ensure!(twice.is_none(), "tiles of job {job} are paid twice: {twice:?}");
    Ok(ranges)
}
