//! The edge and its native workers as processes of their own, on free ports and in a folder of
//! their own. What was started is stopped when the stack is dropped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use client::Client;
use store::standings::WorkClass;
use tempfile::TempDir;
use wire::device::{Backend, DeviceClass, PROTOCOL};
use wire::explorer::PublicDevicePage;
use wire::{BlobHash, DeviceId, FromDevice, Hello, Infer, NewAccount, Program, Signature, SubmitJob, ToDevice};
use worker::identity::Identity;

use crate::digits;
use crate::edge::{Edge, Trial, kill};
pub use crate::postgres::free_port;
use crate::scripted::{self, Scripted};
use crate::until::until;
use crate::watchdog::Watchdog;

const START_WITHIN: Duration = Duration::from_mins(2);
/// Between two looks at whether a child still runs.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub struct Stack {
    folder: TempDir,
    /// The database, by the direct way.
    database_url: String,
    /// Ids of the devices that the edge trusts to recompute.
    checkers: Vec<String>,
    /// Seconds in each of which all devices are challenged once.
    challenge_seconds: u32,
    /// Whose word is taken for where others connect from.
    trusted_proxies: Vec<&'static str>,
    trial: Trial,
    /// Where blobs are kept, if not in the folder.
    bucket: Option<Bucket>,
    /// The edge, and further ones over the same database and blobs.
    edges: Vec<Edge>,
    /// Each by the name of its log.
    workers: Vec<(String, Child)>,
    _watchdog: Option<Watchdog>,
}

/// A bucket for blobs.
#[derive(Clone, Debug)]
pub struct Bucket {
    pub address: String,
    /// Its endpoint and keys.
    pub variables: Vec<(&'static str, String)>,
    /// From how many bytes on owners fetch blobs there.
    pub redirect_bytes: u64,
}

async fn connect(url: &str) -> sqlx::Result<sqlx::AnyPool> {
    sqlx::any::install_default_drivers();
    sqlx::any::AnyPoolOptions::new().max_connections(1).connect(url).await
}

/// A program of this workspace, built beside this one.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a program should know where it is");
    let folder = own.ancestors().find(|folder| folder.join(name).is_file() && *folder != own);
    folder.unwrap_or_else(|| panic!("'{name}' is not built: run make build")).join(name)
}

/// The folder that Trunk builds into.
fn site() -> PathBuf {
    crate::folder().join("../target/site")
}

impl Stack {
    /// A development server with nothing in it and no device.
    pub async fn start() -> Self {
        Self::start_on(free_port()).await
    }

    pub async fn start_on(port: u16) -> Self {
        Self::start_in(port, Trial::default()).await
    }

    pub async fn start_in(port: u16, trial: Trial) -> Self {
        let folder = TempDir::new().expect("a temporary folder should be made");
        let database_url = format!("sqlite://{}?mode=rwc", folder.path().join("tessera.db").display());
        let mut stack = Self::over(folder, database_url.clone(), trial);
        stack.add_edge(port, &database_url);
        stack.start_edge().await;
        stack
    }

    /// The same over a fresh `PostgreSQL` database.
    pub async fn start_on_postgres() -> Self {
        let server = tokio::task::spawn_blocking(crate::postgres::server_url).await.expect("PostgreSQL should start");
        Self::start_on_cluster(&server).await
    }

    /// The same over a fresh database of this server.
    pub async fn start_on_cluster(server: &str) -> Self {
        let mut stack = Self::over_cluster(server, Trial::default()).await;
        let database_url = stack.database_url.clone();
        stack.start_edge_over(&database_url).await;
        stack
    }

    /// The same without any edge yet.
    pub async fn over_cluster(server: &str, trial: Trial) -> Self {
        let mut name = [0; 16];
        getrandom::fill(&mut name).expect("the system should have randomness");
        let name = format!("journey_{}", wire::Nonce(name));
        let admin = connect(&format!("{server}/postgres")).await.expect("PostgreSQL should answer");
        let create = sqlx::AssertSqlSafe(format!("create database {name}"));
        sqlx::query(create).execute(&admin).await.expect("a database should be made");
        let folder = TempDir::new().expect("a temporary folder should be made");
        Self::over(folder, format!("{server}/{name}"), trial)
    }

