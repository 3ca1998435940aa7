//! The API on both engines, by its real router.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

mod access;
mod accounts;
mod app;
mod backups;
mod buckets;
mod challenges;
mod collect;
mod compile;
mod convert;
mod deadlines;
mod device;
mod docs;
mod doctor;
mod downloads;
mod drain;
mod explorer;
mod inputs;
mod jobs;
mod judges;
mod kernels;
mod limits;
mod logs;
mod made_arrays;
mod metrics;
mod notices;
mod openapi;
mod operate;
mod outputs;
#[expect(unreachable_pub, reason = "the journeys share it")]
#[path = "../../../e2e/src/postgres.rs"]
mod postgres;
mod refusals;
mod results;
mod retry;
#[path = "../../../e2e/tests/it/s3.rs"]
mod s3;
mod slices;
mod status;
mod sweep;
mod tables;
mod traces;
#[expect(unreachable_pub, reason = "the journeys share it")]
#[path = "../../../e2e/src/until.rs"]
mod until;

/// A test that runs on a fresh SQLite file and on a fresh PostgreSQL database.
macro_rules! db_test {
    (async fn $name:ident($app:ident: TestApp) $body:block) => {
        crate::db_test! { async fn $name($app: TestApp with |_| {}) $body }
    };
    (async fn $name:ident($app:ident: TestApp with $change:expr) $body:block) => {
        mod $name {
            #[allow(clippy::allow_attributes, unused_imports, reason = "each test takes what it needs")]
            use super::*;

            async fn test($app: crate::app::TestApp) {
                $body
                $app.check_ledger().await;
            }

            #[tokio::test]
            async fn sqlite() {
                test(crate::app::TestApp::sqlite_with($change).await).await;
            }

            #[tokio::test]
            async fn postgres() {
                test(crate::app::TestApp::postgres_with($change).await).await;
            }
        }
    };
}
pub(crate) use db_test;
