//! What a device uploads for a lease: once.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use edge_api::app::App;
use edge_api::blobs::collect::collect;
use edge_api::routes;
use edge_api::server::Patience;
use serde_json::{Value, json};
use wire::explorer::ReceiptState;
use wire::{BlobHash, ErrorCode};

use crate::app::{Answer, Customer, TestApp};
use crate::compile::SMALL;
use crate::db_test;
use crate::device::{Device, zeros};
use crate::until::until;

/// One tile of 64 records.
async fn program(ada: &Customer<'_>) -> Value {
    let (kernel, input) = (ada.blob(SMALL.into()).await, ada.blob(vec![0; 256]).await);
    json!({ "kind": "map", "kernel": kernel, "input": input, "record_bytes": 4, "out_bytes": 4 })
}

/// The token of a lease of the tile, which has 260 bytes of output.
async fn lease(ada: &Customer<'_>) -> String {
    let trial = ada.post("/v1/trials", &json!({ "program": program(ada).await })).await;
    assert_eq!(trial.status, StatusCode::OK, "{}", trial.refusal());
    trial.json()["token"].as_str().unwrap().to_owned()
}

fn output(token: &str, bytes: Vec<u8>) -> Request<Body> {
    Request::put(format!("/v1/leases/{token}/output")).body(Body::from(bytes)).unwrap()
}

async fn put(app: &TestApp, token: &str, bytes: Vec<u8>) -> Answer {
    app.send(output(token, bytes)).await
}