    fn over(folder: TempDir, database_url: String, trial: Trial) -> Self {
        client::install_tls();
        let watchdog = Watchdog::start(folder.path().join("edge.log"));
        Self {
            folder,
            database_url,
            checkers: Vec::new(),
            challenge_seconds: 0,
            trusted_proxies: Vec::new(),
            trial,
            bucket: None,
            edges: Vec::new(),
            workers: Vec::new(),
            _watchdog: watchdog,
        }
    }

    /// Has the edge trust a checker, and starts that one.
    pub async fn add_checker(&mut self) {
        let name = format!("checker-{}", self.checkers.len());
        self.trust(self.worker_id(&name).to_string()).await;
        self.start_worker(&name, &["--checker", "--backend", "auto"]);
    }

    /// A checker of the operator's that a test scripts, with buffers of so many bytes. It is ready to be asked.
    pub async fn scripted_checker(&mut self, buffer_bytes_max: u64) -> Scripted {
        let identity = scripted::identity();
        self.trust(identity.device().to_string()).await;
        self.join_checker(identity, buffer_bytes_max).await
    }

    /// The same, trusted before.
    pub async fn join_checker(&self, identity: Identity, buffer_bytes_max: u64) -> Scripted {
        let (mut checker, nonce) = Scripted::open(&self.url(), identity).await.expect("the edge should take a socket");
        let hello = checker.signed(nonce, Hello { checker: true, buffer_bytes_max, ..checker.hello(nonce) });
        checker.say(&FromDevice::Hello(Box::new(hello))).await.expect("the socket should take a hello");
        let heard = checker.hear().await.expect("the edge should answer");
        assert!(matches!(heard, ToDevice::Welcome(_)), "{heard:?}");
        checker.say(&FromDevice::Ready).await.expect("the socket should take a frame");
        checker
    }

    /// Has the edge trust a device as its checker.
    pub async fn trust(&mut self, id: String) {
        self.kill_edge();
        self.checkers.push(id);
        self.start_edge().await;
    }

    /// Has the edge challenge all devices once in every so many seconds.
    pub async fn challenge_every(&mut self, seconds: u32) {
        self.kill_edge();
        self.challenge_seconds = seconds;
        self.start_edge().await;
    }

    /// Has the edge believe this machine where others connect from.
    pub async fn trust_proxy(&mut self) {
        self.kill_edge();
        self.trusted_proxies.push("127.0.0.1/32");
        self.start_edge().await;
    }

    /// Has the edge lend at most so many tiles at once.
    pub async fn lend_at_most(&mut self, tiles: u64) {
        self.kill_edge();
        self.trial.lease_tiles_max = Some(tiles);
        self.start_edge().await;
    }

    /// Has the edge keep its blobs in a bucket.
    pub async fn keep_blobs_in(&mut self, bucket: Bucket) {
        self.kill_edge();
        self.bucket = Some(bucket);
        self.start_edge().await;
    }

    pub fn url(&self) -> String {
        self.edges[0].url()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self, name: &str) -> Stdio {
        let file = std::fs::File::options().create(true).append(true).open(self.folder.path().join(name));
        file.map_or_else(|_unwritable| Stdio::null(), Stdio::from)
    }

    /// Starts the edge over what is in the folder, and waits until it answers.
    pub async fn start_edge(&mut self) {
        self.start_replica(0).await;
    }

    /// The same of any edge, counted in the order in which they were added.
    pub async fn start_replica(&mut self, which: usize) {
        self.launch_replica(which);
        self.replica_answers(which).await;
    }

    /// Starts it, and waits for nothing.
    pub fn launch_replica(&mut self, which: usize) {
        let child = self.edge_command(&self.edges[which]).spawn().expect("the edge should start");
        self.edges[which].child = Some(child);
    }

    /// Waits until an edge answers; on a harsh trial it is started anew where it found no database.
    pub async fn replica_answers(&mut self, which: usize) {
        let health = format!("{}/v1/health", self.edges[which].url());
        until("the edge answers", START_WITHIN, async || {
            if self.trial.is_harsh && self.edges[which].ended().is_some() {
                self.launch_replica(which);
            }
            reqwest::get(&health).await.ok().filter(|answer| answer.status().is_success())
        })
        .await;
    }

    /// All edges, by the order in which they were added.
    pub fn edges(&mut self) -> &mut [Edge] {
        &mut self.edges
    }

    /// Starts another edge over the same database and blobs; returns its URL.
    pub async fn start_another_edge(&mut self) -> String {
        let database_url = self.database_url.clone();
        format!("http://127.0.0.1:{}", self.start_edge_over(&database_url).await)
    }

