//! Everybody who asks, with all that they have to show, and what the owner has that they ask for.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request};
use edge_api::config::Config;
use edge_api::server::{Patience, router};
use serde_json::{Value, json};
use wire::device::LeaseGrant;
use wire::{BlobHash, DeviceId, FromDevice, LeaseId};

use crate::app::{Answer, Customer, TestApp};
use crate::device::{self, Device, zeros};
use crate::explorer::{hello, settled};

/// The checker's seed.
pub(crate) const CHECKER: u8 = 9;
const BUNDLE: &str = "main.css";
const DOWNLOAD: &str = "tessera-worker-linux-x86_64";
/// What the owner calls the job: nothing else is called so.
pub(crate) const NAME: &str = "Unmistakable";
const ORIGIN: &str = "http://tessera.test";
const KERNEL: &str = "@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<u32>;
@group(0) @binding(2) var<uniform> params: vec4u;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) { result[id.x] = source[id.x] * params.x; }
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Nobody,
    /// Another account, by its key and by its browser's session.
    Stranger,
    /// By the key.
    Owner,
    /// The owner's browser, as the portal asks.
    Session,
    /// Who holds the token of a lease of the owner's jobs.
    Device,
    /// The operator's device that recomputes a lease, by the token that it was given for that.
    Checker,
    /// An account that the operator has verified, by its key and by its browser's session.
    Operator,
}

impl Caller {
    pub(crate) const ALL: [Self; 7] =
        [Self::Nobody, Self::Stranger, Self::Owner, Self::Session, Self::Device, Self::Checker, Self::Operator];

    pub(crate) fn is_owner(self) -> bool {
        matches!(self, Self::Owner | Self::Session)
    }
}

/// Files to serve, and an operator's checker.
pub(crate) fn prepare(config: &mut Config) {
    let downloads = config.site.with_file_name("downloads");
    for (folder, file) in [(&config.site, BUNDLE), (&downloads, DOWNLOAD)] {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(file), file).unwrap();
    }
    config.downloads = Some(downloads);
    config.checkers = vec![device::id(CHECKER)];
}

/// A device's lease of each of the owner's jobs, and the checker's.
struct Leases {
    of_kernel: LeaseGrant,
    of_model: LeaseGrant,
    checked: LeaseGrant,
    /// They hold their leases while they are connected.
    _devices: [Device; 3],
}

pub(crate) struct World<'a> {
    pub(crate) app: &'a TestApp,
    router: Router,
    pub(crate) owner: Customer<'a>,
    pub(crate) stranger: Customer<'a>,
    operator: Customer<'a>,
    /// What the owner asked for, as a request asks for it.
    order: Value,
    pub(crate) blob: BlobHash,
    pub(crate) job: String,
    /// Another one, to cancel.
    spare: String,
    leases: Leases,
}

pub(crate) fn job_id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap_or_else(|| panic!("no job: {}", answer.json())).to_owned()
}

/// An order of a kernel with parameters over a thousand records.
pub(crate) async fn kernel_order(owner: &Customer<'_>) -> Value {
    let (kernel, input) = (owner.blob(KERNEL.into()).await, owner.blob(vec![0; 4000]).await);
    let params = owner.blob(vec![0; 16]).await;
    let program = json!({
        "kind": "map", "kernel": kernel, "input": input, "params": params,
        "record_bytes": 4, "out_bytes": 4, "fuel": 100,
    });
    json!({ "program": program, "name": "Kernel" })
}

impl<'a> World<'a> {
    /// Both jobs run and are private; of the model's a receipt is settled.
    pub(crate) async fn new(app: &'a TestApp) -> Self {
        let owner = app.customer("Ada").await;
        let (stranger, operator) = (app.customer("Bob").await, app.customer("Olga").await);
        let account = operator.account().await;
        let mut tx = app.app.db.begin_write().await.unwrap();
        assert!(store::accounts::verify_account(&mut tx, account).await.unwrap());
        tx.commit().await.unwrap();

        let address = app.listen(Patience::default()).await;
        let mut checker = Device::connect(address, CHECKER, |hello| hello.checker = true).await.unwrap();
        checker.send(&FromDevice::Ready).await;
        owner.submit(&kernel_order(&owner).await, "kernel").await;
        let mut device = Device::connect(address, 1, |_| {}).await.unwrap();
        let of_kernel = device.take_lease().await;
        device.commit_zeros(app, &of_kernel).await;
        let checked = checker.lease().await;
        let mut order = owner.digits().await;
        order["name"] = json!(NAME);
        let job = job_id(&owner.submit(&order, "model").await);
        let mut other = Device::connect(address, 2, |hello| hello.runs_kernels = false).await.unwrap();
        let of_model = other.take_lease().await;
        settled(app, &owner, &job, 1, 10).await;
        let spare = job_id(&owner.submit(&order, "spare").await);
        Self {
            app,
            router: router(&app.app),
            blob: order["program"]["input"].as_str().unwrap().parse().unwrap(),
            owner,
            stranger,
            operator,
            order,
            job,
            spare,
            leases: Leases { of_kernel, of_model, checked, _devices: [checker, device, other] },
        }
    }

    /// An address of the tables for a caller: with the owner's ids, and the caller's own token where there is one.
    pub(crate) async fn target(&self, caller: Caller, path: &str) -> String {
        let token = match self.lease(caller, path) {
            Some(lease) => lease.token.clone(),
            // What the device's token says, with a seal that is not the server's.
            None => format!("{}.{}", self.leases.of_kernel.token.split_once('.').unwrap().0, "A".repeat(43)),
        };
        let file = if path.starts_with("/pkg") { BUNDLE } else { DOWNLOAD };
        let target = path.replace("{id}", &self.id(path).await).replace("{hash}", &self.blob.to_string());
        let target = target.replace("{token}", &token).replace("{file}", file).replace("{slug}", "get-started");
        target + &self.query(path)
    }

