use axum::http::StatusCode;
use serde_json::json;

use crate::app::{TestApp, sample};
use crate::db_test;

db_test! {
    async fn a_blob_is_its_owners_alone_whoever_knows_its_hash(app: TestApp) {
        let (ada, bob) = (app.customer("Ada").await, app.customer("Bob").await);

        let hash = ada.blob(b"weights".to_vec()).await;

        assert_eq!(ada.get(&format!("/v1/blobs/{hash}")).await.bytes, b"weights");
        assert_eq!(bob.get(&format!("/v1/blobs/{hash}")).await.refusal(), "404 not_found");
        assert_eq!(bob.blob(b"weights".to_vec()).await, hash, "uploading it says nothing of the other's");
        assert_eq!(bob.get(&format!("/v1/blobs/{hash}")).await.bytes, b"weights");
    }
}

db_test! {
    async fn a_quote_says_what_a_job_will_be_and_holds_nothing(app: TestApp) {
        let ada = app.customer("Ada").await;
        let mut request = ada.digits().await;
        request.as_object_mut().unwrap().remove("name");

        let quote = ada.post("/v1/quotes", &request).await.json();

        assert_eq!((quote["rows"].as_i64(), quote["tiles"].as_i64(), quote["tile_rows"].as_i64()), (Some(1797), Some(225), Some(8)));
        assert_eq!((quote["outputs"][0]["shape"].clone(), quote["cost"].as_i64()), (json!([10]), Some(1)));
        assert_eq!(ada.held().await, 0);
    }
}

db_test! {
    async fn a_retry_gets_the_first_answer_and_another_job_under_its_key_is_refused(app: TestApp) {
        let ada = app.customer("Ada").await;
        let request = ada.digits().await;

        let first = ada.submit(&request, "order-1").await;
        let again = ada.submit(&request, "order-1").await;
        let mut other = request.clone();
        other["name"] = json!("Other");

        assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::OK));
        assert_eq!(first.json()["id"], again.json()["id"]);
        assert_eq!(ada.submit(&other, "order-1").await.refusal(), "409 idempotency_conflict");
        assert_eq!(ada.held().await, 1, "held once");
    }
}

db_test! {
    async fn two_submissions_at_once_under_one_key_are_one_job(app: TestApp) {
        let ada = app.customer("Ada").await;
        let request = ada.digits().await;

        let (first, second) = tokio::join!(ada.submit(&request, "order-1"), ada.submit(&request, "order-1"));

        assert_eq!(first.json()["id"], second.json()["id"]);
        assert_eq!(ada.held().await, 1);
    }
}

db_test! {
    async fn a_cancelled_job_frees_its_hold_and_cancelling_twice_is_once(app: TestApp) {
        let ada = app.customer("Ada").await;
        let job = ada.submit(&ada.digits().await, "a").await.json();
        let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());

        let cancelled = ada.post(&format!("{path}/cancel"), &json!(null)).await;
        let again = ada.post(&format!("{path}/cancel"), &json!(null)).await;

        assert_eq!((cancelled.json()["state"].clone(), again.status), (json!("cancelled"), StatusCode::OK));
        assert_eq!(ada.held().await, 0);
        assert_eq!(ada.get(&format!("{path}/result")).await.refusal(), "409 job_not_done");
    }
}

db_test! {
    async fn jobs_are_listed_newest_first_page_by_page(app: TestApp) {
        let ada = app.customer("Ada").await;
        let request = ada.digits().await;
        let mut submitted = Vec::new();
        for n in 0..5 {
            app.time.fetch_add(1_000_000, std::sync::atomic::Ordering::Relaxed);
            submitted.push(ada.submit(&request, &n.to_string()).await.json()["id"].clone());
        }
        submitted.reverse();

        let mut listed = Vec::new();
        let mut path = "/v1/jobs?limit=2".to_owned();
        loop {
            let page = ada.get(&path).await.json();
            listed.extend(page["jobs"].as_array().unwrap().iter().map(|job| job["id"].clone()));
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/v1/jobs?limit=2&before={next}");
        }

        assert_eq!(listed, submitted);
        assert_eq!(ada.get("/v1/jobs?before=x").await.refusal(), "422 malformed_request before");
    }
}

