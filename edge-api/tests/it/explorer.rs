//! What everyone may read: as data, as pages, as tables, as pictures.

use axum::body::Body;
use axum::http::Request;
use edge_api::devices;
use rules::billing::bill::Charge;
use store::devices::{AcceptedWork, upsert_device};
use store::presence::mark_present;
use store::receipts::{Acceptance, NewReceipt, accept_receipts, insert_pending_receipts, mature_receipts_of_job};
use wire::device::DeviceClass;
use wire::{Credits, DeviceId, Hello, JobId, LeaseId, Receipt, Signature, TileHash};

use crate::app::{Answer, Customer, TestApp};
use crate::db_test;

impl TestApp {
    /// A page, or what else a browser would ask for.
    pub(crate) async fn page(&self, path: &str) -> Answer {
        let router = edge_api::server::router(&self.app);
        self.send_to(router, Request::get(path).body(Body::empty()).unwrap()).await
    }
}

pub(crate) fn hello(device: u8) -> Hello {
    Hello {
        protocol: wire::device::PROTOCOL,
        device: DeviceId([device; 32]),
        signature: Signature([0; 64]),
        class: if device.is_multiple_of(2) { DeviceClass::Tab } else { DeviceClass::Native },
        name: format!("=GPU {device}"),
        backend: wire::device::Backend::Vulkan,
        software: false,
        buffer_bytes_max: 1 << 30,
        runs_kernels: true,
        checker: false,
        only_job: None,
        key: None,
        code: None,
    }
}

/// A device of the customer's that has committed one lease of their job.
pub(crate) async fn committed(app: &TestApp, owner: &Customer<'_>, job: &str, device: u8, lease: u8) {
    let now = app.app.clock.now();
    let account = owner.get("/v1/account").await.json()["id"].as_str().unwrap().parse().unwrap();
    let job: JobId = job.parse().unwrap();
    let slice = app.first_slice(job).await;
    let output = owner.blob(vec![lease; 960]).await;
    let receipt = Receipt {
        lease: LeaseId([lease; 16]),
        job,
        first_tile: 0,
        tiles: 3,
        root: TileHash([9; 32]),
        output,
        program: "infer/1".to_owned(),
        backend: wire::device::Backend::Vulkan,
        time: now,
    };
    let mut tx = app.app.db.begin_write().await.unwrap();
    upsert_device(&mut tx, &hello(device), account, None, now).await.unwrap();
    mark_present(&mut tx, &app.app.replica, DeviceId([device; 32]), now).await.unwrap();
    let new = NewReceipt { receipt, signature: Signature([7; 64]), slice, device: DeviceId([device; 32]) };
    insert_pending_receipts(&mut tx, &[new], now).await.unwrap();
    tx.commit().await.unwrap();
}

