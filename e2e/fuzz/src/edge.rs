//! A server in this process, whose database holds something of everything that a request can name. Each seed gets a
//! copy of its own, so that what a request changes is gone with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use edge_api::app::App;
use edge_api::blobs::place::Variables;
use edge_api::clock::Clock;
use edge_api::config::{CompileConfig, Config, LimitsConfig, LogFormat, MetricsConfig};
use rules::billing::bill::Charge;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection};
use store::audit::{Audit, audit};
use store::devices::AcceptedWork;
use store::receipts::{Acceptance, NewReceipt};
use tempfile::TempDir;
use tower::ServiceExt;
use wire::device::{Backend, DeviceClass, PROTOCOL};
use wire::{Credits, DeviceId, Hello, LeaseId, Receipt, Signature, TileHash};

const NOW: i64 = 1_795_372_807_000_000;
/// Of a body that is read to its end, in bytes.
const BODY_MAX: usize = 256 << 20;

/// What is in the database, by the names under which a request can ask for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Of two accounts.
    pub(crate) keys: Vec<String>,
    pub(crate) sessions: Vec<String>,
    /// Of jobs, private and published, devices, leases, blobs and keys.
    pub(crate) ids: Vec<String>,
    /// That open a lease's files.
    pub(crate) tokens: Vec<String>,
    pub(crate) model: String,
    pub(crate) kernel: String,
    pub(crate) input: String,
}

pub(crate) struct Edge {
    pub(crate) app: App,
    pub(crate) router: Router,
    folder: Option<TempDir>,
}

/// Which database a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A server that others are copies of.
pub(crate) struct Template {
    folder: TempDir,
    database_url: String,
    pub(crate) known: Known,
}

fn config(folder: &Path, database_url: String) -> anyhow::Result<Config> {
    Ok(Config {
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
            trusted_proxies: vec!["10.0.0.0/8".parse()?],
            connections_max: 64,
            connections_per_address_max: 8,
            body_bytes_max: 64 << 20,
            account_bytes_max: 1 << 30,
            disk_reserve: 0,
            blob_days: 7,
        },
        compile: CompileConfig { compile_bytes_max: 1 << 30, compile_seconds: 20, compiler: None },
        metrics: MetricsConfig::default(),
        log_format: LogFormat::Text,
        traces_endpoint: None,
        command: None,
    })
}

fn sqlite_url(folder: &Path) -> String {
    format!("sqlite://{}?mode=rwc", folder.join("test.db").display())
}

/// A fresh database of the cluster that the driver started; a copy of `template`, if there is one.
async fn new_database(template: Option<&str>) -> anyhow::Result<String> {
    let server = std::env::var("TEST_DATABASE_URL").context("there should be a PostgreSQL server")?;
    let name = format!("fuzz_{}", wire::Nonce(edge_api::random::bytes()));
    let copy = template.map_or_else(String::new, |url| format!(" template {}", database_of(url)));
    run_sql(&server, format!("create database {name}{copy}")).await?;
    Ok(format!("{server}/{name}"))
}

fn database_of(url: &str) -> &str {
    url.rsplit_once('/').map_or(url, |(_, name)| name)
}

async fn run_sql(server: &str, statement: String) -> anyhow::Result<()> {
    sqlx::any::install_default_drivers();
    let mut admin = AnyConnection::connect(&format!("{server}/postgres")).await?;
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut admin).await?;
    Ok(())
}

impl Template {
    pub(crate) async fn new(engine: Engine) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let database_url = match engine {
            Engine::Sqlite => sqlite_url(folder.path()),
            Engine::Postgres => new_database(None).await?,
        };
        let edge = Edge::start(folder.path(), database_url.clone()).await?;
        let known = fill(&edge).await.context("the server should be filled")?;
        edge.app.shut_down().await;
        Ok(Self { folder, database_url, known })
    }

    /// A server over a copy.
    pub(crate) async fn copy(&self, engine: Engine) -> anyhow::Result<Edge> {
        let folder = tempfile::tempdir()?;
        copy_folder(self.folder.path(), folder.path())?;
        let database_url = match engine {
            Engine::Sqlite => sqlite_url(folder.path()),
            Engine::Postgres => new_database(Some(&self.database_url)).await?,
        };
        let edge = Edge::start(folder.path(), database_url).await?;
        Ok(Edge { folder: Some(folder), ..edge })
    }
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let (entry, target): (_, PathBuf) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if entry.is_dir() {
            std::fs::create_dir(&target)?;
            copy_folder(&entry, &target)?;
        } else {
            std::fs::copy(&entry, &target)?;
        }
    }
    Ok(())
}

