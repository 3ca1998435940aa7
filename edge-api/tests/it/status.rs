//! The network's health as everyone may see it.

use std::time::Duration;

use edge_api::app::App;
use edge_api::status::probe::look;
use serde_json::{Value, json};
use store::incidents::{LastLook, find_last_look};
use wire::Micros;

use crate::app::TestApp;
use crate::db_test;
use crate::explorer::{committed, hello};

const SECOND: Micros = 1_000_000;
const LATE: Duration = Duration::from_millis(3);

async fn status(app: &TestApp) -> Value {
    let answer = app.get("/v1/public/status").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["cache-control"]),
        (200, &"public, max-age=2".parse().unwrap())
    );
    answer.json()
}

async fn last_look(app: &App) -> LastLook {
    find_last_look(&mut app.db.read().await.unwrap()).await.unwrap()
}

/// A look as if it were so long ago; when that was.
async fn look_ago(app: &App, seconds: Micros) -> Micros {
    let LastLook { looked_at, now } = last_look(app).await;
    let at = now - seconds * SECOND;
    look(app, looked_at, at, LATE).await.unwrap();
    at
}

/// Each part with its state.
fn states(status: &Value) -> Vec<String> {
    let parts = status["parts"].as_array().unwrap().iter();
    parts.map(|part| format!("{} {}", part["part"].as_str().unwrap(), part["state"].as_str().unwrap())).collect()
}

#[track_caller]
fn part<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["parts"].as_array().unwrap().iter().find(|part| part["part"] == name).unwrap()
}

/// What is known of a part over all days, up and down, in microseconds.
fn times(status: &Value, name: &str) -> (i64, i64) {
    let days = part(status, name)["days"].as_array().unwrap();
    let sum = |field: &str| days.iter().map(|day| day[field].as_i64().unwrap()).sum();
    (sum("up_micros"), sum("down_micros"))
}

fn misplace_blobs(app: &TestApp) {
    std::fs::remove_file(app.app.blobs.folder().unwrap().join("tessera")).unwrap();
}

db_test! {
    async fn a_part_is_unknown_until_somebody_looks_and_again_when_nobody_does(app: TestApp) {
        let fresh = status(&app).await;
        assert_eq!(states(&fresh), ["edge unknown", "database unknown", "blobs unknown", "devices unknown", "checks unknown"]);
        assert_eq!((fresh.get("looked_at"), &fresh["incidents"]), (None, &json!([])));
        assert_eq!(part(&fresh, "edge"), &json!({ "part": "edge", "state": "unknown", "days": [] }));

        let before = look_ago(&app.app, 65).await;
        let stale = status(&app).await;
        assert_eq!(states(&stale), states(&fresh));
        assert_eq!(stale["looked_at"], before);
        assert_eq!(part(&stale, "edge").get("latency_micros"), None);

        look_ago(&app.app, 30).await;
        let looked = status(&app).await;
        assert_eq!(states(&looked), ["edge up", "database up", "blobs up", "devices idle", "checks up"]);
        assert_eq!(part(&looked, "edge")["latency_micros"], 3_000, "by how much it came late");
        assert_eq!((&part(&looked, "edge")["present"], &part(&looked, "devices")["present"]), (&json!(1), &json!(0)));
        assert_eq!(part(&looked, "checks")["latency_micros"], 0, "no receipt waits");
        assert!(part(&looked, "database")["latency_micros"].as_i64().unwrap() > 0);
        assert!(part(&looked, "blobs")["latency_micros"].as_i64().unwrap() > 0);
        assert_eq!(part(&looked, "devices").get("latency_micros"), None);
        assert_eq!(looked["incidents"], json!([]));
    }
}

