//! Journeys on the real stack.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

#[path = "../../../gpu-kernels/tests/it/all_kernels.rs"]
mod all_kernels;
mod arrays;
mod bucket;
mod challenges;
mod chaos;
mod command;
mod command_results;
mod compile;
mod crash;
#[path = "../../../gpu-kernels/gate/tests/kernels/mod.rs"]
mod customers;
mod disputes;
mod editor;
mod fleet;
mod fuel;
mod job_page;
mod journeys;
mod lend;
mod liar;
mod linking;
mod looks;
mod many;
mod map;
mod pages;
mod portal;
mod reference;
mod s3;
mod saved_inputs;
mod shaders;
mod submit;
mod ties;
mod undone;
mod waiting;

/// A journey that is made over SQLite and over PostgreSQL; it ends with the audit.
macro_rules! engine_test {
    (async fn $name:ident(mut $stack:ident: Stack) $body:block) => {
        mod $name {
            #[allow(clippy::allow_attributes, unused_imports, reason = "each journey takes what it needs")]
            use super::*;

            #[allow(clippy::allow_attributes, unused_mut, reason = "some journeys only watch the stack")]
            async fn journey(mut $stack: Stack) {
                $body
                $stack.check_ledger().await;
            }

            #[tokio::test]
            async fn sqlite() {
                journey(Stack::start().await).await;
            }

            #[tokio::test]
            async fn postgres() {
                journey(Stack::start_on_postgres().await).await;
            }
        }
    };
    (async fn $name:ident($stack:ident: Stack) $body:block) => {
        crate::engine_test! { async fn $name(mut $stack: Stack) $body }
    };
}
pub(crate) use engine_test;