/// And settled it.
pub(crate) async fn settled(app: &TestApp, owner: &Customer<'_>, job: &str, device: u8, lease: u8) {
    committed(app, owner, job, device, lease).await;
    let mut tx = app.app.db.begin_write().await.unwrap();
    let earned = Credits::from_micros(0);
    let work = AcceptedWork {
        leases: 1,
        tiles: 3,
        kflop: 2000 * u64::from(lease / 2),
        earned,
        flops_per_sec: 5_000_000_000,
        worked_flops_per_sec: 5_000_000_000,
    };
    store::devices::count_passed(&mut tx, &[(DeviceId([device; 32]), work)].into()).await.unwrap();
    let acceptance = Acceptance {
        lease: LeaseId([lease; 16]),
        job: job.parse().unwrap(),
        device: DeviceId([device; 32]),
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
    assert!(accept_receipts(&mut tx, &[acceptance]).await.unwrap());
    mature_receipts_of_job(&mut tx, job.parse().unwrap()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn submitted(owner: &Customer<'_>) -> String {
    owner.submit(&owner.digits().await, "a").await.json()["id"].as_str().unwrap().to_owned()
}

fn a_second_later(app: &TestApp) {
    app.time.fetch_add(1_000_000, std::sync::atomic::Ordering::Relaxed);
}

db_test! {
    async fn a_private_job_shows_in_sums_alone(app: TestApp) {
        let ada = app.customer("Ada").await;
        let job = submitted(&ada).await;
        settled(&app, &ada, &job, 1, 10).await;

        let receipts = app.get("/v1/public/receipts").await.json();
        let receipt = app.get(&format!("/v1/public/receipts/{}", LeaseId([10; 16]))).await.json();
        let overview = app.get("/v1/public/overview").await.json();

        assert_eq!(receipts["rows"][0]["tiles"], 3);
        assert_eq!(receipts["rows"][0]["recomputed_tiles"], 2);
        assert!(receipts["rows"][0].get("job").is_none(), "{receipts}");
        assert!(receipt.get("statement").is_none(), "{receipt}");
        assert_eq!(app.get("/v1/public/jobs").await.json()["rows"].as_array().unwrap().len(), 0);
        assert_eq!(app.get(&format!("/v1/public/jobs/{job}")).await.refusal(), "404 not_found");
        assert_eq!(app.get(&format!("/v1/public/jobs/{job}/sample")).await.refusal(), "404 not_found");
        assert_eq!(app.get(&format!("/v1/public/search?q={}", &job[..8])).await.json().as_array().unwrap().len(), 0);
        assert_eq!(overview["jobs_running"], 1);
        assert_eq!(overview["supply"][0]["devices"], 1);
        assert_eq!(overview["supply"][0]["flops_per_sec"], 5_000_000_000u64);
    }
}

db_test! {
    async fn a_published_job_shows_what_was_signed_until_it_is_taken_back(app: TestApp) {
        let ada = app.customer("Ada").await;
        let job = submitted(&ada).await;
        settled(&app, &ada, &job, 1, 10).await;
        a_second_later(&app);
        ada.post(&format!("/v1/jobs/{job}/publish"), &serde_json::json!(null)).await;

        let lease = LeaseId([10; 16]);
        let receipt = app.get(&format!("/v1/public/receipts/{lease}")).await.json();
        let hits = app.get(&format!("/v1/public/search?q={}", &job[..8])).await.json();
        let events = ada.get(&format!("/v1/jobs/{job}/detail")).await.json();

        assert_eq!(receipt["receipt"]["job"], job);
        assert_eq!(receipt["statement"]["receipt"]["root"], TileHash([9; 32]).to_string());
        assert_eq!(hits[0]["kind"], "job");
        let kinds: Vec<&str> =
            events["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["submitted", "published"]);
        assert_eq!(events["devices"][0]["tiles"], 3);
        assert_eq!(app.page(&format!("/explorer/jobs/{job}")).await.status.as_u16(), 200);
        ada.post(&format!("/v1/jobs/{job}/unpublish"), &serde_json::json!(null)).await;
        assert_eq!(app.page(&format!("/explorer/jobs/{job}")).await.status.as_u16(), 404);
        assert!(app.get(&format!("/v1/public/receipts/{lease}")).await.json().get("statement").is_none());
    }
}

db_test! {
    async fn lists_go_on_where_they_ended_without_gap_or_repetition(app: TestApp) {
        let ada = app.customer("Ada").await;
        let job = submitted(&ada).await;
        for device in 1..=7 {
            settled(&app, &ada, &job, device, 10 + device).await;
        }

        for list in ["devices?", "receipts?", "devices?class=tab&"] {
            let whole = app.get(&format!("/v1/public/{list}limit=100")).await.json();
            let (mut rows, mut after) = (Vec::new(), String::new());
            loop {
                let page = app.get(&format!("/v1/public/{list}limit=2{after}")).await.json();
                rows.extend(page["rows"].as_array().unwrap().clone());
                match page["next"].as_str() {
                    Some(next) => after = format!("&after={next}"),
                    None => break,
                }
            }
            assert_eq!(&rows, whole["rows"].as_array().unwrap(), "{list}");
        }
        let tabs = app.get("/v1/public/devices?class=tab").await.json();
        assert_eq!(tabs["rows"].as_array().unwrap().len(), 3);
    }
}

db_test! {
    async fn a_guests_earnings_go_with_its_device_to_the_account_that_links_it(app: TestApp) {
        let ada = app.customer("Ada").await;
        let code = ada.post("/v1/device-codes", &serde_json::json!(null)).await.json();
        let hash = edge_api::auth::hash_secret(code["code"].as_str().unwrap());
        let now = app.app.clock.now();

        let mut tx = app.app.db.begin_write().await.unwrap();
        let first = store::devices::take_device_code(&mut tx, &hash, now).await.unwrap();
        let second = store::devices::take_device_code(&mut tx, &hash, now).await.unwrap();
        tx.commit().await.unwrap();

        let account = ada.get("/v1/account").await.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(first.map(|account| account.to_string()), Some(account));
        assert_eq!(second, None, "a code works once");
        let late = ada.post("/v1/device-codes", &serde_json::json!(null)).await.json();
        let hash = edge_api::auth::hash_secret(late["code"].as_str().unwrap());
        let mut tx = app.app.db.begin_write().await.unwrap();
        assert_eq!(store::devices::take_device_code(&mut tx, &hash, now + 16 * 60 * 1_000_000).await.unwrap(), None);
    }
}

db_test! {
    async fn time_online_and_work_done_are_summed_by_day_and_by_period(app: TestApp) {
        let ada = app.customer("Ada").await;
        let job = submitted(&ada).await;
        settled(&app, &ada, &job, 1, 10).await;
        let now = app.app.clock.now();

        let sample = devices::presence::UptimeSample {
            device: DeviceId([1; 32]),
            is_awake: true,
            speed: 2_000_000,
            since: now - 30_000_000,
            busy: 6_000_000,
        };
        devices::presence::record_departure(&app.app, sample, now).await.unwrap();
        devices::presence::record_uptime(&app.app, now).await.unwrap();

        let page = app.get(&format!("/v1/public/devices/{}", DeviceId([1; 32]))).await.json();
        let overview = app.get("/v1/public/overview").await.json();
        assert_eq!(page["uptime"][29], 30_000_000);
        assert_eq!(page["device"]["online"], false);
        let period = &overview["periods"][0];
        assert_eq!(period["device_micros"], 30_000_000);
        assert_eq!(period["capacity_kflop"], 60_000);
        assert_eq!((&period["offered_micros"], &period["busy_micros"]), (&30_000_000.into(), &6_000_000.into()));
        assert_eq!(period["work"]["tiles"], 3);
        assert_eq!(overview["today"]["kflop"], 10_000);
        assert_eq!(overview["utilisation_bps"], 2_000, "it worked a fifth of the time");
    }
}

#[tokio::test]
async fn every_public_page_is_whole_cacheable_and_says_what_it_is() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let job = submitted(&ada).await;
    settled(&app, &ada, &job, 1, 10).await;
    ada.post(&format!("/v1/jobs/{job}/publish"), &serde_json::json!(null)).await;
    let pages = [
        "/".to_owned(),
        "/calculator".to_owned(),
        "/status".to_owned(),
        "/explorer".to_owned(),
        "/explorer/devices".to_owned(),
        format!("/explorer/devices/{}", DeviceId([1; 32])),
        "/explorer/jobs".to_owned(),
        format!("/explorer/jobs/{job}"),
        "/explorer/receipts".to_owned(),
        format!("/explorer/receipts/{}", LeaseId([10; 16])),
    ];
    for path in pages {
        for (lang, tag) in [("en", "en"), ("zh", "zh-CN")] {
            let answer = app.page(&format!("{path}?lang={lang}")).await;
            let html = String::from_utf8(answer.bytes.clone()).unwrap();

            assert_eq!(answer.status.as_u16(), 200, "{path}");
            assert_eq!(answer.headers["cache-control"], "public, max-age=5", "{path}");
            assert!(html.contains(&format!("<html lang=\"{tag}\"")), "{path}");
            assert!(html.contains("<h1"), "{path}");
            assert!(html.contains("rel=\"canonical\""), "{path}");
            assert!(html.contains("property=\"og:image\""), "{path}");
            assert!(html.contains("name=\"description\""), "{path}");
            assert!(!html.contains("noindex"), "{path}");
            assert!(!html.contains("set-cookie"), "{path}");
        }
        let picture = if path == "/" { "/index.png".to_owned() } else { format!("{path}.png") };
        let picture = app.page(&picture).await;
        assert_eq!(picture.status.as_u16(), 200, "{path}");
        assert_eq!(&picture.bytes[1..4], b"PNG", "{path}");
    }
}

#[tokio::test]
async fn every_table_comes_as_csv_and_json_at_its_pages_address() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let job = submitted(&ada).await;
    for device in 1..=3 {
        settled(&app, &ada, &job, device, 10 + device).await;
    }
    ada.post(&format!("/v1/jobs/{job}/publish"), &serde_json::json!(null)).await;
    let tables = [
        ("/explorer/devices".to_owned(), 3),
        (format!("/explorer/devices/{}", DeviceId([1; 32])), 1),
        ("/explorer/jobs".to_owned(), 1),
        (format!("/explorer/jobs/{job}"), 3),
        ("/explorer/receipts".to_owned(), 3),
        (format!("/explorer/receipts/{}", LeaseId([11; 16])), 1),
    ];
    for (path, rows) in tables {
        let csv = app.page(&format!("{path}.csv")).await;
        let json = app.page(&format!("{path}.json")).await;
        let text = String::from_utf8(csv.bytes.clone()).unwrap();

        assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8", "{path}");
        assert_eq!(text.lines().count(), rows + 1, "{path}: {text}");
        assert_eq!(json.headers["content-type"], "application/json", "{path}");
        assert!(json.json().is_object(), "{path}");
    }
}

#[tokio::test]
async fn hostile_addresses_are_answered_politely() {
    let app = TestApp::sqlite().await;
    let device = DeviceId([1; 32]);
    let searches =
        ["%00", "'%20or%201=1--", "%3Cscript%3Ealert(1)%3C/script%3E", "%25%25%25%25", "____", "zzzz", "%F0%9F%98%80"];
    for search in searches {
        let answer = app.page(&format!("/explorer/search?q={search}")).await;
        let html = String::from_utf8(answer.bytes.clone()).unwrap();
        // No database has room for the character zero.
        assert_eq!(answer.status.as_u16(), if search == "%00" { 400 } else { 200 }, "{search}");
        assert!(!html.contains("<script>alert"), "{search}");
    }
    let chinese = app.page("/explorer/search?q=zzzz&lang=zh").await;
    assert!(String::from_utf8(chinese.bytes).unwrap().contains("没有找到相关内容"));
    for (path, status) in [
        ("/nowhere".to_owned(), 404),
        (format!("/explorer/devices/{device}"), 404),
        ("/explorer/devices/xyz".to_owned(), 404),
        ("/explorer/devices?after=nonsense".to_owned(), 400),
        ("/explorer/devices?class=toaster".to_owned(), 400),
        ("/explorer/devices.csv?after=nonsense".to_owned(), 422),
        ("/explorer/devices.exe".to_owned(), 404),
        (format!("/explorer/jobs/{device}.png"), 404),
        ("/jobs".to_owned(), 401),
        ("/account".to_owned(), 401),
        ("/downloads/..%2F..%2Fetc%2Fpasswd".to_owned(), 404),
        ("/explorer/".to_owned(), 308),
    ] {
        assert_eq!(app.page(&path).await.status.as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn robots_and_installers_find_what_they_need() {
    let app = TestApp::sqlite().await;

    let robots = String::from_utf8(app.page("/robots.txt").await.bytes).unwrap();
    let map = String::from_utf8(app.page("/sitemap.xml").await.bytes).unwrap();
    let script = String::from_utf8(app.page("/install.sh").await.bytes).unwrap();

    assert!(robots.contains("Sitemap: http://tessera.test/sitemap.xml"));
    assert!(map.contains("<loc>http://tessera.test/explorer/devices</loc>"));
    assert!(script.contains("url=\"http://tessera.test\""));
}

db_test! {
    async fn an_account_keeps_at_least_one_key_and_signs_out(app: TestApp) {
        let ada = app.customer("Ada").await;
        a_second_later(&app);
        let made = ada.post("/v1/account/keys", &serde_json::json!({ "name": "CI" })).await.json();
        let keys = ada.get("/v1/account/keys").await.json();
        let first = keys[0]["id"].as_str().unwrap().to_owned();
        let second = made["key"]["id"].as_str().unwrap().to_owned();

        assert_eq!(keys.as_array().unwrap().len(), 2);
        assert!(made["secret"].as_str().unwrap().ends_with(made["key"]["hint"].as_str().unwrap()));
        assert_eq!(ada.delete(&format!("/v1/account/keys/{second}")).await.status.as_u16(), 204);
        assert_eq!(ada.delete(&format!("/v1/account/keys/{second}")).await.refusal(), "404 not_found");
        assert_eq!(ada.delete(&format!("/v1/account/keys/{first}")).await.refusal(), "409 last_key");
        let long = "x".repeat(65);
        let refused = ada.post("/v1/account/keys", &serde_json::json!({ "name": long })).await;
        assert_eq!(refused.refusal(), "422 malformed_request name");
        for i in 1..50 {
            let made = ada.post("/v1/account/keys", &serde_json::json!({ "name": i.to_string() })).await;
            assert_eq!(made.status.as_u16(), 201, "key {i}");
        }
        let refused = ada.post("/v1/account/keys", &serde_json::json!({ "name": "one more" })).await;
        assert_eq!(refused.refusal(), "409 too_many_keys");
        assert_eq!(ada.delete("/v1/sessions").await.status.as_u16(), 204);
    }
}

db_test! {
    async fn jobs_are_found_by_state_name_and_beginning_of_id(app: TestApp) {
        let ada = app.customer("Ada").await;
        let mut order = ada.digits().await;
        let mut ids = Vec::new();
        for (i, name) in ["Alpha 100%", "beta_run", "Gamma"].into_iter().enumerate() {
            order["name"] = name.into();
            a_second_later(&app);
            let answer = ada.submit(&order, &i.to_string()).await;
            ids.push(answer.json()["id"].as_str().unwrap().to_owned());
        }
        ada.post(&format!("/v1/jobs/{}/cancel", ids[2]), &serde_json::json!(null)).await;
        let found = async |query: &str| {
            let jobs = ada.get(&format!("/v1/jobs?{query}")).await.json();
            jobs["jobs"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };

        assert_eq!(found("q=ALPHA").await, ["Alpha 100%"]);
        assert_eq!(found("q=100%25").await, ["Alpha 100%"]);
        assert_eq!(found("q=%25").await, ["Alpha 100%"]);
        assert_eq!(found("q=_").await, ["beta_run"]);
        assert_eq!(found(&format!("q={}", ids[1])).await, ["beta_run"]);
        assert_eq!(found("state=cancelled").await, ["Gamma"]);
        assert_eq!(found("state=running&q=a").await, ["beta_run", "Alpha 100%"]);
        assert_eq!(ada.get("/v1/jobs?state=lost").await.refusal(), "422 malformed_request state");
        assert_eq!(ada.get(&format!("/v1/jobs?q={}", "x".repeat(129))).await.refusal(), "422 malformed_request q");
    }
}

db_test! {
    async fn every_movement_of_money_is_listed_once(app: TestApp) {
        let ada = app.customer("Ada").await;

        let entries = ada.get("/v1/account/entries").await.json();

        assert_eq!(entries["rows"].as_array().unwrap().len(), 1);
        assert_eq!(entries["rows"][0]["kind"], "faucet");
        assert_eq!(entries["rows"][0]["amount"], 100_000_000);
        assert_eq!(ada.get("/v1/account/entries?after=x.y").await.refusal(), "422 malformed_request after");
    }
}

#[tokio::test]
async fn what_only_asks_for_the_head_of_a_table_is_not_told_that_it_is_empty() {
    let app = TestApp::sqlite().await;
    for path in ["/explorer/devices.csv", "/explorer/receipts.csv", "/sitemap.xml", "/explorer"] {
        let router = edge_api::server::router(&app.app);
        let whole = app.page(path).await;
        let head = app.send_to(router, Request::head(path).body(Body::empty()).unwrap()).await;

        assert_eq!(head.status, whole.status, "{path}");
        assert_eq!(head.headers["content-type"], whole.headers["content-type"], "{path}");
        assert_ne!(
            head.headers.get("content-length").map(axum::http::HeaderValue::as_bytes),
            Some(&b"0"[..]),
            "{path}"
        );
        assert!(head.bytes.is_empty() && !whole.bytes.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn charts_go_as_far_back_as_the_address_says_in_periods_that_are_gathered() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let job = submitted(&ada).await;
    settled(&app, &ada, &job, 1, 10).await;
    devices::presence::record_uptime(&app.app, app.app.clock.now()).await.unwrap();

    for (range, minutes, bars) in [("1h", 10, 6), ("24h", 10, 144), ("7d", 60, 168), ("30d", 360, 120)] {
        let overview = app.get(&format!("/v1/public/overview?range={range}")).await.json();
        let html = String::from_utf8(app.page(&format!("/explorer?range={range}&lang=en")).await.bytes).unwrap();

        assert_eq!(overview["period_micros"], minutes * 60_000_000_i64, "{range}");
        assert_eq!(overview["periods"][0]["work"]["tiles"], 3, "{range}");
        assert_eq!(overview["periods"][0]["start"].as_i64().unwrap() % (minutes * 60_000_000), 0, "{range}");
        // Whole without a script: axes, and a title on every column.
        assert_eq!(html.matches("class=\"column\"").count(), 4 * bars, "{range}");
        assert_eq!(html.matches("class=\"chart-x\"").count(), 4, "{range}");
        assert!(html.contains("3 tiles · 20"), "{range}");
    }
    let unknown = String::from_utf8(app.page("/explorer?range=1y&lang=en").await.bytes).unwrap();
    assert_eq!(unknown.matches("class=\"column\"").count(), 4 * 144);
}

#[tokio::test]
async fn a_search_by_name_finds_what_is_public_and_nothing_is_no_error() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let mut order = ada.digits().await;
    order["name"] = "数字识别 Digits".into();
    let job = ada.submit(&order, "a").await.json()["id"].as_str().unwrap().to_owned();
    settled(&app, &ada, &job, 1, 10).await;
    let kinds = async |question: &str| {
        let question: String = form_urlencoded::byte_serialize(question.as_bytes()).collect();
        let hits = app.get(&format!("/v1/public/search?q={question}")).await.json();
        hits.as_array().unwrap().iter().map(|hit| hit["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let nothing: [&str; 0] = [];

    assert_eq!(kinds("digits").await, nothing, "the job is private");
    assert_eq!(kinds("gpu 1").await, ["device"]);
    ada.post(&format!("/v1/jobs/{job}/publish"), &serde_json::json!(null)).await;
    assert_eq!(kinds("digits").await, ["job"]);
    assert_eq!(kinds("数字").await, ["job"]);
    assert_eq!(kinds("DIGITS 识别").await, ["job"]);
    assert_eq!(kinds(&job[..8]).await, ["job"]);
    for question in ["", "zzz", "%", "x".repeat(65).as_str(), "a b c d e f"] {
        assert_eq!(kinds(question).await, nothing, "{question}");
    }
}

#[tokio::test]
async fn programs_are_downloaded_whole_or_in_parts_by_their_checksum() {
    let app = TestApp::sqlite_with(|config| {
        let folder = config.site.with_file_name("downloads");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("tessera-linux-x86_64"), b"0123456789").unwrap();
        std::fs::write(folder.join("secret.txt"), b"no").unwrap();
        config.downloads = Some(folder);
    })
    .await;
    let ask = async |path: &str, headers: &[(&str, &str)]| {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        app.send_to(edge_api::server::router(&app.app), request.body(Body::empty()).unwrap()).await
    };
    let sum = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";

    let whole = ask("/downloads/tessera-linux-x86_64", &[("accept-encoding", "gzip, br")]).await;
    assert_eq!((whole.status.as_u16(), whole.bytes.as_slice()), (200, &b"0123456789"[..]));
    assert_eq!(whole.headers["etag"], format!("\"{sum}\""));
    assert!(whole.headers.get("content-encoding").is_none(), "a part of it could not be asked for");
    let part = ask("/downloads/tessera-linux-x86_64", &[("range", "bytes=4-")]).await;
    assert_eq!((part.status.as_u16(), part.bytes.as_slice()), (206, &b"456789"[..]));
    assert_eq!(part.headers["content-range"], "bytes 4-9/10");
    let other = ask("/downloads/tessera-linux-x86_64", &[("range", "bytes=4-"), ("if-range", "\"older\"")]).await;
    assert_eq!(other.status.as_u16(), 200);
    let tag = format!("\"{sum}\"");
    let same = ask("/downloads/tessera-linux-x86_64", &[("if-none-match", tag.as_str())]).await;
    assert_eq!((same.status.as_u16(), same.bytes.len()), (304, 0));
    let sums = String::from_utf8(ask("/downloads/SHA256SUMS", &[]).await.bytes).unwrap();
    assert_eq!(sums, format!("{sum}  tessera-linux-x86_64\n"));
    let page = String::from_utf8(ask("/docs/downloads?lang=en", &[]).await.bytes).unwrap();
    assert!(page.contains(sum) && page.contains("Linux, x86-64") && !page.contains("macOS"), "{page}");
    for missing in ["/downloads/secret.txt", "/downloads/tessera-macos-aarch64", "/downloads/..%2Fsecret.txt"] {
        assert_eq!(ask(missing, &[]).await.status.as_u16(), 404, "{missing}");
    }
}
