//! Two replicas over one PostgreSQL: what one does, the other knows at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_api::app::App;
use edge_api::clock::Clock;
use edge_api::server::{Patience, accept};
use edge_api::tasks;
use serde_json::{Value, json};
use store::notices::{Notice, notify};
use tokio::net::TcpListener;
use wire::{ErrorCode, JobId};

use crate::app::TestApp;
use crate::deadlines::order;
use crate::device::{self, Device};
use crate::until::until;

const WITHIN: Duration = Duration::from_secs(30);

/// Another replica of the same, once it listens.
async fn replica_of(app: &TestApp) -> App {
    let folder = tempfile::TempDir::new().unwrap();
    let mut config = TestApp::config(folder.path(), app.app.config.database_url.clone());
    config.blobs.clone_from(&app.app.config.blobs);
    let other = App::start(config, Clock::Fixed(Arc::clone(&app.time))).await.unwrap();
    tasks::start(&other);
    until("it listens", WITHIN, async || (*other.publications.borrow() > 0).then_some(())).await;
    other
}

fn id(job: &Value) -> JobId {
    job["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn jobs_that_change_and_pages_that_are_published_are_known_elsewhere_at_once() {
    let app = TestApp::postgres_with(|_| {}).await;
    let other = replica_of(&app).await;
    let ada = app.customer("Ada").await;
    let job = ada.submit(&order(&ada, json!(null)).await, "a").await.json();
    let mut changes = other.scheduler.changes.subscribe();
    let before = *other.publications.borrow();

    let mut undone = app.app.db.begin_write().await.unwrap();
    notify(&mut undone, &app.app.replica, Notice::JobChanged(JobId::from_parts(1, [0; 10]))).await.unwrap();
    undone.rollback().await.unwrap();
    assert_eq!(ada.post(&format!("/v1/jobs/{}/publish", id(&job)), &json!(null)).await.status, 200);
    assert_eq!(ada.post(&format!("/v1/jobs/{}/cancel", id(&job)), &json!(null)).await.status, 200);

    assert_eq!(changes.recv().await.unwrap(), id(&job), "and not what was rolled back");
    assert_eq!(*other.publications.borrow(), before + 1);
    other.shut_down().await;
}

#[tokio::test]
async fn a_device_is_suspended_or_unlinked_wherever_it_is_connected() {
    let app = TestApp::postgres_with(|_| {}).await;
    let other = replica_of(&app).await;
    let ada = app.customer("Ada").await;
    let second = ada.post("/v1/account/keys", &json!({ "name": "second" })).await.json();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, accepting) = (listener.local_addr().unwrap(), other.clone());
    other.tasks.spawn(async move { accept(&accepting, listener, Patience::default()).await });
    let key = second["secret"].as_str().unwrap().to_owned();
    let mut device = Device::connect(address, 1, |hello| hello.key = Some(key)).await.unwrap();
    device.send(&wire::FromDevice::Ready).await;
    let is_awake =
        || other.scheduler.lock().core.offer(device::id(1), other.clock.now()).is_some_and(|offer| offer.is_awake);
    until("it takes work", WITHIN, async || is_awake().then_some(())).await;

    let mut tx = app.app.db.begin_write().await.unwrap();
    let until_then = app.app.clock.now() + 60_000_000;
    notify(&mut tx, &app.app.replica, Notice::Suspended(device::id(1), until_then)).await.unwrap();
    tx.commit().await.unwrap();
    until("it takes none", WITHIN, async || (!is_awake()).then_some(())).await;

    let revoked = Instant::now();
    let path = format!("/v1/account/keys/{}", second["key"]["id"].as_str().unwrap());
    assert_eq!(ada.delete(&path).await.status, 204);
    assert_eq!(device.closed().await, ErrorCode::Unauthorized);
    assert!(revoked.elapsed() < Duration::from_secs(5), "nobody has looked yet: {:?}", revoked.elapsed());
    other.shut_down().await;
}
