//! What one caller may take of the server: how often, how much at once, and for how long.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use edge_api::http::limits::Action;
use edge_api::server::{Patience, router};
use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::app::{Answer, TestApp, post};
use crate::db_test;
use crate::until::until;

fn from(address: &str, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
    request
}

fn behind_a_proxy(config: &mut edge_api::config::Config) {
    config.limits.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
}

#[tokio::test]
async fn a_limit_answers_429_with_the_seconds_to_wait() {
    let app = TestApp::sqlite().await;
    for _ in 0..30 {
        app.send(post("/v1/accounts", &json!({}))).await;
    }

    let refused = app.send(post("/v1/accounts", &json!({}))).await;

    assert_eq!(refused.refusal(), "429 rate_limited");
    let secs: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&secs), "{secs}");
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_limits_of_its_own() {
    let app = TestApp::sqlite_with(behind_a_proxy).await;
    let open = async |address: &str| app.send(from(address, post("/v1/accounts", &json!({})))).await.status.as_u16();
    for _ in 0..30 {
        assert_eq!(open("2001:db8:0:1::1").await, 201);
    }

    assert_eq!(open("2001:db8:0:1::1").await, 429);
    assert_eq!(open("6.6.6.6, 2001:db8:0:1::2").await, 429, "one /64 is one subscriber, whatever else is made up");
    assert_eq!(open("2001:db8:0:2::1").await, 201);
    assert_eq!(open("203.0.113.9").await, 201);
}

#[tokio::test]
async fn without_a_trusted_proxy_nobody_chooses_an_address() {
    let app = TestApp::sqlite().await;
    for n in 0..30 {
        app.send(from(&format!("203.0.113.{n}"), post("/v1/accounts", &json!({})))).await;
    }

    assert_eq!(app.send(from("198.51.100.1", post("/v1/accounts", &json!({})))).await.refusal(), "429 rate_limited");
}

db_test! {
    async fn blobs_quotes_trials_and_jobs_have_quotas_of_the_account(app: TestApp) {
        let (ada, bob) = (app.customer("Ada").await, app.customer("Bob").await);
        let account = ada.get("/v1/account").await.json()["id"].as_str().unwrap().parse::<wire::AccountId>().unwrap();
        let order = json!({ "program": { "kind": "infer", "model": "ab".repeat(32), "input": "ab".repeat(32) } });
        for action in [Action::Upload, Action::Order, Action::Trial] {
            while app.app.limits.check(action, account).is_ok() {}
        }

        assert_eq!(ada.upload(b"x".to_vec()).await.refusal(), "429 rate_limited");
        assert_eq!(ada.post("/v1/quotes", &order).await.refusal(), "429 rate_limited");
        assert_eq!(ada.submit(&json!({ "program": order["program"], "name": "x" }), "a").await.refusal(), "429 rate_limited");
        assert_eq!(ada.post("/v1/trials", &order).await.refusal(), "429 rate_limited");
        assert_eq!(bob.upload(b"x".to_vec()).await.status, StatusCode::CREATED);
        assert_eq!(bob.post("/v1/quotes", &order).await.refusal(), "422 unknown_blob model");
    }
}

#[tokio::test]
async fn plans_and_samples_have_quotas_of_the_address() {
    let app = TestApp::sqlite_with(behind_a_proxy).await;
    let ada = app.customer("Ada").await;
    let trial = ada.post("/v1/trials", &json!({ "program": ada.digits().await["program"] })).await.json();
    let address = edge_api::http::client_address::ClientAddress(std::net::IpAddr::from([203, 0, 113, 9]));
    let get = async |from_address: &str, path: &str| {
        app.send(from(from_address, Request::get(path).body(Body::empty()).unwrap())).await
    };
    let lease = |part: &str| format!("/v1/leases/{}/{part}", trial["token"].as_str().unwrap());
    let plans = [lease("plan?rows=1"), lease("weights?rows=1"), lease("kernel")];
    let sample = "/v1/public/jobs/01a204cd-e905-7e4a-a5ab-abea1bf0e30f/sample";

    while app.app.limits.check(Action::Sample, address).is_ok() {}
    let refused = get("203.0.113.9", sample).await;
    assert_eq!(refused.refusal(), "429 rate_limited");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(get("203.0.113.9", &plans[0]).await.status, StatusCode::OK, "plans are counted apart");

    while app.app.limits.check(Action::Plan, address).is_ok() {}
    for plan in &plans {
        let refused = get("203.0.113.9", plan).await;
        assert_eq!(refused.refusal(), "429 rate_limited", "{plan}");
        assert!(refused.headers.contains_key("retry-after"));
    }
    assert_eq!(get("203.0.113.9", &lease("input")).await.status, StatusCode::OK, "nothing is planned for it");
    assert_eq!(get("203.0.113.10", &plans[0]).await.status, StatusCode::OK);
    assert_eq!(get("203.0.113.10", sample).await.refusal(), "404 not_found");
}