impl Edge {
    async fn start(folder: &Path, database_url: String) -> anyhow::Result<Self> {
        let app = App::start(config(folder, database_url)?, Clock::Fixed(Arc::new(AtomicI64::new(NOW)))).await?;
        Ok(Self { router: edge_api::server::router(&app), app, folder: None })
    }

    /// The answer's head; its body is not read.
    pub(crate) async fn ask(&self, mut request: Request<Body>, from: SocketAddr) -> anyhow::Result<Response<Body>> {
        request.extensions_mut().insert(ConnectInfo(from));
        Ok(self.router.clone().oneshot(request).await?)
    }

    /// Checks the books, and ends the server.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        let health = self.ask(Request::get("/v1/health").body(Body::empty())?, ([127, 0, 0, 1], 1).into()).await?;
        ensure!(health.status() == StatusCode::OK, "the server answers {} when it is asked how it is", health.status());
        let found = audit(&mut *self.app.db.read().await?).await?;
        // Of the receipts that were written by hand no slice knows.
        ensure!(Audit { tiles_off: 0, bits_off: 0, ..found } == Audit::default(), "the books are off: {found:?}");
        self.app.shut_down().await;
        let url = self.app.config.database_url.clone();
        drop(self.folder);
        if url.starts_with("sqlite:") {
            return Ok(());
        }
        let (server, name) = url.rsplit_once('/').context("a database should have a name")?;
        run_sql(server, format!("drop database {name} with (force)")).await
    }
}

/// Two customers, a published and a private job of one, a device with settled receipts, sessions, lease tokens.
async fn fill(edge: &Edge) -> anyhow::Result<Known> {
    let mut known = Known::default();
    for name in ["Ada", "Bob"] {
        let account = send(edge, None, "/v1/accounts", json!({ "name": name }).to_string().into()).await?;
        let key = text(&account, "key")?;
        known.ids.push(text(&account["account"], "id")?);
        known.keys.push(key);
    }
    let ada = known.keys[0].clone();
    known.model = upload(edge, &ada, include_bytes!("../../samples/relu/relu.onnx").to_vec()).await?;
    known.kernel =
        upload(edge, &ada, include_bytes!("../../../edge-api/client/examples/map/sharpen.wgsl").to_vec()).await?;
    let rows = [edge_api::arrays::npy::head(wire::DType::Float32, &[40, 1]), vec![0; 40 * 4]].concat();
    known.input = upload(edge, &ada, rows).await?;
    known.ids.extend([known.model.clone(), known.kernel.clone(), known.input.clone()]);
    let program = json!({ "kind": "infer", "model": known.model, "input": known.input, "tile_rows": 4 });
    for (place, is_published) in [(1, true), (2, false)] {
        let order = json!({ "program": program, "name": format!("job {place}") });
        let job = text(&send(edge, Some(&ada), "/v1/jobs", order.to_string().into()).await?, "id")?;
        write_receipt(edge, &known, &job, place).await?;
        if is_published {
            send(edge, Some(&ada), &format!("/v1/jobs/{job}/publish"), Body::empty()).await?;
        }
        known.ids.extend([job, DeviceId([place; 32]).to_string(), LeaseId([place; 16]).to_string()]);
        let trial = json!({ "program": program }).to_string();
        known.tokens.push(text(&send(edge, Some(&ada), "/v1/trials", trial.into()).await?, "token")?);
    }
    let session = post(Some(&ada), "/v1/sessions", Body::empty())?;
    let session = edge.ask(session, ([127, 0, 0, 1], 1).into()).await?;
    let cookie = session.headers()["set-cookie"].to_str()?.split(';').next().unwrap_or_default();
    known.sessions.push(cookie.to_owned());
    let keys = get(edge, &ada, "/v1/account/keys").await?;
    known.ids.push(text(&keys[0], "id")?);
    Ok(known)
}

