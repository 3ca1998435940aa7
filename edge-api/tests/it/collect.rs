//! Blobs go once nothing refers to them, and not a moment before; uploads stop before the disk is full.

use std::fs::File;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use edge_api::app::App;
use edge_api::blobs::collect::{collect, collect_staged, reserve};
use serde_json::json;
use wire::{Blob, BlobHash, Micros};

use crate::app::{TestApp, post};
use crate::compile::SMALL;
use crate::db_test;

const DAY: Micros = 86_400_000_000;

fn pass(app: &TestApp, time: Micros) {
    app.time.fetch_add(time, Ordering::Relaxed);
}

async fn is_stored(app: &TestApp, hash: BlobHash) -> bool {
    app.app.blobs.size(hash).await.unwrap().is_some()
}

db_test! {
    async fn blobs_are_collected_by_reference_with_grace(app: TestApp) {
        let ada = app.customer("Ada").await;
        let unused = ada.blob(b"nobody's".to_vec()).await;
        let order = ada.digits().await;
        let hash = |name: &str| order["program"][name].as_str().unwrap().parse::<BlobHash>().unwrap();
        assert_eq!(ada.submit(&order, "a").await.status, StatusCode::CREATED);

        pass(&app, 7 * DAY);
        assert_eq!(collect(&app.app).await.unwrap(), 0, "seven days are not over");
        pass(&app, 1);
        assert_eq!(collect(&app.app).await.unwrap(), 1);

        assert!(!is_stored(&app, unused).await);
        assert_eq!(ada.get(&format!("/v1/blobs/{unused}")).await.refusal(), "404 not_found");
        assert!(is_stored(&app, hash("model")).await && is_stored(&app, hash("input")).await);
        assert_eq!(ada.get(&format!("/v1/blobs/{}", hash("input"))).await.status, StatusCode::OK);
    }
}

db_test! {
    async fn a_blob_that_is_sent_or_ordered_again_is_not_collected(app: TestApp) {
        let ada = app.customer("Ada").await;
        let (again, order) = (ada.blob(b"again".to_vec()).await, ada.digits().await);
        pass(&app, 6 * DAY);
        ada.blob(b"again".to_vec()).await;
        assert_eq!(ada.submit(&order, "a").await.status, StatusCode::CREATED);

        pass(&app, 6 * DAY);
        collect(&app.app).await.unwrap();
        assert!(is_stored(&app, again).await);

        pass(&app, 2 * DAY);
        collect(&app.app).await.unwrap();
        assert!(!is_stored(&app, again).await);
        assert_eq!(ada.blob(b"again".to_vec()).await, again, "what was deleted may come again");
        assert!(is_stored(&app, again).await);
    }
}

db_test! {
    async fn an_order_that_names_a_collected_blob_is_refused_and_holds_nothing(app: TestApp) {
        let ada = app.customer("Ada").await;
        let order = ada.digits().await;
        pass(&app, 8 * DAY);
        collect(&app.app).await.unwrap();

        assert_eq!(ada.submit(&order, "a").await.refusal(), "422 unknown_blob model");
        assert_eq!(ada.held().await, 0);
        assert_eq!(ada.submit(&ada.digits().await, "b").await.status, StatusCode::CREATED);
    }
}

db_test! {
    async fn an_upload_of_a_blob_that_is_being_deleted_waits_until_it_is_gone(app: TestApp) {
        let hash = app.customer("Ada").await.blob(b"racing".to_vec()).await;
        let (later, blob) = (app.app.clock.now() + 8 * DAY, Blob { hash, size: 6 });
        let mut tx = app.app.db.begin_write().await.unwrap();
        assert!(store::blobs::begin_collecting(&mut tx, hash, later, later, later).await.unwrap());
        tx.commit().await.unwrap();

        let waiting = reserve(&app.app, &blob);
        tokio::pin!(waiting);
        assert!(tokio::time::timeout(Duration::from_millis(500), waiting.as_mut()).await.is_err());
        let mut tx = app.app.db.begin_write().await.unwrap();
        store::blobs::end_collecting(&mut tx, hash, later).await.unwrap();
        tx.commit().await.unwrap();

        assert!(waiting.await.is_ok());
    }
}

db_test! {
    async fn many_uploads_and_orders_beside_a_collector_lose_no_blob(app: TestApp) {
        let ada = app.customer("Ada").await;
        for round in 0..12 {
            let key = round.to_string();
            let kernel = ada.blob(format!("// {round}\n{SMALL}").into_bytes()).await;
            let input = ada.blob(vec![round; 400]).await;
            let program = json!({ "kind": "map", "kernel": kernel, "input": input, "record_bytes": 4, "out_bytes": 4 });
            let order = json!({ "program": program, "name": "Racing", "privacy": "own" });
            pass(&app, 8 * DAY);
            let (collected, sent, submitted) = tokio::join!(
                collect(&app.app),
                ada.blob(b"racing".to_vec()),
                ada.submit(&order, &key),
            );
            collected.unwrap();

            assert!(is_stored(&app, sent).await, "round {round}");
            assert_eq!(ada.get(&format!("/v1/blobs/{sent}")).await.status, StatusCode::OK, "round {round}");
            match submitted.status {
                StatusCode::CREATED => {
                    for hash in [kernel, input] {
                        assert!(is_stored(&app, hash).await, "round {round}: a job's {hash} is gone");
                    }
                }
                _ => assert_eq!(submitted.json()["code"], "unknown_blob", "round {round}"),
            }
        }
    }
}

