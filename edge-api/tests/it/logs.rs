//! What the server writes down while strangers, customers and devices come: no key, no token and no code, whatever levels are
//! asked for.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::{Child, Command};
use wire::{FromDevice, LeaseGrant};

use crate::compile::SMALL;
use crate::device::Device;
use crate::until::until;

const TOKEN: &str = "an operators token";

/// A server of its own process, whose log is a file.
struct Server {
    _child: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Server {
    async fn start(format: &str) -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let child = Command::new(env!("CARGO_BIN_EXE_edge-api"))
            .env_clear()
            .env("TESSERA_LOG", "trace")
            .args(["--listen", "127.0.0.1:0", "--public-url", "http://tessera.test", "--development"])
            .args(["--database-url", &format!("sqlite://{}?mode=rwc", at("test.db")), "--blobs", &at("blobs")])
            .args(["--site", &at("site"), "--metrics-token", TOKEN, "--log-format", format, "--challenge-seconds", "0"])
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let address = until("the server listens", Duration::from_secs(30), async || {
            let log = read(folder.path());
            let line = log.lines().find(|line| line.contains("listening"))?;
            let digits = line.split("127.0.0.1:").nth(1)?;
            let port = digits.split(|letter: char| !letter.is_ascii_digit()).next()?;
            format!("127.0.0.1:{port}").parse().ok()
        })
        .await;
        Self { _child: child, address, folder }
    }

    fn log(&self) -> String {
        read(self.folder.path())
    }

    async fn post(&self, path: &str, key: &str, body: Value) -> reqwest::Response {
        let request = client().post(format!("http://{}{path}", self.address)).bearer_auth(key);
        request.json(&body).send().await.unwrap()
    }

    async fn blob(&self, key: &str, bytes: Vec<u8>) -> Value {
        let request = client().post(format!("http://{}/v1/blobs", self.address)).bearer_auth(key).body(bytes);
        request.send().await.unwrap().json::<Value>().await.unwrap()["hash"].clone()
    }

    async fn get(&self, path: &str, header: (&str, &str)) -> u16 {
        let request = client().get(format!("http://{}{path}", self.address)).header(header.0, header.1);
        request.send().await.unwrap().status().as_u16()
    }

    async fn lease(&self, device: &mut Device, key: &str) -> LeaseGrant {
        let (kernel, input) = (self.blob(key, SMALL.into()).await, self.blob(key, vec![0; 256]).await);
        let program = json!({ "kind": "map", "kernel": kernel, "input": input, "record_bytes": 4, "out_bytes": 4 });
        let order = json!({ "program": program, "name": "x", "privacy": "own" });
        assert_eq!(self.post("/v1/jobs", key, order).await.status(), 201);
        device.take_lease().await
    }
}

fn read(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap()
}

fn client() -> reqwest::Client {
    edge_api::http::install_tls();
    reqwest::Client::new()
}

/// Everything that opens something, as it went over the wire, and the server's log of it.
async fn journey(format: &str) -> (Vec<String>, String) {
    let server = Server::start(format).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let key =
        text(&server.post("/v1/accounts", "", json!({ "name": "Ada" })).await.json::<Value>().await.unwrap()["key"]);
    let session = server.post("/v1/sessions", &key, json!(null)).await;
    let cookie = session.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let more = server.post("/v1/account/keys", &key, json!({ "name": "worker" })).await.json::<Value>().await.unwrap();
    let code = server.post("/v1/device-codes", &key, json!({})).await.json::<Value>().await.unwrap();
    let (more, code) = (text(&more["secret"]), text(&code["code"]));
    let wrong = "a key that is nobodys".to_owned();
    assert_eq!(server.get("/v1/account", ("authorization", &format!("Bearer {wrong}"))).await, 401);
    assert_eq!(server.get("/v1/account", ("cookie", &cookie)).await, 200);
    assert_eq!(server.get("/account", ("cookie", &cookie)).await, 200);
    assert_eq!(server.get("/metrics", ("authorization", &format!("Bearer {TOKEN}"))).await, 200);

    let with_code = Device::connect(server.address, 2, |hello| hello.code = Some(code.clone())).await;
    assert!(with_code.is_ok());
    let mut device = Device::connect(server.address, 1, |hello| hello.key = Some(more.clone())).await.unwrap();
    let lease = server.lease(&mut device, &key).await;
    assert_eq!(server.get(&format!("/v1/leases/{}/input", lease.token), ("accept", "*/*")).await, 200);
    device.send(&FromDevice::Return { lease: lease.lease }).await;
    assert_eq!(server.get("/v1/leases/a-token-that-opens-nothing/input", ("accept", "*/*")).await, 404);
    let session = cookie.split_once('=').unwrap().1.to_owned();
    let secrets =
        vec![key, session, more, code, wrong, lease.token, TOKEN.to_owned(), "a-token-that-opens-nothing".to_owned()];
    (secrets, server.log())
}

#[tokio::test]
async fn no_secret_is_written_down_at_any_level() {
    let (secrets, log) = journey("text").await;

    assert!(log.contains("/v1/leases/{token}/input"), "requests are written down by their route");
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_log_as_json_has_an_object_a_line_and_no_secret_either() {
    let (secrets, log) = journey("json").await;

    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    assert!(lines.len() > 10);
    for line in &lines {
        for field in ["timestamp", "level", "target"] {
            assert!(line[field].is_string(), "{line}");
        }
    }
    assert!(secrets.iter().all(|secret| !log.contains(secret.as_str())));
}

#[tokio::test]
async fn a_server_whose_log_lies_on_a_full_disk_goes_on() {
    let folder = tempfile::TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Whatever is written there fails as on a full disk.
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_edge-api"))
        .env_clear()
        .args(["--listen", &address.to_string(), "--development", "--site", &at("site")])
        .args(["--database-url", &format!("sqlite://{}?mode=rwc", at("test.db")), "--blobs", &at("blobs")])
        .stdout(Stdio::null())
        .stderr(full)
        .kill_on_drop(true)
        .spawn()
        .unwrap();

    let answer = until("the server answers", Duration::from_secs(30), async || {
        assert_eq!(child.try_wait().unwrap(), None, "it ended");
        client().get(format!("http://{address}/v1/ready")).send().await.ok()
    })
    .await;

    assert_eq!(answer.status(), 200);
}
