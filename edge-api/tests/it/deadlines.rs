//! A job that its customer gave a deadline ends by itself: what is verified is paid, the rest is free again.

use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use edge_api::server::Patience;
use edge_api::tasks::sweep_overdue_jobs;
use serde_json::{Value, json};

use crate::app::Customer;
use crate::db_test;
use crate::device::Device;
use crate::refusals::npy;
use crate::results::model_with_two_outputs;

/// So that a row costs some micro-credits.
const PRICE: i64 = 1_000_000_000_000_000_000;
const HOUR: i64 = 3_600_000_000;

/// Forty rows of zeros, which come to zeros, in twenty tiles.
pub(crate) async fn order(ada: &Customer<'_>, deadline_seconds: Value) -> Value {
    let input = [npy("<f4", "False", "(40, 4)", 0), vec![0; 640]].concat();
    let (model, input) = (ada.blob(model_with_two_outputs()).await, ada.blob(input).await);
    let program = json!({ "kind": "infer", "model": model, "input": input, "tile_rows": 2 });
    json!({ "program": program, "privacy": "own", "deadline_seconds": deadline_seconds })
}

async fn account(ada: &Customer<'_>) -> (i64, i64) {
    let account = ada.get("/v1/account").await.json();
    (account["available"].as_i64().unwrap(), account["held"].as_i64().unwrap())
}

db_test! {
    async fn at_its_deadline_a_job_ends_once_paid_for_what_is_verified(app: TestApp with |config| config.price = PRICE) {
        let ada = app.customer("Ada").await;
        let (before, _) = account(&ada).await;
        let address = app.listen(Patience::default()).await;
        let mut device = Device::connect(address, 1, |hello| hello.key = Some(ada.key.clone())).await.unwrap();
        let job = ada.submit(&order(&ada, json!(3600)).await, "a").await;
        assert_eq!(job.status, StatusCode::CREATED, "{}", job.refusal());
        let job = job.json();
        assert_eq!(job["deadline"].as_i64(), Some(job["created_at"].as_i64().unwrap() + HOUR));
        let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
        let lease = device.take_lease().await;
        device.commit_zeros(&app, &lease).await;
        assert_eq!(device.settled().await, lease.lease);
        let verified = ada.get(&path).await.json();
        let cost = verified["cost"].as_i64().unwrap();
        assert!(cost > 0 && cost < job["hold"].as_i64().unwrap(), "{verified}");

        app.time.fetch_add(HOUR - 1, Ordering::Relaxed);
        sweep_overdue_jobs(&app.app).await.unwrap();
        assert_eq!(ada.get(&path).await.json()["state"], "running", "it has a microsecond left");
        app.time.fetch_add(1, Ordering::Relaxed);
        // As two replicas would.
        let (first, second) = tokio::join!(sweep_overdue_jobs(&app.app), sweep_overdue_jobs(&app.app));
        first.and(second).unwrap();

        let ended = ada.get(&path).await.json();
        assert_eq!((&ended["state"], &ended["ended_at"]), (&json!("failed"), &ended["deadline"]));
        assert_eq!(ended["fault"], json!({ "code": "deadline_passed", "deadline": ended["deadline"] }));
        assert_eq!((&ended["cost"], &ended["verified_tiles"]), (&json!(cost), &json!(lease.tiles)));
        let (available, held) = account(&ada).await;
        // Its own device is paid nine tenths of it back, once that is mature.
        assert_eq!((held, before - available <= cost, before - available >= cost / 10), (0, true, true));
        let events = ada.get(&format!("{path}/detail")).await.json()["events"].clone();
        let told: Vec<&str> = events.as_array().unwrap().iter().filter_map(|event| event["kind"].as_str()).collect();
        assert_eq!(told.iter().filter(|kind| **kind == "deadline_passed").count(), 1, "{told:?}");
        assert_eq!(ada.get(&format!("{path}/result?partial=true")).await.status, StatusCode::OK);
        assert_eq!(ada.get(&format!("{path}/result")).await.refusal(), "409 job_not_done");
    }
}

db_test! {
    async fn a_deadline_that_passed_while_the_server_was_away_is_kept_when_it_is_back(app: TestApp) {
        let ada = app.customer("Ada").await;
        let job = ada.submit(&order(&ada, json!(60)).await, "a").await.json();
        assert_eq!(ada.held().await, 1);
        app.time.fetch_add(30 * 24 * HOUR, Ordering::Relaxed);

        // What a fresh process begins with: nothing but the database.
        let config = app.app.config.clone();
        let fresh = edge_api::app::App::start(config, app.app.clock.clone()).await.unwrap();
        sweep_overdue_jobs(&fresh).await.unwrap();

        assert_eq!(ada.get(&format!("/v1/jobs/{}", job["id"].as_str().unwrap())).await.json()["state"], "failed");
        assert_eq!(ada.held().await, 0);
    }
}

db_test! {
    async fn a_deadline_is_a_second_to_a_year_away_and_files_have_names(app: TestApp) {
        let ada = app.customer("Ada").await;
        for seconds in [json!(0), json!(31_536_001)] {
            let refused = ada.submit(&order(&ada, seconds).await, "a").await;
            assert_eq!(refused.refusal(), "422 malformed_request deadline_seconds");
        }
        let mut named = order(&ada, Value::Null).await;
        for names in [json!({ "model": "" }), json!({ "model": "a\nb" }), json!({ "model": "x".repeat(256) }), json!({ "kernel": "a.wgsl" })] {
            named["file_names"] = names;
            assert_eq!(ada.submit(&named, "a").await.refusal(), "422 malformed_request file_names");
        }
        named["file_names"] = json!({ "model": "net.onnx", "input": "照片.npy" });
        named["name"] = json!("Nightly / 1");

        let job = ada.submit(&named, "a").await.json();
        assert_eq!((&job["file_names"], &job["deadline"]), (&named["file_names"], &Value::Null));
        let result = ada.get(&format!("/v1/jobs/{}/result?partial=true", job["id"].as_str().unwrap())).await;
        let name = result.headers["content-disposition"].to_str().unwrap();
        assert_eq!(name, "attachment; filename=\"Nightly _ 1.npz\"");
    }
}
