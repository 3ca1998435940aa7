//! What the operator's doctor finds: nothing where all is well, and each fault where there is one.

use std::sync::atomic::Ordering;
use std::time::Duration;

use edge_api::clock::Clock;
use edge_api::config::Config;
use edge_api::doctor::examine;
use edge_api::doctor::finding::{Finding, State};
use edge_api::doctor::place::Place;
use edge_api::server::Patience;
use serde_json::Value;
use wire::Micros;

use crate::app::TestApp;
use crate::db_test;
use crate::device::{self, Device};
use crate::until::until;

const TOKEN: &str = "a token of an operator";
const CHECKER: u8 = 9;

fn prepare(config: &mut Config) {
    config.metrics.metrics_token = Some(TOKEN.to_owned());
    config.checkers = vec![device::id(CHECKER)];
}

/// Sets the app's time to this machine's, which the database's is, and has it say that it lives.
async fn set_time(app: &TestApp) -> Micros {
    let now = Clock::System.now();
    app.time.store(now, Ordering::Relaxed);
    let mut tx = app.app.db.begin_write().await.unwrap();
    store::replicas::heartbeat(&mut tx, &app.app.replica).await.unwrap();
    tx.commit().await.unwrap();
    now
}

/// Where the app's parts are.
async fn place_of(app: &TestApp) -> Place {
    set_time(app).await;
    let address = app.listen(Patience::default()).await;
    Place {
        database_url: app.app.config.database_url.clone(),
        blobs: app.app.config.blobs.clone(),
        disk_reserve: 0,
        public_url: Some(format!("http://{address}")),
        metrics_url: None,
        metrics_token: Some(TOKEN.to_owned()),
        checkers: vec![device::id(CHECKER)],
    }
}

async fn devices_of(place: &Place) -> [Device; 2] {
    let address = place.public_url.as_deref().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
    [
        Device::connect(address, 1, |_| {}).await.unwrap(),
        Device::connect(address, CHECKER, |hello| hello.checker = true).await.unwrap(),
    ]
}

async fn look(app: &TestApp, place: &Place) -> Vec<Finding> {
    let now = set_time(app).await;
    examine(place, now).await
}

/// The tests' own database need not outlast a crash.
async fn is_durable(app: &TestApp) -> bool {
    let mut conn = app.app.db.read().await.unwrap();
    let settings = store::condition::list_durability_settings(&mut conn).await.unwrap();
    settings.iter().all(|setting| setting.is_durable)
}

/// What is not well, as `part: state`.
fn unwell(findings: &[Finding]) -> Vec<String> {
    let unwell = findings.iter().filter(|finding| finding.state != State::Ok);
    unwell.map(|finding| format!("{}: {}", finding.part, finding.state.name())).collect()
}

#[track_caller]
fn message<'a>(findings: &'a [Finding], part: &str) -> &'a str {
    let worst = findings.iter().filter(|finding| finding.part == part).max_by_key(|finding| finding.state);
    &worst.unwrap_or_else(|| panic!("nothing was said of {part}: {findings:?}")).message
}

async fn change(app: &TestApp, statement: &'static str) {
    let mut tx = app.app.db.begin_write().await.unwrap();
    assert!(sqlx::query(statement).execute(&mut *tx).await.unwrap().rows_affected() > 0, "{statement}");
    tx.commit().await.unwrap();
}

db_test! {
    async fn a_server_that_is_well_is_found_well_and_left_as_it_was(app: TestApp with prepare) {
        let place = place_of(&app).await;
        let _devices = devices_of(&place).await;
        let ada = app.customer("Ada").await;
        assert_eq!(ada.submit(&ada.digits().await, "a").await.status, 201);

        let found = look(&app, &place).await;

        let weak = if is_durable(&app).await { vec![] } else { vec!["durability: failed"] };
        assert_eq!(unwell(&found), weak, "{found:#?}");
        let parts: Vec<&str> = found.iter().map(|finding| finding.part).collect();
        for part in ["database", "schema", "durability", "clock", "replicas", "devices", "work", "money", "blobs", "place", "disk", "server", "checkers"] {
            assert!(parts.contains(&part), "{part} was not looked at");
        }
        assert!(message(&found, "place").contains("2 of 2 blobs"), "{found:#?}");
        let staged = app.app.blobs.folder().unwrap().join("staging");
        assert!(!staged.exists() || staged.read_dir().unwrap().next().is_none(), "the probe is gone");
    }
}