    /// The same, with this way to the database; returns its port.
    pub async fn start_edge_over(&mut self, database_url: &str) -> u16 {
        let port = free_port();
        self.add_edge(port, database_url);
        self.start_replica(self.edges.len() - 1).await;
        port
    }

    fn add_edge(&mut self, port: u16, database_url: &str) {
        let clock = self.folder.path().join(format!("clock-{port}"));
        self.edges.push(Edge { port, database_url: database_url.to_owned(), clock, child: None });
    }

    pub fn port(&self) -> u16 {
        self.edges[0].port
    }

    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    fn edge_command(&self, edge: &Edge) -> Command {
        let mut command = self.trial.command(&program("edge-api"), edge);
        match &self.bucket {
            None => command.arg("--blobs").arg(self.folder.path().join("blobs")),
            Some(Bucket { address, variables, redirect_bytes }) => command
                .args(["--blobs", address, "--blob-redirect-bytes", &redirect_bytes.to_string()])
                .envs(variables.iter().map(|(name, value)| (name, value))),
        };
        command
            .args(["--development", "--listen", &format!("127.0.0.1:{}", edge.port)])
            .args(["--database-url", &edge.database_url])
            .args(["--public-url", &edge.url(), "--challenge-seconds", &self.challenge_seconds.to_string()])
            .args(self.checkers.iter().flat_map(|id| ["--checker", id]))
            .args(self.trusted_proxies.iter().flat_map(|proxy| ["--trusted-proxy", proxy]))
            .arg("--site")
            .arg(site())
            .stdout(Stdio::null())
            .stderr(self.log("edge.log"));
        command
    }

    /// SIGSTOP: it sleeps, and knows nothing of it.
    pub fn pause_edge(&self) {
        self.signal_edge("-STOP");
    }

    /// SIGCONT.
    pub fn wake_edge(&self) {
        self.signal_edge("-CONT");
    }

    fn signal_edge(&self, signal: &str) {
        self.edges[0].signal(signal);
    }

    /// Sends a signal to one of the edges that were started besides, counted in their order.
    pub fn signal_other(&self, which: usize, signal: &str) {
        self.edges[which + 1].signal(signal);
    }

    /// Asks the edge to stop, and waits until it has.
    pub async fn stop_edge(&mut self) -> ExitStatus {
        self.signal_edge("-TERM");
        let mut edge = self.edges[0].child.take().expect("the edge should run");
        until("the edge ends", START_WITHIN, async || edge.try_wait().ok().flatten()).await
    }

    /// The edge's process.
    pub fn edge_pid(&self) -> u32 {
        self.edges[0].pid().expect("the edge should run")
    }

    /// SIGKILL: nothing is finished, nothing is written.
    pub fn kill_edge(&mut self) {
        self.edges[0].kill();
    }

    /// A native worker with a device key of its own.
    pub fn start_worker(&mut self, name: &str, arguments: &[&str]) {
        self.start_worker_at(&self.url(), name, arguments);
    }

    /// The same at another edge.
    pub fn start_worker_at(&mut self, url: &str, name: &str, arguments: &[&str]) {
        // Tests are of GPUs, even where only a software adapter stands for one.
        let backend = if arguments.contains(&"--backend") { &[][..] } else { &["--backend", "gpu"] };
        let child = Command::new(program("tessera-worker"))
            .args(["run", "--url", url, "--device-key-file"])
            .arg(self.folder.path().join(format!("{name}.key")))
            .args(backend)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(self.log(&format!("{name}.log")))
            .spawn()
            .expect("the worker should start");
        self.workers.push((name.to_owned(), child));
    }

    /// The id of a worker that is started under this name.
    pub fn worker_id(&self, name: &str) -> DeviceId {
        let id = Command::new(program("tessera-worker"))
            .args(["id", "--device-key-file"])
            .arg(self.folder.path().join(format!("{name}.key")))
            .output()
            .expect("a worker should tell its id");
        String::from_utf8_lossy(&id.stdout).trim().parse().expect("a worker's id should be one")
    }

    /// Waits until a device is connected.
    pub async fn is_here(&self, device: DeviceId) {
        let page = format!("{}/v1/public/devices/{device}", self.url());
        until("the device is connected", START_WITHIN, async || {
            let page: PublicDevicePage = reqwest::get(&page).await.ok()?.json().await.ok()?;
            page.device.online.then_some(())
        })
        .await;
    }

