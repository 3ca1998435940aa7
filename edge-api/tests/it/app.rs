//! An edge over an empty database, and people who ask it things.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use edge_api::app::App;
use edge_api::blobs::place::Variables;
use edge_api::clock::Clock;
use edge_api::config::{CompileConfig, Config, LimitsConfig, LogFormat, MetricsConfig};
use edge_api::server::{Patience, accept};
use edge_api::{routes, tasks};
use serde_json::{Value, json};
use sqlx::Connection;
use store::audit::{Audit, audit};
use tokio::net::TcpListener;
use tower::ServiceExt;
use wire::{AccountId, BlobHash};

pub(crate) struct TestApp {
    pub(crate) app: App,
    pub(crate) router: Router,
    pub(crate) time: Arc<AtomicI64>,
    _folder: tempfile::TempDir,
}

/// A status and a body.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&self.bytes)))
    }

    /// `402 insufficient_funds`, with the field after it where one is named.
    pub(crate) fn refusal(&self) -> String {
        let body = self.json();
        let field = body["field"].as_str().map_or_else(String::new, |field| format!(" {field}"));
        format!("{} {}{field}", self.status.as_u16(), body["code"].as_str().unwrap_or("no code"))
    }
}

impl TestApp {
    pub(crate) async fn sqlite() -> Self {
        Self::sqlite_with(|_| {}).await
    }

    pub(crate) async fn sqlite_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("test.db").display());
        Self::new(folder, url, change).await
    }

    pub(crate) async fn postgres_with(change: impl FnOnce(&mut Config)) -> Self {
        let server = tokio::task::spawn_blocking(crate::postgres::server_url).await.unwrap();
        let name = format!("test_{}", wire::Nonce(edge_api::random::bytes()));
        sqlx::any::install_default_drivers();
        let mut admin = sqlx::AnyConnection::connect(&format!("{server}/postgres")).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("create database {name}"))).execute(&mut admin).await.unwrap();
        Self::new(tempfile::TempDir::new().unwrap(), format!("{server}/{name}"), change).await
    }

    async fn new(folder: tempfile::TempDir, database_url: String, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Self::config(folder.path(), database_url);
        change(&mut config);
        let time = Arc::new(AtomicI64::new(1_795_372_807_000_000));
        let app = App::start(config, Clock::Fixed(Arc::clone(&time))).await.unwrap();
        tasks::start(&app);
        Self { router: routes::api(app.clone()), app, time, _folder: folder }
    }

    /// Of a server with its files in a folder.
    pub(crate) fn config(folder: &Path, database_url: String) -> Config {
        Config {
            listen: ([127, 0, 0, 1], 0).into(),
            database_url,
            blobs: folder.join("blobs").display().to_string(),
            blob_variables: Variables::default(),
            blob_redirect_bytes: None,
            site: folder.join("site"),
            downloads: None,
            public_url: "http://tessera.test".to_owned(),
            device_origins: Vec::new(),
            development: true,
            price: 20_000_000,
            fee_bps: 1000,
            blob_bytes_max: 1 << 20,
            checkers: Vec::new(),
            challenge_seconds: 0,
            lease_tiles_max: None,
            limits: LimitsConfig {
                trusted_proxies: Vec::new(),
                connections_max: 64,
                connections_per_address_max: 8,
                body_bytes_max: 64 << 20,
                account_bytes_max: 64 << 20,
                disk_reserve: 0,
                blob_days: 7,
            },
            compile: CompileConfig {
                compile_bytes_max: 4 << 30,
                compile_seconds: 30,
                compiler: Some(env!("CARGO_BIN_EXE_edge-api").into()),
            },
            metrics: MetricsConfig::default(),
            log_format: LogFormat::Text,
            traces_endpoint: None,
            command: None,
        }
    }

    /// The app on a real socket.
    pub(crate) async fn listen(&self, patience: Patience) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = self.app.clone();
        self.app.tasks.spawn(async move { accept(&app, listener, patience).await });
        address
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        self.send_to(self.router.clone(), request).await
    }

    /// As nobody.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Any slice of a job.
    pub(crate) async fn first_slice(&self, job: wire::JobId) -> wire::SliceId {
        let (slice,): (String,) = sqlx::query_as("select slice_id from slice where job_id = $1 order by first_tile")
            .bind(job.to_string())
            .fetch_one(&mut *self.app.db.read().await.unwrap())
            .await
            .unwrap();
        slice.parse().unwrap()
    }

    pub(crate) async fn send_to(&self, router: Router, request: Request<Body>) -> Answer {
        self.try_send_to(router, request).await.unwrap()
    }

    /// An error is an answer that breaks off.
    async fn try_send_to(&self, router: Router, mut request: Request<Body>) -> Result<Answer, axum::Error> {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 4000))));
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let response = router.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        // A stream of events has no end to wait for.
        let is_stream = parts.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let body = if is_stream { Body::empty() } else { body };
        let bytes = axum::body::to_bytes(body, 64 << 20).await?.to_vec();
        if parts.status.as_u16() >= 400 {
            crate::openapi::check_refusal(&method, &path, parts.status.as_u16(), &bytes);
        }
        Ok(Answer { status: parts.status, headers: parts.headers, bytes })
    }

    /// A fresh account.
    pub(crate) async fn customer(&self, name: &str) -> Customer<'_> {
        let answer = self.send(post("/v1/accounts", &json!({ "name": name }))).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        let key = answer.json()["key"].as_str().unwrap().to_owned();
        Customer { app: self, key }
    }

    /// Of the money: some tests write receipts that no slice knows of.
    pub(crate) async fn check_ledger(&self) {
        let found = audit(&mut self.app.db.read().await.unwrap()).await.unwrap();
        assert_eq!(Audit { tiles_off: 0, bits_off: 0, ..found }, Audit::default());
    }
}

