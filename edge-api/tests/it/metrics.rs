//! What an operator's Prometheus reads, and who else may not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use edge_api::config::Config;
use edge_api::metrics::serve;
use edge_api::server::{Patience, router};
use serde_json::json;

use crate::app::{Answer, TestApp};
use crate::compile::SMALL;
use crate::db_test;
use crate::device::Device;
use crate::until::until;

const TOKEN: &str = "a token of an operator";

fn with_token(config: &mut Config) {
    config.metrics.metrics_token = Some(TOKEN.to_owned());
}

async fn scrape_as(app: &TestApp, token: &str) -> Answer {
    let request = Request::get("/metrics").header("authorization", format!("Bearer {token}"));
    app.send_to(router(&app.app), request.body(Body::empty()).unwrap()).await
}

async fn scrape(app: &TestApp) -> Scrape {
    let answer = scrape_as(app, TOKEN).await;
    assert_eq!(answer.status, 200);
    Scrape::parse(&String::from_utf8(answer.bytes).unwrap())
}

/// A scrape as Prometheus understands it: each series by its name and labels, and the kind of each family.
pub(crate) struct Scrape {
    series: BTreeMap<String, String>,
    families: BTreeMap<String, String>,
}

impl Scrape {
    fn parse(text: &str) -> Self {
        assert!(text.ends_with("# EOF\n"), "a scrape says where it ends");
        let mut found = Self { series: BTreeMap::new(), families: BTreeMap::new() };
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let (name, kind) = family.split_once(' ').unwrap();
                assert!(found.families.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is there twice");
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
                assert!(found.series.insert(name.to_owned(), value.to_owned()).is_none(), "{name} is there twice");
            }
        }
        found
    }

    /// The value of a series of whole numbers, whose labels stand in any order.
    #[track_caller]
    fn value(&self, name: &str, labels: &[&str]) -> i64 {
        let value = self.find(name, labels).unwrap_or_else(|| panic!("there is no {name} {labels:?}"));
        value.parse().unwrap_or_else(|_| panic!("{name} {labels:?} is {value}"))
    }

    fn find(&self, name: &str, labels: &[&str]) -> Option<&str> {
        let is_it = |(series, _): &(&String, &String)| {
            let (own, rest) = series.split_once('{').unwrap_or((series, ""));
            own == name && labels.iter().all(|label| rest.contains(label))
        };
        self.series.iter().find(is_it).map(|(_, value)| value.as_str())
    }

    /// The names by which Prometheus knows all that this server can say.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let of_kind = |(name, kind): (&String, &String)| match kind.as_str() {
            "counter" => vec![format!("{name}_total")],
            "histogram" => ["bucket", "sum", "count"].map(|part| format!("{name}_{part}")).to_vec(),
            "info" => vec![format!("{name}_info")],
            _ => vec![name.clone()],
        };
        self.families.iter().flat_map(of_kind).collect()
    }
}

/// All names, once the database was read.
pub(crate) async fn all_names() -> BTreeSet<String> {
    let app = TestApp::sqlite_with(with_token).await;
    // A family without a series is not named.
    app.customer("Ada").await;
    app.page("/v1/health").await;
    app.app.metrics.sampled.read_backlog(&app.app.db).await;
    app.app.metrics.sampled.read_books(&app.app.db, app.app.clock.now()).await;
    scrape(&app).await.names()
}

#[tokio::test]
async fn nobody_reads_metrics_unless_the_operator_says_so() {
    let app = TestApp::sqlite().await;

    assert_eq!(app.page("/metrics").await.status, 404);
    assert_eq!(app.get("/metrics").await.status, 404);
}

