//! Transactions that run at once, on the engine that lets them: none waits for another in a circle for good, and the books
//! agree after all of them.

use std::mem::discriminant;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use rules::billing::bill::Charge;
use rules::billing::transfer::{Payment, Transfer, faucet};
use store::accounts::find_account;
use store::audit::{Audit, audit};
use store::db::is_conflict;
use store::ledger::{hold, post};
use store::{Db, DbConnection};
use tokio::task::JoinHandle;
use wire::AccountId;

use crate::books::{ADA, BOB, Movement, TILES, make, movement, open_accounts, submit};
use crate::fixture::{self, NOW, account_id, credits, job_id};
use crate::ledger::{FAUCET, FEES, fund, purses};

/// Ada and Bob buy of each other at once: transactions that lock the same rows in one order never wait in a circle.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn accounts_that_buy_and_earn_at_once_do_not_lock_each_other_out() {
    let db = fixture::postgres().await;
    let mut tx = db.begin_write().await.unwrap();
    for n in [ADA, BOB] {
        fixture::account(&mut tx, n).await;
        fund(&mut tx, account_id(n), 100_000).await;
        fixture::job_with_hold(&mut tx, n, account_id(n), credits(50_000), TILES).await;
        assert!(hold(&mut tx, job_id(n), account_id(n), credits(50_000)).await.unwrap());
    }
    tx.commit().await.unwrap();

    let payments = (0..8_u8).map(|task| {
        let db = db.clone();
        tokio::spawn(async move {
            let (customer, provider): (AccountId, AccountId) =
                if task % 2 == 0 { (account_id(ADA), account_id(BOB)) } else { (account_id(BOB), account_id(ADA)) };
            for n in 0..25_u8 {
                let lease = wire::LeaseId([[task, n]; 8].concat().try_into().unwrap());
                let job = job_id(if task % 2 == 0 { ADA } else { BOB });
                let charge = Charge { cost: credits(10), fee: credits(1) };
                let payment =
                    Payment { lease, job, device: wire::DeviceId([1; 32]), customer, provider, fees: FEES, charge };
                let mut tx = db.begin_write().await?;
                assert!(post(&mut tx, &[payment.settle(NOW)?]).await?);
                post(&mut tx, &[payment.mature(NOW)?]).await?;
                tx.commit().await?;
            }
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        })
    });
    for done in futures_of(payments.collect()).await {
        done.unwrap();
    }

    let mut conn = db.read().await.unwrap();
    for n in [ADA, BOB] {
        assert_eq!(purses(&mut conn, account_id(n)).await, [50_900, 49_000, 0]);
    }
}

async fn futures_of<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

/// Jobs that tasks settle, take back and end at once, half of them Ada's and half Bob's.
const SHARED_JOBS: u64 = 12;
const TASKS: u8 = 6;
const MOVEMENTS_OF_TASK: u8 = 40;

/// Makes a movement in a transaction of its own, and again where another has broken it off. Whether it was committed.
async fn carry_out(db: &Db, movement: &Movement, n: u8) -> store::db::Result<bool> {
    for _ in 0..20 {
        let mut tx = db.begin_write().await?;
        match make(&mut tx, movement, n, NOW + i64::from(n)).await {
            Err(error) if is_conflict(&error) => {}
            Ok(true) => return tx.commit().await.map(|()| true),
            done => return done,
        }
    }
    panic!("{movement:?} is broken off again and again");
}

/// Random movements, after two settlements that nothing stands in the way of.
fn plan(runner: &mut TestRunner, task: u8) -> Vec<Movement> {
    let own = [1, 2].map(|n| Movement::Settle { job: u64::from(2 * task) + n, tile: 0, provider: BOB });
    let random = proptest::collection::vec(movement(SHARED_JOBS), usize::from(MOVEMENTS_OF_TASK) - own.len());
    own.into_iter().chain(random.new_tree(runner).unwrap().current()).collect()
}