    /// A native worker of an account of its own whose word counts: others have verified its work for days.
    pub async fn start_established_worker(&mut self, name: &str) {
        let key = self.establish(self.worker_id(name)).await;
        self.start_worker(name, &["--key", &key]);
    }

    /// The same for a device that a test scripts. It has not said that it is ready.
    pub async fn established(&self) -> Scripted {
        self.established_at("127.0.0.1").await
    }

    /// The same at an address that a trusted proxy names.
    pub async fn established_at(&self, address: &str) -> Scripted {
        let (client, key) = self.customer().await.expect("an account should open");
        self.established_of(&client, &key, address).await
    }

    /// The same of an account that has others.
    pub async fn established_of(&self, client: &Client, key: &str, address: &str) -> Scripted {
        let identity = scripted::identity();
        // Before the socket, which waits only so long for a hello.
        self.vouch_for(client, identity.device()).await;
        let opened = Scripted::open_from(address, &self.url(), identity).await;
        let (mut device, nonce) = opened.expect("the edge should take a socket");
        let key = Some(key.to_owned());
        let hello = FromDevice::Hello(Box::new(device.signed(nonce, Hello { key, ..device.hello(nonce) })));
        device.say(&hello).await.expect("the socket should take a hello");
        let heard = device.hear().await.expect("the edge should answer");
        assert!(matches!(heard, ToDevice::Welcome(_)), "{heard:?}");
        device
    }

    /// Puts a device on record as one that others have verified for days; returns the key of its account.
    async fn establish(&self, device: DeviceId) -> String {
        let (client, key) = self.customer().await.expect("an account should open");
        self.vouch_for(&client, device).await;
        key
    }

    async fn vouch_for(&self, client: &Client, device: DeviceId) {
        let account = client.account().await.expect("an account should be readable").id;
        let hello = Hello {
            protocol: PROTOCOL,
            device,
            signature: Signature([0; 64]),
            class: DeviceClass::Native,
            name: String::new(),
            backend: Backend::Vulkan,
            software: true,
            buffer_bytes_max: 0,
            runs_kernels: true,
            checker: false,
            only_job: None,
            key: None,
            code: None,
        };
        let database = self.database().await;
        let mut conn = database.acquire().await.expect("the database should answer");
        store::devices::upsert_device(&mut conn, &hello, account, None, 0).await.expect("a device should be written");
        for program in ["infer", "map"] {
            let class = WorkClass { device, program: program.to_owned() };
            let written = store::standings::add_verified(&mut conn, &[(class, 1_000_000_000)].into()).await;
            written.expect("a standing should be written");
        }
    }

    /// Whether a device was paid for computing again what others did, or is owed that.
    pub async fn is_paid_judge(&self, device: DeviceId) -> bool {
        self.row::<(i64,)>("select owed_attos from device where device_id = $1", device).await.0 > 0
    }

    /// SIGKILL to every native worker.
    pub fn kill_workers(&mut self) {
        self.workers.iter_mut().for_each(|(_, worker)| kill(worker));
        self.workers.clear();
    }

