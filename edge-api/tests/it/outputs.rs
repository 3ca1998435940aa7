//! What a device uploads for a lease: once.

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use edge_api::blobs::collect::collect;
use serde_json::json;
use wire::BlobHash;

use crate::app::{Answer, Customer, TestApp};
use crate::compile::SMALL;
use crate::db_test;

/// The token of a lease of one tile of 64 records, which has 260 bytes of output.
async fn lease(ada: &Customer<'_>) -> String {
    let (kernel, input) = (ada.blob(SMALL.into()).await, ada.blob(vec![0; 256]).await);
    let program = json!({ "kind": "map", "kernel": kernel, "input": input, "record_bytes": 4, "out_bytes": 4 });
    let trial = ada.post("/v1/trials", &json!({ "program": program })).await;
    assert_eq!(trial.status, StatusCode::OK, "{}", trial.refusal());
    trial.json()["token"].as_str().unwrap().to_owned()
}

async fn put(app: &TestApp, token: &str, bytes: Vec<u8>) -> Answer {
    app.send(Request::put(format!("/v1/leases/{token}/output")).body(Body::from(bytes)).unwrap()).await
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