db_test! {
    async fn money_that_came_from_nowhere_is_found(app: TestApp with prepare) {
        let place = place_of(&app).await;
        app.customer("Ada").await;

        change(&app, "update ledger_entry set amount = amount + 7 where amount > 0").await;
        let found = look(&app, &place).await;
        change(&app, "update ledger_entry set amount = amount - 7 where amount > 0").await;

        assert_eq!(message(&found, "money"), "rows contradict each other (assets: 1, accounts: 1)");
        assert!(unwell(&found).contains(&"money: failed".to_owned()));
    }
}

db_test! {
    async fn blobs_that_are_lost_and_a_place_that_is_not_there_are_found(app: TestApp with prepare) {
        let place = place_of(&app).await;
        let ada = app.customer("Ada").await;
        assert_eq!(ada.submit(&ada.digits().await, "a").await.status, 201);
        let folder = app.app.blobs.folder().unwrap().to_owned();

        let blob = folder.join("blobs").read_dir().unwrap().next().unwrap().unwrap().path();
        std::fs::remove_file(blob).unwrap();
        let found = look(&app, &place).await;
        assert_eq!(message(&found, "place"), "1 of 2 blobs of the latest jobs are not there");

        std::fs::remove_file(folder.join("tessera")).unwrap();
        let found = look(&app, &place).await;
        assert_eq!(message(&found, "place"), "it is not marked as one of a server's blobs");

        std::fs::remove_dir_all(&folder).unwrap();
        let found = look(&app, &place).await;
        assert!(message(&found, "blobs").starts_with("there is no folder"), "{found:#?}");
        assert!(!folder.exists(), "looking creates nothing");
    }
}

db_test! {
    async fn a_place_that_takes_nothing_is_found(app: TestApp with prepare) {
        let place = place_of(&app).await;
        let folder = app.app.blobs.folder().unwrap().to_owned();
        // A file where the folder of uploads should be.
        std::fs::remove_dir_all(folder.join("staging")).unwrap_or_default();
        std::fs::write(folder.join("staging"), "").unwrap();

        let found = look(&app, &place).await;

        assert!(message(&found, "blobs").starts_with("nothing can be written"), "{found:#?}");
    }
}

db_test! {
    async fn replicas_that_are_silent_and_devices_that_are_gone_are_found(app: TestApp with prepare) {
        let place = place_of(&app).await;
        let now: Micros = app.app.clock.now();

        // Replicas go by the database's clock where it has one.
        change(&app, "update replica set heartbeat_at = heartbeat_at - 90000000").await;
        let found = examine(&place, now + 90_000_000).await;
        assert!(message(&found, "replicas").starts_with("none lives; "), "{found:#?}");
        assert!(unwell(&found).contains(&"devices: warning".to_owned()), "{found:#?}");

        change(&app, "update replica set heartbeat_at = heartbeat_at + 180000000").await;
        let found = examine(&place, now).await;
        assert!(message(&found, "replicas").contains("in the future"), "{found:#?}");
    }
}

db_test! {
    async fn clocks_that_are_off_are_found(app: TestApp with prepare) {
        let place = place_of(&app).await;
        let is_embedded = app.app.db.dialect == store::Dialect::Sqlite;
        let found_off = async |micros: Micros| {
            let found = examine(&place, Clock::System.now() + micros).await;
            found.into_iter().filter(|finding| finding.part == "clock").map(|finding| finding.state).collect::<Vec<_>>()
        };

        assert_eq!(found_off(0).await, [State::Ok, State::Ok]);
        // The server says whole seconds.
        let of_database = if is_embedded { State::Ok } else { State::Warning };
        assert_eq!(found_off(-2_500_000).await[0], of_database);
        let of_database = if is_embedded { State::Ok } else { State::Failed };
        assert_eq!(found_off(60_000_000).await, [of_database, State::Failed]);
    }
}