#[tokio::test]
async fn searches_have_a_quota_of_the_address_and_our_own_pages_none_of_theirs() {
    let app = TestApp::sqlite_with(behind_a_proxy).await;
    let address = edge_api::http::client_address::ClientAddress(std::net::IpAddr::from([203, 0, 113, 9]));
    let get = async |from_address: &str, path: &str| {
        app.send(from(from_address, Request::get(path).body(Body::empty()).unwrap())).await
    };

    while app.app.limits.check(Action::Search, address).is_ok() {}

    assert_eq!(get("203.0.113.9", "/v1/public/search?q=digits").await.refusal(), "429 rate_limited");
    assert_eq!(get("203.0.113.10", "/v1/public/search?q=digits").await.status, StatusCode::OK);
    assert_eq!(app.page("/explorer/search?q=digits").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_account_has_a_few_uploads_and_orders_under_way_and_no_more() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let account = ada.get("/v1/account").await.json()["id"].as_str().unwrap().parse::<wire::AccountId>().unwrap();
    let uploads: Vec<_> = std::iter::from_fn(|| app.app.limits.uploads.try_enter(account)).collect();
    let orders: Vec<_> = std::iter::from_fn(|| app.app.limits.orders.try_enter(account)).collect();
    let order = json!({ "program": { "kind": "infer", "model": "ab".repeat(32), "input": "ab".repeat(32) } });

    assert_eq!((uploads.len(), orders.len()), (8, 4));
    assert_eq!(ada.upload(b"x".to_vec()).await.refusal(), "429 rate_limited");
    assert_eq!(ada.post("/v1/quotes", &order).await.refusal(), "429 rate_limited");
    drop((uploads, orders));
    assert_eq!(ada.upload(b"x".to_vec()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn bodies_share_a_budget_of_bytes_and_wait_for_room_in_it() {
    let app = TestApp::sqlite_with(|config| config.limits.body_bytes_max = 1 << 20).await;
    let all = app.app.limits.hold_body(1 << 20).await.unwrap();

    let refused = app.send(post("/v1/accounts", &json!({}))).await;

    assert_eq!(refused.refusal(), "503 overloaded");
    assert!(refused.headers.contains_key("retry-after"));
    drop(all);
    assert_eq!(app.send(post("/v1/accounts", &json!({}))).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_pages_parameters_do_not_bypass_the_page_cache() {
    let app = TestApp::sqlite().await;
    let pages = router(&app.app);
    let get = async |path: &str| -> Answer {
        app.send_to(pages.clone(), Request::get(path).body(Body::empty()).unwrap()).await
    };
    assert_eq!(get("/explorer/devices").await.status, StatusCode::OK);
    let address = edge_api::http::client_address::ClientAddress(std::net::IpAddr::from([127, 0, 0, 1]));
    while app.app.limits.check(Action::DrawPage, address).is_ok() {}

    for path in ["/explorer/devices?x=1", "/explorer/devices?utm=2&x=3", "/explorer/devices?class=&y"] {
        assert_eq!(get(path).await.status, StatusCode::OK, "{path} is the page that was drawn already");
    }
    let parameter = get("/explorer/devices?after=1").await.status;
    let (csv, nothing) = (get("/explorer/devices.csv").await.status, get("/nothing").await.status);
    assert_eq!([parameter, csv, nothing], [StatusCode::TOO_MANY_REQUESTS; 3]);
}

/// Waits until this machine's own address has so many connections.
async fn until_connections(app: &TestApp, expected: u32) {
    let count = || app.app.limits.connections.count(std::net::IpAddr::from([127, 0, 0, 1]));
    until("connections are counted", Duration::from_secs(10), async || (count() == expected).then_some(())).await;
}

const QUICK: Patience = Patience { head: Duration::from_millis(300), reader: Duration::from_millis(500) };

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut text)).await;
    drop(read.expect("the server should close the connection"));
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn whoever_sends_half_a_head_or_nothing_is_let_go() {
    let app = TestApp::sqlite().await;
    let address = app.listen(QUICK).await;
    for head in ["", "GET /v1/health HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();

        read_to_end(&mut stream).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_idle_after_an_answer_is_let_go() {
    let app = TestApp::sqlite().await;
    let mut stream = TcpStream::connect(app.listen(QUICK).await).await.unwrap();
    stream.write_all(b"GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();

    let answer = read_to_end(&mut stream).await;

    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok\n"), "{answer}");
}

#[tokio::test]
async fn whoever_does_not_read_an_answer_is_let_go() {
    let app = TestApp::sqlite_with(|config| config.blob_bytes_max = 64 << 20).await;
    let ada = app.customer("Ada").await;
    let hash = ada.blob(vec![7; 32 << 20]).await;
    let address = app.listen(QUICK).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!("GET /v1/blobs/{hash} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", ada.key);
    stream.write_all(request.as_bytes()).await.unwrap();

    until_connections(&app, 1).await;
    until_connections(&app, 0).await;

    let mut taken = Vec::new();
    drop(stream.read_to_end(&mut taken).await);
    assert!(taken.len() < 32 << 20, "the rest was not kept for it");
}

#[tokio::test]
async fn a_reader_who_takes_what_it_asked_for_gets_all_of_it() {
    let app = TestApp::sqlite_with(|config| config.blob_bytes_max = 64 << 20).await;
    let ada = app.customer("Ada").await;
    let hash = ada.blob(vec![7; 16 << 20]).await;
    let mut stream = TcpStream::connect(app.listen(QUICK).await).await.unwrap();
    let request = format!(
        "GET /v1/blobs/{hash} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n",
        ada.key
    );
    stream.write_all(request.as_bytes()).await.unwrap();

    // Slower than the patience for all of it, and never as long without a byte.
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let (mut taken, mut piece) = (0, vec![0; 1 << 20]);
    loop {
        let read = stream.read(&mut piece).await.unwrap();
        if read == 0 {
            break;
        }
        taken += read;
        pace.tick().await;
    }

    assert!(taken > 16 << 20, "{taken} bytes came");
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_no_more() {
    let app = TestApp::sqlite().await;
    let address = app.listen(Patience::default()).await;
    let mut streams = Vec::new();
    for _ in 0..app.app.config.limits.connections_per_address_max {
        streams.push(TcpStream::connect(address).await.unwrap());
    }
    // They are counted when the server has taken them.
    until_connections(&app, app.app.config.limits.connections_per_address_max).await;

    let mut refused = TcpStream::connect(address).await.unwrap();
    let answer = read_to_end(&mut refused).await;

    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("retry-after: "), "{answer}");
}

#[tokio::test]
async fn when_all_connections_are_taken_another_waits_for_one_to_end() {
    let app = TestApp::sqlite_with(|config| config.limits.connections_max = 1).await;
    let address = app.listen(Patience::default()).await;
    let request = b"GET /v1/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let first = TcpStream::connect(address).await.unwrap();
    until_connections(&app, 1).await;

    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(request).await.unwrap();
    let mut byte = [0];
    assert!(tokio::time::timeout(Duration::from_millis(300), second.read(&mut byte)).await.is_err());
    drop(first);

    assert!(read_to_end(&mut second).await.contains(" 200 OK"));
}

#[tokio::test]
async fn a_socket_keeps_its_connections_place() {
    let app = TestApp::sqlite_with(|config| config.limits.connections_per_address_max = 2).await;
    let address = app.listen(Patience::default()).await;
    let open = || tokio_tungstenite::connect_async(format!("ws://{address}/v1/devices/socket"));
    let sockets = [open().await.unwrap(), open().await.unwrap()];

    let refused = open().await.unwrap_err();
    assert!(
        matches!(&refused, tokio_tungstenite::tungstenite::Error::Http(answer) if answer.status() == 429),
        "{refused}"
    );

    drop(sockets);
    until("their places are free", Duration::from_secs(30), async || open().await.ok()).await;
}

#[tokio::test]
async fn a_device_that_sends_frames_without_end_is_disconnected() {
    let app = TestApp::sqlite().await;
    let address = app.listen(Patience::default()).await;
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/v1/devices/socket")).await.unwrap();
    let challenge: serde_json::Value =
        serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
    socket.send(Message::text(crate::device::hello(&challenge, 7, |_| {}))).await.unwrap();
    assert!(socket.next().await.unwrap().unwrap().to_text().unwrap().contains("welcome"));

    for _ in 0..1000 {
        if socket.feed(Message::text(r#"{"type":"rest"}"#)).await.is_err() {
            break;
        }
    }
    drop(socket.flush().await);

    let mut last = String::new();
    // Pings come in between.
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Text(text) = message {
            last = text.to_string();
        }
    }
    assert!(last.contains("rate_limited"), "{last}");
}