    /// What a route wants to know besides its path.
    fn query(&self, path: &str) -> String {
        let tile = if path.contains("/sample") { "&tile=0" } else { "" };
        match path.rsplit('/').next().unwrap_or_default() {
            "search" => format!("?q={}", &self.job[..8]),
            "result" => "?partial=true".to_owned(),
            "plan" | "weights" => format!("?rows=1{tile}"),
            "sample" => "?tile=0".to_owned(),
            "input" | "output" if !tile.is_empty() => "?tile=0".to_owned(),
            _ => String::new(),
        }
    }

    /// Of the device's two leases and of the checker's.
    pub(crate) fn tokens(&self) -> [&str; 3] {
        let Leases { of_kernel, of_model, checked, .. } = &self.leases;
        [&of_kernel.token, &of_model.token, &checked.token]
    }

    async fn id(&self, path: &str) -> String {
        match path {
            "/v1/account/keys/{id}" => {
                let made = self.owner.post("/v1/account/keys", &json!({ "name": "spare" })).await;
                made.json()["key"]["id"].as_str().unwrap().to_owned()
            }
            // One that is there to be unlinked.
            "/v1/devices/{id}" => {
                let (account, now) = (self.owner.account().await, self.app.app.clock.now());
                let mut tx = self.app.app.db.begin_write().await.unwrap();
                store::devices::upsert_device(&mut tx, &hello(77), account, None, now).await.unwrap();
                tx.commit().await.unwrap();
                DeviceId([77; 32]).to_string()
            }
            "/v1/jobs/{id}/cancel" => self.spare.clone(),
            _ if path.contains("/devices/") => DeviceId([1; 32]).to_string(),
            _ if path.contains("/receipts/") => LeaseId([10; 16]).to_string(),
            _ => self.job.clone(),
        }
    }

    fn lease(&self, caller: Caller, path: &str) -> Option<&LeaseGrant> {
        let is_of_model = path.ends_with("/plan") || path.ends_with("/weights");
        match caller {
            Caller::Device if is_of_model => Some(&self.leases.of_model),
            Caller::Device => Some(&self.leases.of_kernel),
            Caller::Checker => Some(&self.leases.checked),
            Caller::Nobody | Caller::Stranger | Caller::Owner | Caller::Session | Caller::Operator => None,
        }
    }

    /// What a request of the route carries when it is meant well.
    fn body(&self, caller: Caller, method: &str, path: &str) -> Option<Body> {
        let body = match (method, path) {
            ("POST", "/v1/accounts" | "/v1/account/keys") => json!({ "name": "Eve" }),
            ("POST", "/v1/quotes" | "/v1/trials") => json!({ "program": self.order["program"] }),
            ("POST", "/v1/jobs") => self.order.clone(),
            ("POST", "/v1/arrays") => {
                json!({ "file": self.order["program"]["input"], "model": self.order["program"]["model"] })
            }
            ("POST", "/v1/models/check") => json!({ "model": self.order["program"]["model"] }),
            ("POST", "/v1/kernels/check") => json!({ "kernel": KERNEL, "record_bytes": 4, "out_bytes": 4 }),
            ("POST", "/v1/blobs") => return Some(Body::from("x")),
            ("PUT", _) => {
                let lease = self.lease(caller, path).unwrap_or(&self.leases.of_kernel);
                return Some(Body::from(zeros(lease)));
            }
            _ => return None,
        };
        Some(Body::from(body.to_string()))
    }

    /// A request with everything that the caller has to show. Sessions are fresh: some routes end them.
    pub(crate) async fn request(&self, caller: Caller, method: &str, path: &str, target: &str) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(target).header("host", "tessera.test");
        let body = self.body(caller, method, path);
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let (key, cookie) = match caller {
            Caller::Nobody => (None, None),
            Caller::Stranger => (Some(self.stranger.key.clone()), Some(self.stranger.sign_in().await)),
            Caller::Owner => (Some(self.owner.key.clone()), None),
            Caller::Session => (None, Some(self.owner.sign_in().await)),
            Caller::Operator => (Some(self.operator.key.clone()), Some(self.operator.sign_in().await)),
            Caller::Device | Caller::Checker => {
                let token = self.lease(caller, path).map(|lease| lease.token.clone()).unwrap();
                (Some(token.clone()), Some(format!("tessera_session={token}")))
            }
        };
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie).header("origin", ORIGIN);
        }
        request.body(body.unwrap_or_default()).unwrap()
    }

    /// What a caller is answered at an address of the tables.
    pub(crate) async fn ask(&self, caller: Caller, method: &str, path: &str) -> Answer {
        let target = self.target(caller, path).await;
        let request = self.request(caller, method, path, &target).await;
        self.send(request).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        self.app.send_to(self.router.clone(), request).await
    }

    /// The owner's browser, on a page of that origin.
    pub(crate) async fn ask_from(&self, origin: Option<&str>, method: &str, path: &str) -> Answer {
        let target = self.target(Caller::Session, path).await;
        let mut request = self.request(Caller::Session, method, path, &target).await;
        match origin {
            Some(origin) => request.headers_mut().insert("origin", HeaderValue::from_str(origin).unwrap()),
            None => request.headers_mut().remove("origin"),
        };
        self.send(request).await
    }
}