db_test! {
    async fn a_receipt_that_nobody_checks_and_a_schema_that_is_behind_are_found(app: TestApp with prepare) {
        let place = place_of(&app).await;
        let (ada, bob) = (app.customer("Ada").await, app.customer("Bob").await);
        let ordered = ada.submit(&ada.digits().await, "a").await.json();
        crate::explorer::committed(&app, &bob, ordered["id"].as_str().unwrap(), 1, 10).await;
        // A check of it may come in between, and end it.
        until("the receipt is seen to wait", Duration::from_secs(20), async || {
            change(&app, "update receipt set state = 'pending'").await;
            let found = examine(&place, app.app.clock.now() + 3_600_000_000).await;
            message(&found, "work").contains("one receipt has waited for").then_some(())
        })
        .await;
        change(&app, "update receipt set state = 'void'").await;

        change(&app, "update _sqlx_migrations set version = 9999 where version = 42").await;
        let found = look(&app, &place).await;
        assert_eq!(message(&found, "schema"), "changes [42] are not applied");
        change(&app, "update _sqlx_migrations set version = 42 where version = 9999").await;
    }
}

db_test! {
    async fn checkers_that_are_not_connected_and_servers_that_do_not_answer_are_found(app: TestApp with prepare) {
        let place = place_of(&app).await;

        let found = look(&app, &place).await;
        assert_eq!(message(&found, "checkers"), "none of 1 is connected to the server that answered");

        let two = Place { checkers: [CHECKER, 8].map(device::id).to_vec(), ..place.clone() };
        let _devices = devices_of(&place).await;
        let found = look(&app, &two).await;
        assert_eq!(message(&found, "checkers"), "1 of 2 are connected to the server that answered");

        let wrong = Place { metrics_token: Some("another token that is long".to_owned()), ..place.clone() };
        assert!(message(&look(&app, &wrong).await, "checkers").contains("401"));
        let nowhere = Place { public_url: Some("http://127.0.0.1:9".to_owned()), ..place.clone() };
        let found = look(&app, &nowhere).await;
        assert!(message(&found, "server").starts_with("http://127.0.0.1:9 cannot be reached"), "{found:#?}");
        let unasked = Place { public_url: None, metrics_token: None, ..place };
        let found = look(&app, &unasked).await;
        assert!(unwell(&found).contains(&"server: skipped".to_owned()) && unwell(&found).contains(&"checkers: skipped".to_owned()));
    }
}

db_test! {
    async fn a_disk_without_room_is_found(app: TestApp with prepare) {
        let place = Place { disk_reserve: u64::MAX, ..place_of(&app).await };

        assert!(unwell(&look(&app, &place).await).contains(&"disk: failed".to_owned()));
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_found_and_not_made() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("none.db");
    let place = |database_url: String| Place {
        database_url,
        blobs: folder.path().join("none").display().to_string(),
        disk_reserve: 0,
        public_url: None,
        metrics_url: None,
        metrics_token: None,
        checkers: Vec::new(),
    };

    let found = examine(&place(format!("sqlite://{}?mode=rwc", file.display())), 0).await;
    assert!(message(&found, "database").starts_with("there is no file"), "{found:#?}");
    assert!(!file.exists());
    let found = examine(&place("postgres://tessera@127.0.0.1:9/tessera".to_owned()), 0).await;
    assert!(message(&found, "database").starts_with("it cannot be opened"), "{found:#?}");
}

async fn run(place: &Place, more: &[&str]) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tessera-admin"));
    command.env_clear().args(["doctor", "--database-url", &place.database_url, "--blobs", &place.blobs]);
    let output = command.args(["--disk-reserve", "0"]).args(more).output();
    let output = tokio::time::timeout(Duration::from_secs(60), output).await.unwrap().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

db_test! {
    async fn the_program_says_a_line_each_and_ends_with_one_where_something_failed(app: TestApp with prepare) {
        let place = place_of(&app).await;

        let (code, text) = run(&place, &["--checker", &device::id(CHECKER).to_string()]).await;
        assert_eq!(code, Some(i32::from(!is_durable(&app).await)), "{text}");
        assert!(text.contains("\nskipped  server ") && text.contains("\nok       money "), "{text}");

        std::fs::remove_dir_all(app.app.blobs.folder().unwrap()).unwrap();
        let (code, text) = run(&place, &["--json", "--now", "1"]).await;
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((code, report["state"].as_str()), (Some(1), Some("failed")), "{text}");
        let findings = report["findings"].as_array().unwrap();
        let blobs = findings.iter().find(|finding| finding["part"] == "blobs").unwrap();
        assert_eq!(blobs["state"], "failed");
        assert!(blobs["remedy"].as_str().unwrap().contains("--blobs"), "{text}");
    }
}