pub(crate) fn post(path: &str, body: &Value) -> Request<Body> {
    Request::post(path).header("content-type", "application/json").body(Body::from(body.to_string())).unwrap()
}

/// A GET with these headers.
pub(crate) fn get_with(path: &str, headers: &[(&'static str, &str)]) -> Request<Body> {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    request.body(Body::empty()).unwrap()
}

pub(crate) struct Customer<'a> {
    app: &'a TestApp,
    pub(crate) key: String,
}

impl Customer<'_> {
    pub(crate) fn signed(&self, mut request: Request<Body>) -> Request<Body> {
        request.headers_mut().insert("authorization", format!("Bearer {}", self.key).parse().unwrap());
        request
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.app.send(self.signed(Request::get(path).body(Body::empty()).unwrap())).await
    }

    /// With these headers besides.
    pub(crate) async fn get_with(&self, path: &str, headers: &[(&'static str, &str)]) -> Answer {
        self.app.send(self.signed(get_with(path, headers))).await
    }

    /// An error is an answer that breaks off.
    pub(crate) async fn try_get(&self, path: &str) -> Result<Answer, axum::Error> {
        let request = self.signed(Request::get(path).body(Body::empty()).unwrap());
        self.app.try_send_to(self.app.router.clone(), request).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.app.send(self.signed(post(path, body))).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.app.send(self.signed(Request::delete(path).body(Body::empty()).unwrap())).await
    }

    pub(crate) async fn account(&self) -> AccountId {
        self.get("/v1/account").await.json()["id"].as_str().unwrap().parse().unwrap()
    }

    /// A fresh browser session, as its cookie.
    pub(crate) async fn sign_in(&self) -> String {
        let answer = self.post("/v1/sessions", &json!(null)).await;
        answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    pub(crate) async fn submit(&self, body: &Value, idempotency_key: &str) -> Answer {
        let mut request = self.signed(post("/v1/jobs", body));
        request.headers_mut().insert("idempotency-key", idempotency_key.parse().unwrap());
        self.app.send(request).await
    }

    pub(crate) async fn upload(&self, bytes: Vec<u8>) -> Answer {
        self.app.send(self.signed(Request::post("/v1/blobs").body(Body::from(bytes)).unwrap())).await
    }

    pub(crate) async fn blob(&self, bytes: Vec<u8>) -> BlobHash {
        let answer = self.upload(bytes).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        answer.json()["hash"].as_str().unwrap().parse().unwrap()
    }

    /// Stored before empty uploads were refused.
    pub(crate) async fn empty_blob(&self) -> BlobHash {
        let app = &self.app.app;
        let blob = wire::Blob { hash: BlobHash(*blake3::hash(b"").as_bytes()), size: 0 };
        edge_api::blobs::collect::reserve(app, &blob).await.unwrap();
        app.blobs.put(blob.hash, bytes::Bytes::new()).await.unwrap();
        let account = self.account().await;
        let mut tx = app.db.begin_write().await.unwrap();
        store::blobs::insert_blob_owner(&mut tx, account, blob.hash).await.unwrap();
        tx.commit().await.unwrap();
        blob.hash
    }

    /// What asks for the digits job.
    pub(crate) async fn digits(&self) -> Value {
        let model = self.blob(sample("digits.onnx")).await;
        let input = self.blob(sample("digits.npy")).await;
        json!({ "program": { "kind": "infer", "model": model, "input": input }, "name": "Digits" })
    }

    pub(crate) async fn held(&self) -> i64 {
        self.get("/v1/account").await.json()["held"].as_i64().unwrap()
    }
}

pub(crate) fn sample(name: &str) -> Vec<u8> {
    // A kept target folder outlives the checkout that `env!` would name.
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    std::fs::read(format!("{folder}/../e2e/samples/digits/{name}")).unwrap()
}
