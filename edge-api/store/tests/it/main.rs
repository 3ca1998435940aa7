//! Every statement on both engines, a file a domain.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

mod accounts;
mod at_once;
mod audit;
mod blobs;
mod books;
mod condition;
mod coverage;
mod devices;
mod explorer;
mod fixture;
mod full_disk;
mod guests;
mod incidents;
mod job_detail;
mod job_progress;
mod jobs;
mod ledger;
mod measures;
mod notices;
#[expect(unreachable_pub, reason = "the journeys share it")]
#[path = "../../../../e2e/src/postgres.rs"]
mod postgres;
mod presence;
mod receipts;
mod replicas;
mod shares;
mod slices;
mod standings;
mod verdicts;

/// A test that runs in one transaction over a fresh SQLite file, and in one over a fresh PostgreSQL database.
macro_rules! db_test {
    (async fn $name:ident($conn:ident: &mut DbConnection) $body:block) => {
        mod $name {
            use super::*;

            async fn test($conn: &mut store::DbConnection) $body

            #[tokio::test]
            async fn sqlite() {
                let folder = tempfile::TempDir::new().unwrap();
                let db = crate::fixture::sqlite(&folder).await;
                let mut tx = db.begin_write().await.unwrap();
                test(&mut tx).await;
                tx.commit().await.unwrap();
            }

            #[tokio::test]
            async fn postgres() {
                let db = crate::fixture::postgres().await;
                let mut tx = db.begin_write().await.unwrap();
                test(&mut tx).await;
                tx.commit().await.unwrap();
            }
        }
    };
}
pub(crate) use db_test;