#[tokio::test]
async fn what_broken_uploads_left_behind_is_deleted_after_a_day() {
    let app = TestApp::sqlite().await;
    let folder = app.app.blobs.folder().unwrap().to_owned();
    let now = u64::try_from(app.app.clock.now()).unwrap();
    let leave = |name: &str, hours: u64| {
        std::fs::create_dir_all(folder.join("staging")).unwrap();
        let file = File::create(folder.join(name)).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(now) - Duration::from_secs(hours * 3600);
        file.set_modified(at).unwrap();
    };
    std::fs::create_dir_all(folder.join("blobs")).unwrap();
    let names = ["staging/old", "staging/old#1", "blobs/old#1", "staging/new", "staging/new#1", "blobs/whole"];
    for (name, hours) in names.into_iter().zip([25, 25, 25, 23, 23, 1000]) {
        leave(name, hours);
    }

    collect_staged(&app.app).await.unwrap();

    let left: Vec<&str> = names.into_iter().filter(|name| folder.join(name).exists()).collect();
    assert_eq!(left, ["staging/new", "staging/new#1", "blobs/whole"]);
}

#[tokio::test]
async fn a_disk_reserve_stops_uploads_before_the_ledger_stops() {
    let app = TestApp::sqlite_with(|config| config.limits.disk_reserve = u64::MAX).await;
    let ada = app.customer("Ada").await;

    assert_eq!(ada.upload(b"x".to_vec()).await.refusal(), "507 storage_full");

    assert_eq!(app.send(post("/v1/accounts", &json!({}))).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_file_that_announces_more_than_any_may_have_is_too_large_and_no_matter_of_room() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let announced = |bytes: &str| {
        ada.signed(Request::post("/v1/blobs").header("content-length", bytes).body(Body::from("x")).unwrap())
    };

    assert_eq!(app.send(announced("99000000000000")).await.refusal(), "413 too_large");
    assert_eq!(app.send(announced("1")).await.status, StatusCode::CREATED);
}

db_test! {
    async fn an_accounts_files_have_a_quota_of_bytes(app: TestApp) {
        let (ada, bob) = (app.customer("Ada").await, app.customer("Bob").await);
        let most = app.app.config.limits.account_bytes_max;
        let mut tx = app.app.db.begin_write().await.unwrap();
        let account = ada.get("/v1/account").await.json()["id"].as_str().unwrap().parse().unwrap();
        let large = Blob { hash: BlobHash([1; 32]), size: most - 3 };
        store::blobs::use_blobs(&mut tx, &[(large.hash, large.size)].into(), app.app.clock.now()).await.unwrap();
        store::blobs::insert_blob_owner(&mut tx, account, large.hash).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(ada.upload(b"abc".to_vec()).await.status, StatusCode::CREATED);
        assert_eq!(ada.upload(b"abc".to_vec()).await.status, StatusCode::CREATED, "it is there already");
        assert_eq!(ada.upload(b"d".to_vec()).await.refusal(), "507 storage_full");
        assert_eq!(bob.upload(b"d".to_vec()).await.status, StatusCode::CREATED);
    }
}

db_test! {
    async fn a_place_without_any_of_the_databases_blobs_is_refused_and_tells_nothing_of_one(app: TestApp) {
        let ada = app.customer("Ada").await;
        let order = ada.digits().await;
        assert_eq!(ada.submit(&order, "a").await.status, StatusCode::CREATED);
        let input: BlobHash = order["program"]["input"].as_str().unwrap().parse().unwrap();
        let (folder, blobs) = (app.app.blobs.folder().unwrap().to_owned(), &app.app.blobs);

        let elsewhere = tempfile::tempdir().unwrap();
        let mut config = app.app.config.clone();
        config.blobs = elsewhere.path().to_str().unwrap().to_owned();
        let refused = App::start(config, app.app.clock.clone()).await.err().unwrap().to_string();
        assert!(refused.contains("--blobs"), "{refused}");

        assert!(blobs.read_verified(input).await.unwrap().is_some());
        std::fs::remove_file(folder.join("blobs").join(input.to_string())).unwrap();
        assert!(blobs.read_verified(input).await.unwrap().is_none(), "one that is lost is lost");
        std::fs::remove_file(folder.join("tessera")).unwrap();
        assert!(blobs.read_verified(input).await.is_err(), "where nothing is there, nothing is known");
        // A place of before there were marks, with something in it.
        let model: BlobHash = order["program"]["model"].as_str().unwrap().parse().unwrap();
        blobs.mark(&[input, model]).await.unwrap();
        assert!(blobs.read_verified(input).await.unwrap().is_none());
    }
}