#[tokio::test]
async fn a_token_opens_the_metrics_and_nothing_else_does() {
    let app = TestApp::sqlite_with(with_token).await;
    let ada = app.customer("Ada").await;

    let nobody = app.send_to(router(&app.app), Request::get("/metrics").body(Body::empty()).unwrap()).await;
    assert_eq!((nobody.status.as_u16(), &nobody.headers["www-authenticate"]), (401, &"Bearer".parse().unwrap()));
    for wrong in ["", "a token", &ada.key, &format!("{TOKEN} "), &TOKEN.to_uppercase()] {
        assert_eq!(scrape_as(&app, wrong).await.status, 401, "{wrong}");
    }
    let answer = scrape_as(&app, TOKEN).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(answer.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn an_address_of_its_own_needs_no_token_unless_there_is_one() {
    for (token, expected) in [(None, 200), (Some(TOKEN.to_owned()), 401)] {
        let app = TestApp::sqlite_with(|config| config.metrics.metrics_token = token).await;
        let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();

        assert_eq!(app.send_to(serve::router(&app.app), get("/metrics")).await.status, expected);
        assert_eq!(app.send_to(serve::router(&app.app), get("/v1/health")).await.status, 404, "and nothing else");
    }
}

#[test]
fn a_short_token_is_refused_at_the_start() {
    let parse = |token: &str| {
        <Config as clap::Parser>::try_parse_from(["edge-api", "--metrics-token", token])
            .map(|config| config.metrics.metrics_token)
            .map_err(|error| error.to_string())
    };

    for token in ["", "fifteen letters"] {
        assert!(parse(token).unwrap_err().contains("at least 16 characters"), "{token}");
    }
    assert_eq!(parse("sixteen letters!"), Ok(Some("sixteen letters!".to_owned())));
}

db_test! {
    async fn requests_are_counted_by_the_pattern_of_their_route(app: TestApp with with_token) {
        app.page("/v1/jobs/00000000-0000-7000-8000-000000000000").await;
        app.page("/v1/nowhere/at/all").await;
        app.page("/v1/public/overview").await;
        app.page("/explorer/devices.csv").await;
        app.page("/docs/get-started").await;
        app.page("/strangers/make/this/up").await;

        let scrape = scrape(&app).await;

        let requests = |route: &str, status: &str| {
            let labels = [&format!("route=\"{route}\""), &format!("status=\"{status}\"")];
            scrape.value("tessera_http_requests_total", &labels.map(String::as_str))
        };
        assert_eq!(requests("/v1/jobs/{id}", "4xx"), 1);
        assert_eq!(requests("/v1/public/overview", "2xx"), 1, "what a page reads for itself is no request");
        assert_eq!(requests("/explorer/devices", "2xx"), 1);
        assert_eq!(requests("/docs/{slug}", "2xx"), 1);
        assert_eq!(requests("none", "4xx"), 2);
        assert!(!scrape.series.keys().any(|series| series.contains("strangers") || series.contains("nowhere")));
        assert_eq!(scrape.value("tessera_http_request_seconds_count", &["route=\"/v1/jobs/{id}\""]), 1);
        let this_one = scrape.value("tessera_http_requests_in_flight", &["route=\"/metrics\"", "method=\"GET\""]);
        assert_eq!(this_one, 1);
    }
}

db_test! {
    async fn what_a_replica_holds_is_seen_from_a_lease_to_its_settlement(app: TestApp with with_token) {
        let ada = app.customer("Ada").await;
        let address = app.listen(Patience::default()).await;
        let mut device = Device::connect(address, 1, |hello| hello.key = Some(ada.key.clone())).await.unwrap();
        let (kernel, input) = (ada.blob(SMALL.into()).await, ada.blob(vec![0; 256]).await);
        let program = json!({ "kind": "map", "kernel": kernel, "input": input, "record_bytes": 4, "out_bytes": 4 });
        let order = json!({ "program": program, "name": "x", "privacy": "own" });
        assert_eq!(ada.submit(&order, "a").await.status, 201);
        let lease = device.take_lease().await;

        let before = scrape(&app).await;
        assert_eq!(before.value("tessera_devices_connected", &["class=\"native\""]), 1);
        assert_eq!(before.value("tessera_devices_connected", &["class=\"tab\""]), 0);
        assert_eq!(before.value("tessera_connections", &[]), 1);
        assert_eq!(before.value("tessera_leases", &["state=\"out\""]), 1);
        assert_eq!(before.value("tessera_jobs_held", &[]), 1);
        assert_eq!(before.value("tessera_settled_tiles_total", &[]), 0);
        assert!(before.value("tessera_received_bytes_total", &[]) > 100);
        assert!(before.value("tessera_sent_bytes_total", &[]) > 100);

        device.commit_zeros(&app, &lease).await;
        assert_eq!(device.settled().await, lease.lease);
        let after = scrape(&app).await;
        // And once more, where the job's end is quick.
        assert!(after.value("tessera_checks_total", &["outcome=\"passed\""]) >= 1);
        assert_eq!(after.value("tessera_settled_leases_total", &[]), 1);
        assert_eq!(after.value("tessera_settled_tiles_total", &[]), 1);
        assert_eq!(after.value("tessera_settlement_seconds_count", &[]), 1);
        until("the job is closed", Duration::from_secs(10), async || {
            let closed = scrape(&app).await.value("tessera_jobs_ended_total", &["how=\"closed\""]);
            (closed > 0).then_some(())
        })
        .await;

        drop(device);
        until("the device is gone", Duration::from_secs(10), async || {
            let left = scrape(&app).await.value("tessera_devices_connected", &["class=\"native\""]);
            (left == 0).then_some(())
        })
        .await;
    }
}

db_test! {
    async fn every_pool_of_connections_says_how_full_it_is(app: TestApp with with_token) {
        let held = app.app.db.begin_control().await.unwrap();

        let found = scrape(&app).await;
        let pools = found.series.keys().filter(|name| name.starts_with("tessera_database_connections_limit{"));
        let expected = if app.app.db.dialect == store::db::Dialect::Postgres { 3 } else { 2 };
        assert_eq!(pools.count(), expected, "SQLite has one connection that writes, whatever for");
        let pool = if expected == 3 { "control" } else { "write" };
        // The replica says that it lives meanwhile.
        assert_ne!(found.series[&format!("tessera_database_connections_used{{pool=\"{pool}\"}}")], "0");
        drop(held);
    }
}

db_test! {
    async fn books_that_contradict_themselves_are_seen(app: TestApp with with_token) {
        let ada = app.customer("Ada").await;
        assert_eq!(ada.submit(&ada.digits().await, "a").await.status, 201);
        let read = async || {
            app.app.metrics.sampled.read_books(&app.app.db, app.app.clock.now()).await;
            app.app.metrics.sampled.read_backlog(&app.app.db).await;
            scrape(&app).await
        };
        let change = async |statement: &'static str| {
            let mut tx = app.app.db.begin_write().await.unwrap();
            assert_eq!(sqlx::query(statement).execute(&mut *tx).await.unwrap().rows_affected(), 1);
            tx.commit().await.unwrap();
        };

        let sound = read().await;
        assert_eq!(sound.value("tessera_ledger_sum_micros", &["asset=\"credit\""]), 0);
        assert_eq!(sound.value("tessera_audit_rows_off", &["rule=\"assets\""]), 0);
        assert_eq!(sound.value("tessera_holds_open", &[]), 1);
        assert_eq!(sound.value("tessera_jobs_running", &[]), 1);
        let held = ada.held().await;
        assert_eq!(sound.value("tessera_purse_micros", &["purse=\"held\""]), held);

        change("update ledger_entry set amount = amount + 7 where amount > 0").await;
        let unsound = read().await;
        assert_eq!(unsound.value("tessera_ledger_sum_micros", &["asset=\"credit\""]), 7);
        assert_eq!(unsound.value("tessera_audit_rows_off", &["rule=\"assets\""]), 1);
        assert_eq!(unsound.value("tessera_audit_rows_off", &["rule=\"accounts\""]), 1);
        change("update ledger_entry set amount = amount - 7 where amount > 0").await;
    }
}

#[tokio::test]
async fn the_books_are_gone_through_for_a_hundredth_of_the_time_at_the_most() {
    let app = TestApp::sqlite().await;

    let rest = app.app.metrics.sampled.read_books(&app.app.db, app.app.clock.now()).await;

    let took = app.app.metrics.sampled.latest().books.unwrap().took;
    assert!(rest >= Duration::from_secs(60) && rest >= took * 99, "{rest:?} after {took:?}");
}
