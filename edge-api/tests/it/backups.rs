//! Tiles of a device that is late are lent to another one too, and paid once.

use std::sync::atomic::Ordering;
use std::time::Duration;

use edge_api::server::Patience;
use serde_json::json;
use wire::{ErrorCode, FromDevice};

use crate::db_test;
use crate::deadlines::order;
use crate::device::Device;
use crate::until::until;

/// Late, and not overdue.
const LATE: i64 = 10_000_000;

db_test! {
    async fn whoever_of_two_is_verified_first_is_paid_and_the_other_is_not(app: TestApp) {
        let ada = app.customer("Ada").await;
        let address = app.listen(Patience::default()).await;
        let connect = async |seed| Device::connect(address, seed, |hello| hello.key = Some(ada.key.clone())).await.unwrap();
        let (mut slow, mut quick) = (connect(1).await, connect(2).await);
        let job = ada.submit(&order(&ada, json!(null)).await, "a").await.json();
        let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
        let held = slow.take_lease().await;
        let mut done = 0;
        while done < 20 - held.tiles {
            let lease = quick.take_lease().await;
            quick.commit_zeros(&app, &lease).await;
            assert_eq!(quick.settled().await, lease.lease);
            done += lease.tiles;
        }
        quick.send(&FromDevice::Ready).await;

        app.time.fetch_add(LATE, Ordering::Relaxed);
        let backup = quick.lease().await;
        assert_eq!((backup.first_tile, backup.tiles), (held.first_tile, held.tiles));
        assert_ne!(backup.lease, held.lease);
        quick.commit_zeros(&app, &backup).await;
        assert_eq!(quick.settled().await, backup.lease);
        slow.commit_zeros(&app, &held).await;
        assert_eq!(slow.refused().await, ErrorCode::UnknownLease);

        until("the job is done", Duration::from_secs(30), async || {
            (ada.get(&path).await.json()["state"] == "done").then_some(())
        })
        .await;
        let detail = ada.get(&format!("{path}/detail")).await.json();
        let tiles: Vec<u64> = detail["devices"].as_array().unwrap().iter().map(|one| one["tiles"].as_u64().unwrap()).collect();
        assert_eq!(tiles, [20], "{detail}");
        let books = store::audit::audit(&mut app.app.db.read().await.unwrap()).await.unwrap();
        assert_eq!(books, store::audit::Audit::default());
    }
}
