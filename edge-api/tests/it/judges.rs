//! Who computes again what another did is paid for it, in whole micro-credits.

use edge_api::fleet::judges::pay_for_dispute;
use rules::scheduling::lease::{Lease, LeaseState};
use rules::scheduling::speed::Took;
use wire::{Credits, DeviceId, LeaseId};

use crate::db_test;
use crate::explorer::committed;

db_test! {
    async fn judges_are_paid_half_the_price_from_the_fees_and_what_is_less_than_a_micro_credit_waits(app: TestApp) {
        let (ada, bob) = (app.customer("Ada").await, app.customer("Bob").await);
        let ordered = ada.submit(&ada.digits().await, "a").await.json();
        let id = ordered["id"].as_str().unwrap();
        // A device of Bob's is on record.
        committed(&app, &bob, bob.submit(&bob.digits().await, "b").await.json()["id"].as_str().unwrap(), 1, 10).await;
        let (device, before) = (DeviceId([1; 32]), bob.get("/v1/account").await.json()["available"].as_i64().unwrap());
        let job = store::jobs::load_job(&mut app.app.db.read().await.unwrap(), id.parse().unwrap()).await.unwrap();
        let mut job = job.unwrap();
        // A tile of 30 GFLOP: three tenths of a micro-credit are half its price.
        job.row_flops = 30_000_000_000u64.div_ceil(job.tile_rows);
        let lease = Lease {
            id: LeaseId([3; 16]),
            device: DeviceId([2; 32]),
            job: job.id,
            slice: app.first_slice(job.id).await,
            first_tile: 0,
            tiles: 4,
            granted_at: 0,
            deadline: 0,
            took: Took::Unknown,
            state: LeaseState::Committed,
        };
        let pay = async |tile, device| pay_for_dispute(&app.app, &job, &lease, (device, tile), job.tile_flops()).await;
        let available = async || bob.get("/v1/account").await.json()["available"].as_i64().unwrap() - before;

        for tile in 0..3 {
            pay(tile, device).await;
            pay(tile, device).await;
        }
        assert_eq!(available().await, 0, "nine tenths, since nothing is paid twice");
        pay(3, device).await;
        assert_eq!(available().await, 1, "and two tenths are still owed");
        for tile in 4..7 {
            pay(tile, device).await;
        }
        assert_eq!(available().await, 2);

        let entries = bob.get("/v1/account/entries").await.json();
        let paid = entries["rows"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "judge");
        let paid: Vec<i64> = paid.map(|entry| entry["amount"].as_i64().unwrap()).collect();
        assert_eq!(paid.iter().sum::<i64>(), 2, "{entries}");
        let mut conn = app.app.db.read().await.unwrap();
        let (fees, _) = store::ledger::find_platform_balance(&mut conn, app.app.fees).await.unwrap();
        assert_eq!(fees, Credits::from_micros(-2), "the platform has earned no fee yet");
    }
}