    /// Waits until the edge ends by itself, and says how. Each worker that ends before is told once.
    pub async fn edge_ends(&mut self, mut on_worker_end: impl FnMut(&str, ExitStatus)) -> ExitStatus {
        let ended = |child: &mut Child| child.try_wait().ok().flatten();
        loop {
            if let Some(status) = self.edges[0].ended() {
                return status;
            }
            self.workers.retain_mut(|(name, worker)| match ended(worker) {
                Some(status) => {
                    on_worker_end(name, status);
                    false
                }
                None => true,
            });
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The last lines of a log, newest first.
    pub fn log_tail(&self, name: &str, lines: usize) -> String {
        let log = std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        log.lines().rev().take(lines).collect::<Vec<_>>().join("\n")
    }

    /// A fresh account's client, and its key.
    pub async fn customer(&self) -> anyhow::Result<(Client, String)> {
        let opened = Client::open_account(&self.url(), &NewAccount { name: "Ada".to_owned() }).await?;
        Ok((Client::new(&self.url(), &opened.key)?, opened.key))
    }

    /// A browser session's token for an account's key.
    pub async fn session(&self, key: &str) -> anyhow::Result<String> {
        let request = reqwest::Client::new().post(format!("{}/v1/sessions", self.url())).bearer_auth(key);
        let answer = request.send().await?.error_for_status()?;
        let cookie = answer.headers().get("set-cookie").context("a session should come as a cookie")?.to_str()?;
        let token = cookie.split(['=', ';']).nth(1).context("a cookie should have a value")?;
        Ok(token.to_owned())
    }

    /// Submits the digits `times` over, with `tile_rows` rows a tile or as the edge chooses.
    pub async fn submit_digits(
        &self,
        client: &Client,
        times: usize,
        tile_rows: Option<u32>,
    ) -> anyhow::Result<wire::Job> {
        let request = self.digits_order(client, times, tile_rows).await?;
        let mut key = [0; 16];
        getrandom::fill(&mut key).context("the system should have randomness")?;
        Ok(client.submit(&request, &wire::Nonce(key).to_string()).await?)
    }

    /// What [`Self::submit_digits`] submits, with its files uploaded.
    pub async fn digits_order(
        &self,
        client: &Client,
        times: usize,
        tile_rows: Option<u32>,
    ) -> anyhow::Result<SubmitJob> {
        let (model, input) = self.upload_digits(client, times).await?;
        let program = Program::Infer(Infer { model, input: Some(input), inputs: BTreeMap::new(), tile_rows });
        let file_names = [("model", "digits.onnx"), ("input", "digits.npy")];
        let file_names = file_names.map(|(field, name)| (field.to_owned(), name.to_owned())).into();
        Ok(SubmitJob { name: "Digits".to_owned(), file_names, ..SubmitJob::new(program) })
    }

    async fn upload_digits(&self, client: &Client, times: usize) -> anyhow::Result<(BlobHash, BlobHash)> {
        let input = self.folder.path().join(format!("digits-{times}.npy"));
        std::fs::write(&input, digits::repeated(times))?;
        Ok((client.upload(&digits::file("digits.onnx")).await?.hash, client.upload(&input).await?.hash))
    }

    /// A connection to the edge's own database, to look at what it wrote.
    pub async fn database(&self) -> sqlx::AnyPool {
        self.try_database().await.expect("the database should open")
    }

    /// The same, of one that may be away.
    pub async fn try_database(&self) -> sqlx::Result<sqlx::AnyPool> {
        connect(&self.database_url).await
    }

    /// The one row that a statement finds by an id.
    pub async fn row<T>(&self, sql: &'static str, id: impl ToString) -> T
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::any::AnyRow> + Send + Unpin,
    {
        let row = sqlx::query_as(sql).bind(id.to_string()).fetch_one(&self.database().await).await;
        row.expect("a row should be found")
    }

    /// Loses a blob, as a disk may; returns what it was.
    pub fn lose_blob(&self, hash: BlobHash) -> Vec<u8> {
        let blob = self.blob(hash);
        let bytes = std::fs::read(&blob);
        std::fs::remove_file(&blob).unwrap_or_else(|error| panic!("{} should be there: {error}", blob.display()));
        bytes.expect("a blob should be readable")
    }

    /// Puts back a blob that was lost.
    pub fn restore_blob(&self, hash: BlobHash, bytes: &[u8]) {
        std::fs::write(self.blob(hash), bytes).expect("a blob should be writable");
    }

    /// Whether the edge has logged this.
    pub fn has_logged(&self, text: &str) -> bool {
        std::fs::read_to_string(self.folder.path().join("edge.log")).is_ok_and(|log| log.contains(text))
    }

    /// Changes a byte of a blob, as a disk may.
    pub fn damage_blob(&self, hash: BlobHash) {
        let blob = self.blob(hash);
        let mut bytes =
            std::fs::read(&blob).unwrap_or_else(|error| panic!("{} should be there: {error}", blob.display()));
        *bytes.last_mut().expect("a blob should have a byte") ^= 0x40;
        std::fs::write(&blob, bytes).unwrap_or_else(|error| panic!("{} should be writable: {error}", blob.display()));
    }

    fn blob(&self, hash: BlobHash) -> PathBuf {
        self.folder.path().join("blobs/blobs").join(hash.to_string())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.kill_workers();
        self.edges.iter_mut().for_each(Edge::kill);
        if std::thread::panicking() {
            for name in ["edge.log", "worker.log"] {
                eprintln!("--- {name}, newest first\n{}", self.log_tail(name, 30));
            }
        }
    }
}