db_test! {
    async fn a_lease_has_one_output(app: TestApp) {
        let ada = app.customer("Ada").await;
        let token = lease(&ada).await;

        assert_eq!(put(&app, &token, vec![1; 259]).await.refusal(), "422 output_size");
        assert_eq!(put(&app, &token, vec![1; 260]).await.status, StatusCode::CREATED);
        assert_eq!(put(&app, &token, vec![1; 260]).await.status, StatusCode::CREATED, "its answer was lost");
        assert_eq!(put(&app, &token, vec![2; 260]).await.refusal(), "409 output_taken");
        assert_eq!(put(&app, &lease(&ada).await, vec![2; 260]).await.status, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn a_lease_sends_its_output_a_few_times_a_minute_and_no_more() {
    let app = TestApp::sqlite().await;
    let token = lease(&app.customer("Ada").await).await;
    for _ in 0..4 {
        assert_eq!(put(&app, &token, vec![1; 260]).await.status, StatusCode::CREATED);
    }

    assert_eq!(put(&app, &token, vec![1; 260]).await.refusal(), "429 rate_limited");
}

db_test! {
    async fn an_output_without_a_receipt_is_collected_after_its_lease(app: TestApp) {
        let output = put(&app, &lease(&app.customer("Ada").await).await, vec![1; 260]).await.json();
        let hash: BlobHash = output["hash"].as_str().unwrap().parse().unwrap();

        collect(&app.app).await.unwrap();
        assert!(app.app.blobs.size(hash).await.unwrap().is_some());
        app.time.fetch_add(8 * 86_400_000_000, Ordering::Relaxed);
        collect(&app.app).await.unwrap();

        assert_eq!(app.app.blobs.size(hash).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_replica_whose_disk_is_full_takes_no_output() {
    let app = TestApp::sqlite().await;
    let token = lease(&app.customer("Ada").await).await;
    let mut config = app.app.config.clone();
    config.limits.disk_reserve = u64::MAX;
    let full = App::start(config, app.app.clock.clone()).await.unwrap();

    let refused = app.send_to(routes::api(full.clone()), output(&token, vec![1; 260])).await;

    assert_eq!(refused.refusal(), "507 storage_full");
    assert_eq!(put(&app, &token, vec![2; 260]).await.status, StatusCode::CREATED, "the first one was not kept");
    full.shut_down().await;
}

/// A device of the customer's own, and a job of one tile for it.
async fn own_device(app: &TestApp, ada: &Customer<'_>) -> Device {
    let address = app.listen(Patience::default()).await;
    let device = Device::connect(address, 1, |hello| hello.key = Some(ada.key.clone())).await.unwrap();
    let own = json!({ "program": program(ada).await, "name": "x", "privacy": "own" });
    assert_eq!(ada.submit(&own, "a").await.status, StatusCode::CREATED);
    device
}

db_test! {
    async fn a_small_input_comes_with_its_lease_and_a_small_output_goes_with_its_receipt(app: TestApp) {
        let ada = app.customer("Ada").await;
        let mut device = own_device(&app, &ada).await;
        let lease = device.take_lease().await;
        let output = zeros(&lease);

        assert_eq!(lease.input, Some(vec![0; 256]));
        device.commit_along(&app, &lease, &output, output.clone()).await;

        assert_eq!(device.settled().await, lease.lease);
        let path = format!("/v1/jobs/{}", lease.job);
        until("the job is done", Duration::from_secs(10), async || {
            (ada.get(&path).await.json()["state"] == "done").then_some(())
        })
        .await;
        let result = ada.get(&format!("{path}/result?format=bin")).await;
        assert_eq!((result.status, result.bytes.len()), (StatusCode::OK, 256));
    }
}

db_test! {
    async fn what_goes_along_is_what_its_receipt_names_or_the_receipt_is_refused(app: TestApp) {
        let ada = app.customer("Ada").await;
        let mut device = own_device(&app, &ada).await;
        let lease = device.take_lease().await;
        let output = zeros(&lease);
        let mut other = output.clone();
        other[7] = 1;

        device.commit_along(&app, &lease, &output, output[1..].to_vec()).await;
        assert_eq!(device.refused().await, ErrorCode::OutputSize);
        device.commit_along(&app, &lease, &output, other).await;
        assert_eq!(device.refused().await, ErrorCode::OutputMissing);

        device.commit_along(&app, &lease, &output, output.clone()).await;
        assert_eq!(device.settled().await, lease.lease, "the lease is as it was");
    }
}

db_test! {
    async fn an_output_that_was_just_being_deleted_is_taken_once_that_is_over(app: TestApp) {
        let ada = app.customer("Ada").await;
        let mut device = own_device(&app, &ada).await;
        let lease = device.take_lease().await;
        let output = zeros(&lease);
        let (hash, now) = (BlobHash(*blake3::hash(&output).as_bytes()), app.app.clock.now());
        let mut tx = app.app.db.begin_write().await.unwrap();
        store::blobs::use_blobs(&mut tx, &[(hash, 260)].into(), now - 9).await.unwrap();
        assert!(store::blobs::begin_collecting(&mut tx, hash, now, now, now).await.unwrap());
        tx.commit().await.unwrap();

        device.commit_along(&app, &lease, &output, output.clone()).await;
        assert!(tokio::time::timeout(Duration::from_millis(300), device.settled()).await.is_err());
        let mut tx = app.app.db.begin_write().await.unwrap();
        store::blobs::end_collecting(&mut tx, hash, now).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(device.settled().await, lease.lease);
    }
}

#[tokio::test]
async fn a_check_waits_for_room_in_memory_before_it_reads_an_output() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let mut device = own_device(&app, &ada).await;
    let lease = device.take_lease().await;
    let state = async || {
        let found = store::receipts::find_receipt(&mut app.app.db.read().await.unwrap(), lease.lease).await.unwrap();
        found.map(|(_, state)| state)
    };

    let all = app.app.outputs.hold(u64::MAX).await.unwrap();
    device.commit_zeros(&app, &lease).await;
    until("the receipt is stored", Duration::from_secs(10), state).await;
    assert!(tokio::time::timeout(Duration::from_millis(300), device.settled()).await.is_err());
    assert_eq!(state().await, Some(ReceiptState::Pending));

    drop(all);
    assert_eq!(device.settled().await, lease.lease);
}