/// Leases are settled, taken back and paid, jobs end, a guest's earnings go to Bob and judges are paid, all of the same
/// three accounts.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_books_agree_after_movements_of_all_kinds_at_once() {
    let db = fixture::postgres().await;
    open_accounts(&db).await;
    let mut tx = db.begin_write().await.unwrap();
    for customer in [ADA, BOB] {
        let more = faucet(FAUCET, account_id(customer), credits(1_000), NOW).unwrap();
        assert!(post(&mut tx, &[Transfer { reference: format!("more {customer}"), ..more }]).await.unwrap());
    }
    for job in 1..=SHARED_JOBS {
        assert!(submit(&mut tx, job, if job % 2 == 0 { ADA } else { BOB }, 20).await.unwrap());
    }
    tx.commit().await.unwrap();

    let mut runner = TestRunner::deterministic();
    let tasks = (0..TASKS).map(|task| {
        let (db, plan) = (db.clone(), plan(&mut runner, task));
        tokio::spawn(async move {
            let mut committed = Vec::new();
            for (n, movement) in (task * MOVEMENTS_OF_TASK + 1..).zip(plan) {
                if carry_out(&db, &movement, n).await.unwrap() {
                    committed.push(movement);
                }
            }
            committed
        })
    });
    let committed = futures_of(tasks.collect()).await.concat();

    assert_eq!(audit(&mut db.read().await.unwrap()).await.unwrap(), Audit::default());
    let times = |kind: &Movement| committed.iter().filter(|done| discriminant(*done) == discriminant(kind)).count();
    for (kind, least) in [
        (Movement::Settle { job: 1, tile: 0, provider: BOB }, 12),
        (Movement::Mature { job: 1 }, 5),
        (Movement::Cancel { job: 1 }, 5),
        (Movement::Claim, 5),
        (Movement::Judge { lease: 1, tile: 0, judge: BOB, attos: 1 }, 4),
    ] {
        assert!(times(&kind) >= least, "{kind:?} was committed {} times", times(&kind));
    }
}

/// Sets a micro-credit aside for a job.
async fn hold_one(conn: &mut DbConnection, job: u64, account: u64) -> store::db::Result<bool> {
    hold(conn, job_id(job), account_id(account), credits(1)).await
}

async fn ada_and_bob() -> Db {
    let db = fixture::postgres().await;
    let mut tx = db.begin_write().await.unwrap();
    for n in [ADA, BOB] {
        fixture::account(&mut tx, n).await;
        fund(&mut tx, account_id(n), 10).await;
    }
    tx.commit().await.unwrap();
    db
}

#[tokio::test]
async fn of_two_transactions_that_wait_for_each_other_one_is_broken_off_and_may_be_tried_again() {
    let db = ada_and_bob().await;
    let (mut first, mut second) = (db.begin_write().await.unwrap(), db.begin_write().await.unwrap());
    assert!(hold_one(&mut first, 1, ADA).await.unwrap() && hold_one(&mut second, 2, BOB).await.unwrap());

    // The one that is broken off lets go of its row, so that the other goes on.
    let (first, second) = tokio::join!(
        async {
            hold_one(&mut first, 3, BOB).await?;
            first.commit().await
        },
        async {
            hold_one(&mut second, 4, ADA).await?;
            second.commit().await
        }
    );

    let broken_off = match (first, second) {
        (Ok(()), Err(error)) | (Err(error), Ok(())) => error,
        both => panic!("one of them should be broken off: {both:?}"),
    };
    assert_eq!(broken_off.as_database_error().unwrap().code().as_deref(), Some("40P01"));
    assert!(is_conflict(&broken_off), "{broken_off}");
    for n in [ADA, BOB] {
        assert_eq!(purses(&mut db.read().await.unwrap(), account_id(n)).await, [9, 1, 0], "the other did both");
    }
}

#[tokio::test]
async fn a_transaction_whose_snapshot_is_too_old_may_be_tried_again_and_one_that_breaks_a_rule_may_not() {
    let db = ada_and_bob().await;
    let mut late = db.begin_write().await.unwrap();
    sqlx::query("set transaction isolation level repeatable read").execute(&mut *late).await.unwrap();
    find_account(&mut late, account_id(ADA), true).await.unwrap();
    let mut early = db.begin_write().await.unwrap();
    hold_one(&mut early, 1, ADA).await.unwrap();
    early.commit().await.unwrap();

    let too_old = hold_one(&mut late, 2, ADA).await.unwrap_err();
    drop(late);
    let mut again = db.begin_write().await.unwrap();
    let twice = hold_one(&mut again, 1, ADA).await.unwrap_err();

    assert_eq!(too_old.as_database_error().unwrap().code().as_deref(), Some("40001"));
    assert!(is_conflict(&too_old), "{too_old}");
    assert!(!is_conflict(&twice), "{twice}");
}