db_test! {
    async fn an_incident_lasts_from_the_first_look_that_found_it_to_the_first_that_did_not(app: TestApp) {
        look_ago(&app.app, 75).await;
        misplace_blobs(&app);
        let began = look_ago(&app.app, 60).await;
        let once = status(&app).await;
        assert_eq!(once["incidents"], json!([]), "one look alone is no incident");
        look_ago(&app.app, 45).await;

        let going_on = status(&app).await;
        let open = json!({ "part": "blobs", "trouble": "unreachable", "began_at": began });
        assert_eq!(going_on["incidents"], json!([open]));
        assert_eq!((&part(&going_on, "blobs")["state"], &part(&going_on, "blobs")["trouble"]), (&json!("down"), &json!("unreachable")));
        assert_eq!(part(&going_on, "database")["state"], "up");

        app.app.blobs.mark(&[]).await.unwrap();
        let ended = look_ago(&app.app, 15).await;
        let well = status(&app).await;
        let over = json!({ "part": "blobs", "trouble": "unreachable", "began_at": began, "ended_at": ended });
        assert_eq!(well["incidents"], json!([over]));
        assert_eq!(part(&well, "blobs")["state"], "up");
        let down = times(&well, "blobs").1;
        assert_eq!(down, ended - began, "the time down is that of the incident");
    }
}

