//! Transactions that the database breaks off for the sake of another are made again until they are through.

use std::sync::atomic::{AtomicU32, Ordering};

use edge_api::retry::retry;
use store::ledger::hold;
use tokio::sync::Barrier;
use wire::{AccountId, Credits, JobId};

use crate::app::TestApp;

/// Sets a micro-credit aside for a job that is named by its number.
async fn hold_one(conn: &mut store::DbConnection, job: u64, account: AccountId) -> store::db::Result<bool> {
    hold(conn, JobId::from_parts(job, [0; 10]), account, Credits::from_micros(1)).await
}

#[tokio::test]
async fn transactions_that_lock_two_accounts_crosswise_both_come_through() {
    let app = TestApp::postgres_with(|_| {}).await;
    let (ada, bob) = (app.customer("Ada").await, app.customer("Bob").await);
    let (of_ada, of_bob) = (ada.account().await, bob.account().await);
    let (each_has_one, attempts) = (Barrier::new(2), AtomicU32::new(0));
    let lock_both = async |job: u64, first: AccountId, second: AccountId| {
        let is_again = AtomicU32::new(0);
        retry(async || {
            attempts.fetch_add(1, Ordering::Relaxed);
            let mut tx = app.app.db.begin_write().await?;
            hold_one(&mut tx, job, first).await?;
            if is_again.fetch_add(1, Ordering::Relaxed) == 0 {
                each_has_one.wait().await;
            }
            hold_one(&mut tx, job + 1, second).await?;
            Ok::<(), anyhow::Error>(tx.commit().await?)
        })
        .await
    };

    let (first, second) = tokio::join!(lock_both(1, of_ada, of_bob), lock_both(3, of_bob, of_ada));

    first.unwrap();
    second.unwrap();
    assert_eq!(attempts.load(Ordering::Relaxed), 3, "one of them was made again");
    assert_eq!((ada.held().await, bob.held().await), (2, 2));
}

#[tokio::test]
async fn a_transaction_whose_snapshot_another_made_too_old_is_made_again() {
    let app = TestApp::postgres_with(|_| {}).await;
    let ada = app.customer("Ada").await;
    let account = ada.account().await;
    let attempts = AtomicU32::new(0);

    let done = retry(async || {
        let mut tx = app.app.db.begin_write().await?;
        sqlx::query("set transaction isolation level repeatable read").execute(&mut *tx).await?;
        store::accounts::find_account(&mut tx, account, true).await?;
        if attempts.fetch_add(1, Ordering::Relaxed) == 0 {
            let mut other = app.app.db.begin_write().await?;
            hold_one(&mut other, 1, account).await?;
            other.commit().await?;
        }
        hold_one(&mut tx, 2, account).await?;
        Ok::<(), anyhow::Error>(tx.commit().await?)
    });

    done.await.unwrap();
    assert_eq!(attempts.load(Ordering::Relaxed), 2);
    assert_eq!(ada.held().await, 2);
}
