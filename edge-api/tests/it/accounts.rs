use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;

use crate::app::{TestApp, post};
use crate::db_test;

db_test! {
    async fn a_new_account_has_faucet_credits_and_its_key_opens_it(app: TestApp) {
        let ada = app.customer("Ada").await;

        let account = ada.get("/v1/account").await.json();

        assert_eq!(account["name"], "Ada");
        assert_eq!((account["available"].as_i64(), account["held"].as_i64()), (Some(100_000_000), Some(0)));
        assert_eq!(account["development"], true);
        assert!(ada.key.starts_with("tsk_") && ada.key.len() == 68);
    }
}

db_test! {
    async fn a_session_acts_for_its_account_but_not_from_another_sites_page(app: TestApp) {
        let opened = app.send(post("/v1/accounts", &json!({}))).await;
        let cookie = opened.headers["set-cookie"].to_str().unwrap().to_owned();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap();
        let from = |origin: Option<&str>, request: Request<Body>| {
            let mut request = request;
            request.headers_mut().insert("cookie", cookie.parse().unwrap());
            request.headers_mut().insert("host", "tessera.test".parse().unwrap());
            if let Some(origin) = origin {
                request.headers_mut().insert("origin", origin.parse().unwrap());
            }
            request
        };
        let get = || Request::get("/v1/account").body(Body::empty()).unwrap();
        let upload = || Request::post("/v1/blobs").body(Body::from("x")).unwrap();

        assert_eq!(app.send(from(None, get())).await.status, StatusCode::OK);
        assert_eq!(app.send(from(Some("https://tessera.test"), upload())).await.status, StatusCode::CREATED);
        assert_eq!(app.send(from(Some("https://evil.test"), upload())).await.refusal(), "403 foreign_origin");
        assert_eq!(app.send(from(None, upload())).await.refusal(), "403 foreign_origin");
    }
}

db_test! {
    async fn a_session_ends_after_thirty_days(app: TestApp) {
        let opened = app.send(post("/v1/accounts", &json!({}))).await;
        let cookie = opened.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();

        app.time.fetch_add(31 * 24 * 3_600_000_000, std::sync::atomic::Ordering::Relaxed);

        let answer = app.send(Request::get("/v1/account").header("cookie", cookie).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.refusal(), "401 unauthorized");
    }
}

db_test! {
    async fn a_key_opens_a_browser_session(app: TestApp) {
        let ada = app.customer("Ada").await;

        let answer = ada.post("/v1/sessions", &json!({})).await;

        assert_eq!(answer.status, StatusCode::CREATED);
        assert!(answer.headers.contains_key("set-cookie"));
    }
}

db_test! {
    async fn nothing_is_called_by_the_character_zero(app: TestApp) {
        let ada = app.customer("Ada").await;

        assert_eq!(ada.delete("/v1/account/keys/a%00b").await.refusal(), "404 not_found");
        assert_eq!(ada.get("/v1/jobs?q=%00").await.refusal(), "400 malformed_request q");
        assert_eq!(ada.get("/v1/account/entries?limit=2&after=a%00").await.refusal(), "400 malformed_request after");
    }
}

#[tokio::test]
async fn outside_development_nobody_opens_an_account_with_faucet_credits() {
    let app = TestApp::sqlite_with(|config| config.development = false).await;

    let answer = app.send(post("/v1/accounts", &json!({}))).await;

    assert_eq!(answer.refusal(), "403 not_in_development");
}

#[tokio::test]
async fn one_address_opens_thirty_accounts_a_minute_and_no_more() {
    let app = TestApp::sqlite().await;
    for _ in 0..30 {
        assert_eq!(app.send(post("/v1/accounts", &json!({}))).await.status, StatusCode::CREATED);
    }

    assert_eq!(app.send(post("/v1/accounts", &json!({}))).await.refusal(), "429 rate_limited");
}