db_test! {
    async fn a_job_without_any_device_is_an_incident_and_a_network_without_jobs_is_idle(app: TestApp) {
        let ada = app.customer("Ada").await;
        look_ago(&app.app, 55).await;
        assert_eq!(part(&status(&app).await, "devices")["state"], "idle");

        ada.submit(&ada.digits().await, "a").await;
        let began = look_ago(&app.app, 40).await;
        look_ago(&app.app, 25).await;
        let waiting = status(&app).await;
        let open = json!({ "part": "devices", "trouble": "no_devices", "began_at": began });
        assert_eq!(waiting["incidents"], json!([open]));

        let mut tx = app.app.db.begin_write().await.unwrap();
        let account = ada.account().await;
        store::devices::upsert_device(&mut tx, &hello(1), account, None, app.app.clock.now()).await.unwrap();
        store::presence::mark_present(&mut tx, "another", hello(1).device, app.app.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        look_ago(&app.app, 10).await;

        let served = status(&app).await;
        assert_eq!((&part(&served, "devices")["state"], &part(&served, "devices")["present"]), (&json!("up"), &json!(1)));
        assert!(served["incidents"][0]["ended_at"].is_i64());
    }
}

db_test! {
    async fn receipts_that_wait_are_an_incident(app: TestApp) {
        let (ada, bob) = (app.customer("Ada").await, app.customer("Bob").await);
        let job = ada.submit(&ada.digits().await, "a").await.json()["id"].as_str().unwrap().to_owned();
        committed(&app, &bob, &job, 1, 10).await;

        app.time.fetch_add(600 * SECOND, std::sync::atomic::Ordering::Relaxed);
        look_ago(&app.app, 45).await;
        assert_eq!(part(&status(&app).await, "checks")["state"], "up");
        app.time.fetch_add(15 * SECOND, std::sync::atomic::Ordering::Relaxed);
        look_ago(&app.app, 30).await;
        look_ago(&app.app, 15).await;

        let waiting = status(&app).await;
        assert_eq!(part(&waiting, "checks")["latency_micros"], 615 * SECOND);
        assert!(waiting["incidents"].as_array().unwrap().iter().any(|one| one["trouble"] == "receipts_wait"), "{waiting}");
    }
}

db_test! {
    async fn of_two_replicas_that_look_at_once_one_is_written_down(app: TestApp) {
        let other = App::start(app.app.config.clone(), app.app.clock.clone()).await.unwrap();
        look_ago(&app.app, 30).await;
        let LastLook { looked_at, now } = last_look(&other).await;
        let at = now - 15 * SECOND;

        look(&app.app, looked_at, at, LATE).await.unwrap();
        let once = status(&app).await;
        look(&other, looked_at, at + 1, Duration::ZERO).await.unwrap();

        let twice = status(&app).await;
        assert_eq!((&twice["parts"], &twice["looked_at"]), (&once["parts"], &once["looked_at"]));
        assert_eq!(times(&twice, "edge").0, at - looked_at.unwrap());
    }
}

db_test! {
    async fn a_database_that_was_away_for_everyone_is_told_so_once(app: TestApp) {
        let other = App::start(app.app.config.clone(), app.app.clock.clone()).await.unwrap();
        look_ago(&app.app, 300).await;
        for replica in [&app.app, &other] {
            for _ in 0..2 {
                replica.status.note_database_away();
            }
        }

        look_ago(&app.app, 0).await;
        look_ago(&other, 0).await;

        let told = status(&app).await;
        let incidents = told["incidents"].as_array().unwrap();
        assert_eq!(incidents.len(), 1, "{told}");
        assert_eq!((&incidents[0]["part"], &incidents[0]["trouble"]), (&json!("database"), &json!("unreachable")));
        let lasted = incidents[0]["ended_at"].as_i64().unwrap() - incidents[0]["began_at"].as_i64().unwrap();
        assert_eq!(times(&told, "database").1, lasted);
        assert_eq!(part(&told, "database")["state"], "up");
    }
}

db_test! {
    async fn a_database_that_was_away_for_one_replica_alone_is_no_incident(app: TestApp) {
        let other = App::start(app.app.config.clone(), app.app.clock.clone()).await.unwrap();
        for _ in 0..2 {
            other.status.note_database_away();
        }
        look_ago(&app.app, 0).await;

        look_ago(&other, 0).await;

        assert_eq!(status(&app).await["incidents"], json!([]));
    }
}

db_test! {
    async fn that_no_server_ran_is_told_by_the_one_that_starts(app: TestApp) {
        let died = look_ago(&app.app, 900).await;

        look_ago(&app.app, 0).await;

        let told = status(&app).await;
        let incident = &told["incidents"][0];
        assert_eq!((&incident["part"], &incident["trouble"], &incident["began_at"]), (&json!("edge"), &json!("no_servers"), &json!(died)));
        assert_eq!(times(&told, "edge").1, incident["ended_at"].as_i64().unwrap() - died);
        assert_eq!(times(&told, "database"), (0, 0), "nobody looked at the rest");
    }
}

db_test! {
    async fn while_the_database_is_away_a_server_says_what_it_remembers(app: TestApp) {
        let fresh = app.app.status.without_database(7);
        assert_eq!((fresh.at, fresh.looked_at, fresh.parts.len()), (7, None, 5), "it never could ask");
        look_ago(&app.app, 10).await;
        let before = status(&app).await;
        app.app.status.keep(serde_json::from_value(before.clone()).unwrap());
        let other = TestApp::sqlite().await;
        other.app.status.keep(serde_json::from_value(before).unwrap());
        for _ in 0..2 {
            other.app.status.note_database_away();
        }
        other.app.db.close().await;

        let away = status(&other).await;

        assert_eq!(states(&away), ["edge up", "database down", "blobs up", "devices idle", "checks up"]);
        assert_eq!(part(&away, "database")["trouble"], "unreachable");
        assert_eq!(part(&away, "database").get("latency_micros"), None);
        assert_eq!((&away["incidents"][0]["part"], away["incidents"][0].get("ended_at")), (&json!("database"), None));
        let page = other.page("/status?lang=en").await;
        assert_eq!(page.status.as_u16(), 200);
        assert!(String::from_utf8(page.bytes).unwrap().contains("Something does not work"));
    }
}

#[tokio::test]
async fn a_database_that_answers_and_takes_nothing_does_not_work() {
    let app = TestApp::sqlite().await;
    look_ago(&app.app, 300).await;
    assert_eq!(part(&status(&app).await, "database")["state"], "unknown");

    app.app.status.note_database_away();
    assert_eq!(part(&status(&app).await, "database")["state"], "unknown", "once is nothing");
    app.app.status.note_database_away();

    assert_eq!(part(&status(&app).await, "database")["state"], "down");
}

#[tokio::test]
async fn the_page_says_in_both_languages_how_the_network_is() {
    let app = TestApp::sqlite().await;
    misplace_blobs(&app);
    look_ago(&app.app, 15).await;
    look_ago(&app.app, 0).await;

    for (lang, words) in [
        ("en", ["Something does not work", "It did not answer", "Goes on", "Idle, no job waits"]),
        ("zh", ["部分功能异常", "无响应或响应异常", "仍在持续", "无设备，也无任务"]),
    ] {
        let html = String::from_utf8(app.page(&format!("/status?lang={lang}")).await.bytes).unwrap();
        for word in words {
            assert!(html.contains(word), "{word} is not on the page: {html}");
        }
        assert_eq!(html.matches("class=\"days\"").count(), 5, "a strip a part");
        assert!(!html.contains("style=\""));
    }
    let landing = String::from_utf8(app.page("/?lang=en").await.bytes).unwrap();
    assert!(landing.contains("href=\"/status?lang=en\""), "every page leads to it");
    let map = String::from_utf8(app.page("/sitemap.xml").await.bytes).unwrap();
    assert!(map.contains("/status</loc>"));
}
