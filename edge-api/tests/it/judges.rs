//! Who computes again what another did is paid for it, in whole micro-credits.

use edge_api::fleet::judges::pay_for_dispute;
use wire::{Credits, DeviceId};

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
        let available = async || bob.get("/v1/account").await.json()["available"].as_i64().unwrap() - before;

        for _ in 0..3 {
            pay_for_dispute(&app.app, &job, device).await;
        }
        assert_eq!(available().await, 0, "nine tenths");
        pay_for_dispute(&app.app, &job, device).await;
        assert_eq!(available().await, 1, "and two tenths are still owed");
        for _ in 0..3 {
            pay_for_dispute(&app.app, &job, device).await;
        }
        assert_eq!(available().await, 2);
        pay_for_dispute(&app.app, &job, DeviceId([99; 32])).await;

        let entries = bob.get("/v1/account/entries").await.json();
        let paid = entries["rows"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "judge");
        let paid: Vec<i64> = paid.map(|entry| entry["amount"].as_i64().unwrap()).collect();
        assert_eq!(paid.iter().sum::<i64>(), 2, "{entries}");
        let mut conn = app.app.db.read().await.unwrap();
        let (fees, _) = store::ledger::find_platform_balance(&mut conn, app.app.fees).await.unwrap();
        assert_eq!(fees, Credits::from_micros(-2), "the platform has earned no fee yet");
    }
}
