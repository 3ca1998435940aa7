//! What is swept, what stays, and what the operator's commands leave alone.

use std::sync::atomic::Ordering;

use edge_api::sweep::{GUEST_LASTS, sweep_guests, sweep_sessions};
use serde_json::json;
use wire::{AccountId, AccountKind};

use crate::app::post;
use crate::db_test;

db_test! {
    async fn ended_sessions_are_swept_and_others_stay(app: TestApp) {
        let count = async || {
            let mut conn = app.app.db.read().await.unwrap();
            let (count,): (i64,) = sqlx::query_as("select count(*) from session").fetch_one(&mut *conn).await.unwrap();
            count
        };
        app.send(post("/v1/accounts", &json!({}))).await;
        app.time.fetch_add(20 * 86_400_000_000, Ordering::Relaxed);
        let ada = app.customer("Ada").await;
        ada.post("/v1/sessions", &json!({})).await;
        assert_eq!(count().await, 3);

        app.time.fetch_add(11 * 86_400_000_000, Ordering::Relaxed);
        sweep_sessions(&app.app).await.unwrap();

        assert_eq!(count().await, 2);
    }
}

db_test! {
    async fn dead_guests_are_swept_and_a_guest_with_a_credit_stays(app: TestApp) {
        let now = app.app.clock.now();
        let [dead, rich] = [1, 2].map(|n| AccountId::from_parts(n, [0; 10]));
        let mut tx = app.app.db.begin_write().await.unwrap();
        for guest in [dead, rich] {
            store::accounts::insert_account(&mut tx, guest, AccountKind::Guest, "Guest", now).await.unwrap();
        }
        let credit = rules::billing::transfer::faucet(app.app.faucet, rich, wire::Credits::from_micros(1), now).unwrap();
        store::ledger::post(&mut tx, &[credit]).await.unwrap();
        tx.commit().await.unwrap();
        let find = async |guest| {
            store::accounts::find_account(&mut app.app.db.read().await.unwrap(), guest, true).await.unwrap()
        };

        app.time.fetch_add(GUEST_LASTS, Ordering::Relaxed);
        sweep_guests(&app.app, None).await.unwrap();
        assert!(find(dead).await.is_some(), "it is dead after thirty days, not before");
        app.time.fetch_add(1, Ordering::Relaxed);
        sweep_guests(&app.app, None).await.unwrap();

        assert_eq!((find(dead).await.is_some(), find(rich).await.is_some()), (false, true));
    }
}

db_test! {
    async fn verifying_an_account_only_connects(app: TestApp) {
        let ada = app.customer("Ada").await;
        let account = ada.get("/v1/account").await.json()["id"].as_str().unwrap().to_owned();
        let mut tx = app.app.db.begin_write().await.unwrap();
        store::replicas::heartbeat(&mut tx, &app.app.replica).await.unwrap();
        tx.commit().await.unwrap();
        let verify = |account: &str| {
            let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_edge-api"));
            command.args(["--database-url", &app.app.config.database_url, "verify-account", account]).output()
        };

        assert!(verify(&account).await.unwrap().status.success());
        assert!(!verify("00000000-0000-7000-8000-000000000000").await.unwrap().status.success());

        assert_eq!(ada.get("/v1/account").await.json()["verified"], true);
        // A second server would have taken this one for dead, freed its slices and forgotten its devices.
        let mut conn = app.app.db.read().await.unwrap();
        let (replicas,): (i64,) = sqlx::query_as("select count(*) from replica where replica_id = $1")
            .bind(&app.app.replica)
            .fetch_one(&mut *conn)
            .await
            .unwrap();
        assert_eq!(replicas, 1);
    }
}