fn text(value: &Value, name: &str) -> anyhow::Result<String> {
    Ok(value[name].as_str().with_context(|| format!("{value} should have a {name}"))?.to_owned())
}

fn post(key: Option<&str>, path: &str, body: Body) -> anyhow::Result<Request<Body>> {
    let mut request = Request::post(path).header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    Ok(request.body(body)?)
}

async fn answer(edge: &Edge, request: Request<Body>) -> anyhow::Result<Value> {
    let path = request.uri().path().to_owned();
    let response = edge.ask(request, ([127, 0, 0, 1], 1).into()).await?;
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), BODY_MAX).await?;
    ensure!(status.is_success(), "{path} answers {status}: {}", String::from_utf8_lossy(&bytes));
    Ok(serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn send(edge: &Edge, key: Option<&str>, path: &str, body: Body) -> anyhow::Result<Value> {
    answer(edge, post(key, path, body)?).await
}

async fn get(edge: &Edge, key: &str, path: &str) -> anyhow::Result<Value> {
    answer(edge, Request::get(path).header("authorization", format!("Bearer {key}")).body(Body::empty())?).await
}

async fn upload(edge: &Edge, key: &str, bytes: Vec<u8>) -> anyhow::Result<String> {
    text(&send(edge, Some(key), "/v1/blobs", bytes.into()).await?, "hash")
}

/// A device of Ada's that has computed the job's first tiles, and is paid.
async fn write_receipt(edge: &Edge, known: &Known, job: &str, place: u8) -> anyhow::Result<()> {
    let device = DeviceId([place; 32]);
    let hello = Hello {
        protocol: PROTOCOL,
        device,
        signature: Signature([0; 64]),
        class: if place.is_multiple_of(2) { DeviceClass::Tab } else { DeviceClass::Native },
        name: format!("GPU {place}"),
        backend: Backend::Vulkan,
        software: false,
        buffer_bytes_max: 1 << 30,
        runs_kernels: true,
        checker: false,
        only_job: None,
        key: None,
        code: None,
    };
    let output = upload(edge, &known.keys[0], vec![place; 3 * 4 * 4]).await?;
    let receipt = Receipt {
        lease: LeaseId([place; 16]),
        job: job.parse()?,
        first_tile: 0,
        tiles: 3,
        root: TileHash([9; 32]),
        output: output.parse()?,
        program: "infer/1".to_owned(),
        backend: Backend::Vulkan,
        time: NOW,
    };
    let app = &edge.app;
    let mut tx = app.db.begin_write().await?;
    let slice = sqlx::query_as::<_, (String,)>("select slice_id from slice where job_id = $1");
    let (slice,) = slice.bind(job).fetch_one(&mut *tx).await?;
    store::devices::upsert_device(&mut tx, &hello, known.ids[0].parse()?, None, NOW).await?;
    store::presence::mark_present(&mut tx, &app.replica, device, NOW).await?;
    let (lease, job) = (receipt.lease, receipt.job);
    let new = NewReceipt { receipt, signature: Signature([7; 64]), slice: slice.parse()?, device };
    store::receipts::insert_pending_receipts(&mut tx, &[new], NOW).await?;
    let work = AcceptedWork {
        leases: 1,
        tiles: 3,
        kflop: 2000,
        earned: Credits::ZERO,
        flops_per_sec: 5_000_000_000,
        worked_flops_per_sec: 5_000_000_000,
    };
    store::devices::count_passed(&mut tx, &[(device, work)].into()).await?;
    let acceptance = Acceptance {
        lease,
        job,
        device,
        backend: wire::device::Backend::Vulkan,
        tiles: work.tiles,
        kflop: work.kflop,
        flops_left: 0,
        charge: Charge::default(),
        recomputed: 2,
        checked_by: wire::CheckedBy::Edge,
        rule: wire::CheckRule::Reference,
        matures_at: 0,
        now: 1,
    };
    ensure!(store::receipts::accept_receipts(&mut tx, &[acceptance]).await?, "a receipt should be accepted");
    store::receipts::mature_receipts_of_job(&mut tx, job).await?;
    Ok(tx.commit().await?)
}
