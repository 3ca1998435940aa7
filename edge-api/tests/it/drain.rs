//! A server that is asked to stop: nobody is led to it, what was begun is handed in, and others take its slices over.

use std::time::Instant;

use edge_api::fleet::drain::drain;
use edge_api::server::Patience;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;
use wire::ErrorCode;

use crate::app::TestApp;
use crate::db_test;
use crate::deadlines::order;
use crate::device::Device;
use crate::until::until;

/// Drains beside the test.
fn start_to_drain(app: &TestApp) {
    let draining = app.app.clone();
    app.app.tasks.spawn(async move { drain(&draining).await });
}

async fn owners(app: &TestApp) -> Vec<String> {
    let mut conn = app.app.db.read().await.unwrap();
    sqlx::query_scalar("select distinct owner from slice order by owner").fetch_all(&mut *conn).await.unwrap()
}

async fn replicas(app: &TestApp) -> Vec<(String, i64)> {
    store::replicas::list_heartbeats(&mut app.app.db.read().await.unwrap(), 9).await.unwrap()
}

#[tokio::test]
async fn a_server_that_drains_lives_is_not_ready_and_takes_no_device() {
    let app = TestApp::sqlite().await;
    let address = app.listen(Patience::default()).await;
    assert_eq!(app.get("/v1/ready").await.status, 200);

    app.app.draining.cancel();

    let refused = app.get("/v1/ready").await;
    assert_eq!(refused.refusal(), "503 draining");
    assert_eq!(refused.headers["retry-after"], "1");
    for path in ["/v1/live", "/v1/health"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    let socket = format!("ws://{address}/v1/devices/socket");
    let Err(tungstenite::Error::Http(answer)) = Box::pin(tokio_tungstenite::connect_async(socket)).await else {
        panic!("a device was taken");
    };
    assert_eq!(answer.status(), 503);
    let (mut late, mut answer) = (TcpStream::connect(address).await.unwrap(), Vec::new());
    late.write_all(b"GET /v1/ready HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    late.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 503 "), "a connection of its own gets one answer, and ends");
}

db_test! {
    async fn devices_hand_in_what_they_hold_before_they_are_sent_on_and_slices_are_free_at_once(app: TestApp) {
        let ada = app.customer("Ada").await;
        let address = app.listen(Patience::default()).await;
        let connect = async |seed| Device::connect(address, seed, |hello| hello.key = Some(ada.key.clone())).await.unwrap();
        let (mut busy, mut idle) = (connect(1).await, connect(2).await);
        assert_eq!(ada.submit(&order(&ada, json!(null)).await, "a").await.status, 201);
        let lease = busy.take_lease().await;
        assert_eq!(owners(&app).await, std::slice::from_ref(&app.app.replica));

        start_to_drain(&app);

        assert_eq!(idle.closed().await, ErrorCode::Draining);
        busy.send(&wire::FromDevice::Ready).await;
        busy.commit_zeros(&app, &lease).await;
        assert_eq!(busy.settled().await, lease.lease, "and no other lease came before");
        assert_eq!(busy.closed().await, ErrorCode::Draining);
        until("its slices are nobody's", std::time::Duration::from_secs(30), async || {
            (owners(&app).await == [""]).then_some(())
        })
        .await;
    }
}

db_test! {
    async fn a_lease_that_outlasts_the_drain_does_not_hold_it_up(app: TestApp) {
        let ada = app.customer("Ada").await;
        let address = app.listen(Patience::default()).await;
        let mut device = Device::connect(address, 1, |hello| hello.key = Some(ada.key.clone())).await.unwrap();
        assert_eq!(ada.submit(&order(&ada, json!(null)).await, "a").await.status, 201);
        device.take_lease().await;
        let begun = Instant::now();

        drain(&app.app).await;
        app.app.end_tasks().await;

        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
        assert_eq!(device.closed().await, ErrorCode::Draining);
        assert_eq!((owners(&app).await, replicas(&app).await), (vec![String::new()], Vec::new()));
        let proved: (i64,) = sqlx::query_as("select count(*) from device where suspended_until > 0")
            .fetch_one(&mut *app.app.db.read().await.unwrap())
            .await
            .unwrap();
        assert_eq!(proved.0, 0, "nobody is blamed");
    }
}
