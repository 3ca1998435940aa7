//! Tables to take away: whole or refused, cut where they say so, and harmless in a spreadsheet.

use edge_api::server;
use wire::DeviceId;

use crate::app::TestApp;
use crate::explorer::settled;

/// A network with one published job and three devices, each with a receipt.
async fn world() -> TestApp {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let job = ada.submit(&ada.digits().await, "a").await.json()["id"].as_str().unwrap().to_owned();
    for device in 1..=3 {
        settled(&app, &ada, &job, device, 10 + device).await;
    }
    app
}

async fn csv(app: &TestApp, path: &str) -> String {
    String::from_utf8(app.page(path).await.bytes).unwrap()
}

#[tokio::test]
async fn a_file_that_was_cut_says_so_in_its_last_line_and_in_a_header_and_the_next_goes_on() {
    let app = world().await;
    let whole = csv(&app, "/explorer/receipts.csv").await;
    assert!(!whole.contains("# continues"), "{whole}");

    let first = app.page("/explorer/receipts.csv?limit=2").await;
    let link = first.headers["link"].to_str().unwrap().to_owned();
    let first = String::from_utf8(first.bytes).unwrap();
    let query = first.lines().last().unwrap().strip_prefix("# continues: ").unwrap();
    let second = csv(&app, &format!("/explorer/receipts.csv{query}")).await;

    assert_eq!(link, format!("<{query}>; rel=\"next\""));
    assert!(query.starts_with("?after=") && query.ends_with("&limit=2"), "{query}");
    let rows =
        |text: &str| text.lines().skip(1).filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!([rows(&first), rows(&second)].concat(), rows(&whole));
    assert_eq!(second.lines().count(), 2, "the last file has no line about a next one: {second}");
}

#[tokio::test]
async fn a_table_whose_database_fails_is_refused_and_never_short() {
    let app = world().await;
    let router = server::router(&app.app);
    let mut tx = app.app.db.begin_write().await.unwrap();
    sqlx::query("drop view public_receipt").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();

    for path in ["/explorer/receipts.csv", "/explorer/receipts.csv?limit=1", "/explorer/receipts.json"] {
        let request = axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        let answer = app.send_to(router.clone(), request).await;

        assert_eq!(answer.status.as_u16(), 500, "{path}");
        assert!(!String::from_utf8(answer.bytes).unwrap().contains("lease,device"), "{path}");
    }
}

#[tokio::test]
async fn strangers_names_are_no_formulas_unknown_figures_are_left_out_and_times_are_utc() {
    let app = world().await;

    let devices = csv(&app, "/explorer/devices.csv").await;
    let mut reader = csv::Reader::from_reader(devices.as_bytes());
    let column = |name: &str, headers: &csv::StringRecord| headers.iter().position(|one| one == name).unwrap();
    let headers = reader.headers().unwrap().clone();
    let row = reader.records().next().unwrap().unwrap();

    assert!(row[column("name", &headers)].starts_with("'=GPU"), "{devices}");
    assert_eq!(&row[column("down_bytes_per_sec", &headers)], "", "nobody has measured its line");
    assert_eq!(&row[column("proved_ops_per_sec", &headers)], "", "it was never challenged");
    assert!(row[column("seen_at", &headers)].ends_with('Z'), "{devices}");
}

#[tokio::test]
async fn a_byte_order_mark_is_there_for_whoever_asks_for_it() {
    let app = world().await;
    let plain = app.page("/explorer/devices.csv").await.bytes;
    let marked = app.page("/explorer/devices.csv?bom=1").await.bytes;

    assert_eq!(marked, [&b"\xef\xbb\xbf"[..], &plain[..]].concat());
}

#[tokio::test]
async fn a_devices_own_table_has_all_of_its_receipts() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let job = ada.submit(&ada.digits().await, "a").await.json()["id"].as_str().unwrap().to_owned();
    for lease in 10..15 {
        settled(&app, &ada, &job, 1, lease).await;
    }

    let path = format!("/explorer/devices/{}.csv", DeviceId([1; 32]));

    assert_eq!(csv(&app, &path).await.lines().count(), 6);
    assert!(csv(&app, &format!("{path}?limit=2")).await.contains("# continues: ?after="));
}