db_test! {
    async fn only_a_published_job_is_public(app: TestApp) {
        let (ada, bob) = (app.customer("Ada").await, app.customer("Bob").await);
        let job = ada.submit(&ada.digits().await, "a").await.json();
        let id = job["id"].as_str().unwrap();
        let public = format!("/v1/public/jobs/{id}");

        assert_eq!(bob.get(&public).await.refusal(), "404 not_found");
        assert_eq!(bob.post(&format!("/v1/jobs/{id}/publish"), &json!(null)).await.refusal(), "404 not_found");
        ada.post(&format!("/v1/jobs/{id}/publish"), &json!(null)).await;
        let seen = bob.get(&public).await;
        ada.post(&format!("/v1/jobs/{id}/unpublish"), &json!(null)).await;

        assert_eq!((seen.status, seen.json()["tiles"].as_i64()), (StatusCode::OK, Some(225)));
        assert_eq!(seen.json()["mosaic"].as_str().map(str::len), Some(225));
        assert!(seen.json().get("input").is_none() && seen.json().get("account").is_none());
        assert_eq!(bob.get(&public).await.refusal(), "404 not_found");
    }
}

db_test! {
    async fn a_job_the_balance_cannot_cover_is_refused_and_nothing_is_held(app: TestApp with |config| config.price = 1_000_000_000_000_000_000) {
        let ada = app.customer("Ada").await;

        let answer = ada.submit(&ada.digits().await, "a").await;

        assert_eq!(answer.refusal(), "402 insufficient_funds");
        assert_eq!(ada.held().await, 0);
        assert_eq!(ada.get("/v1/jobs").await.json()["jobs"], json!([]));
    }
}

db_test! {
    async fn a_job_over_its_own_limit_is_refused(app: TestApp) {
        let ada = app.customer("Ada").await;
        let mut request = ada.digits().await;
        request["limit"] = json!(0);

        assert_eq!(ada.submit(&request, "a").await.refusal(), "409 over_limit limit");
        assert_eq!(ada.held().await, 0);
        request["limit"] = json!(1);
        assert_eq!(ada.submit(&request, "b").await.status, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn an_upload_over_the_limit_is_refused_while_it_streams() {
    let app = TestApp::sqlite_with(|config| config.blob_bytes_max = 1000).await;
    let ada = app.customer("Ada").await;

    assert_eq!(ada.upload(vec![0; 1001]).await.refusal(), "413 too_large");
    assert_eq!(ada.upload(vec![0; 1000]).await.status, StatusCode::CREATED);
    assert_eq!(ada.upload(sample("digits.npy")).await.refusal(), "413 too_large");
}

db_test! {
    async fn a_trial_lends_the_first_tile_for_nothing(app: TestApp) {
        let ada = app.customer("Ada").await;
        let program = ada.digits().await["program"].clone();

        let grant = ada.post("/v1/trials", &json!({ "program": program })).await.json();

        assert_eq!((grant["tiles"].as_u64(), grant["first_tile"].as_u64()), (Some(1), Some(0)), "{grant}");
        let at = |part: &str| format!("/v1/leases/{}/{part}", grant["token"].as_str().unwrap());
        let (rows, input) = (grant["rows"].as_u64().unwrap(), app.get(&at("input")).await);
        assert_eq!(u64::try_from(input.bytes.len()).unwrap(), rows * 64 * 4);
        assert_eq!((ada.held().await, ada.get("/v1/jobs").await.json()["jobs"].as_array().unwrap().len()), (0, 0));

        let plan = app.get(&at(&format!("plan?rows={rows}"))).await;
        assert_eq!(plan.status, 200);
        assert!(app.get(&at(&format!("weights?rows={rows}"))).await.bytes.len() > 1000);
        assert_eq!(app.get(&at("plan?rows=0")).await.refusal(), "422 malformed_request rows");
        assert_eq!(app.get(&at(&format!("plan?rows={}", rows + 1))).await.refusal(), "422 malformed_request rows");
        assert_eq!(app.get(&at("kernel")).await.refusal(), "404 not_found");
    }
}
