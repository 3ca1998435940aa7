//! Who owns a slice, and what an owner of yesterday may still do: nothing.

use rules::scheduling::bitmap::Bitmap;
use rules::scheduling::lease::Settlement;
use store::slices::ClaimedSlice;
use wire::JobId;

use crate::app::{Answer, TestApp};
use crate::db_test;
use crate::explorer::committed;

const MINUTE: i64 = 60_000_000;

async fn claim(app: &TestApp, replica: &str) -> Vec<ClaimedSlice> {
    let mut tx = app.app.db.begin_write().await.unwrap();
    store::replicas::heartbeat(&mut tx, replica).await.unwrap();
    let owners = store::slices::list_lost_owners(&mut tx, replica, MINUTE).await.unwrap();
    let jobs = store::jobs::list_unclaimed_jobs(&mut tx, &owners, None, 100).await.unwrap();
    let jobs: Vec<_> = jobs.into_iter().map(|job| job.id).collect();
    let claimed = store::slices::claim_slices(&mut tx, replica, &owners, &jobs, 100).await.unwrap();
    tx.commit().await.unwrap();
    claimed
}

/// As if it had last said two minutes ago that it lives.
async fn silence(app: &TestApp, replica: &str) {
    let mut tx = app.app.db.begin_write().await.unwrap();
    let silenced = sqlx::query("update replica set heartbeat_at = heartbeat_at - $2 where replica_id = $1");
    silenced.bind(replica).bind(2 * MINUTE).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

fn settlement(slice: &ClaimedSlice) -> Settlement {
    let mut settled = Bitmap::from_bytes(slice.tiles, &slice.settled).unwrap();
    settled.set(0, 2);
    Settlement {
        slice: slice.slice,
        first_tile: slice.first_tile,
        fence: slice.fence,
        version: slice.version,
        settled,
        tiles: 2,
    }
}

async fn settle(app: &TestApp, settlement: &Settlement) -> bool {
    let mut tx = app.app.db.begin_write().await.unwrap();
    let done = store::slices::settle_slice(&mut tx, settlement).await.unwrap();
    tx.commit().await.unwrap();
    done
}

db_test! {
    async fn a_slice_has_one_owner_until_that_one_is_silent(app: TestApp) {
        let ada = app.customer("Ada").await;
        ada.submit(&ada.digits().await, "a").await;

        let first = claim(&app, "one").await;
        let second = claim(&app, "two").await;
        silence(&app, "one").await;
        let later = claim(&app, "two").await;

        assert_eq!((first.len(), second.len(), later.len()), (4, 0, 4));
        assert_eq!(first.iter().map(|slice| slice.tiles).sum::<u64>(), 225);
        assert!(later.iter().zip(&first).all(|(later, first)| later.fence == first.fence + 1));
    }
}

db_test! {
    async fn an_owner_that_slept_settles_nothing_after_it_wakes(app: TestApp) {
        let ada = app.customer("Ada").await;
        ada.submit(&ada.digits().await, "a").await;
        let slept = claim(&app, "one").await;
        silence(&app, "one").await;
        let awake = claim(&app, "two").await;

        assert!(!settle(&app, &settlement(&slept[0])).await, "the fence has moved on");
        assert!(settle(&app, &settlement(&awake[0])).await);
        assert!(!settle(&app, &settlement(&awake[0])).await, "the version has moved on");
    }
}

db_test! {
    async fn replicas_that_claim_at_once_share_the_slices(app: TestApp) {
        let ada = app.customer("Ada").await;
        ada.submit(&ada.digits().await, "a").await;

        let (one, two) = tokio::join!(claim(&app, "one"), claim(&app, "two"));

        assert_eq!(one.len() + two.len(), 4, "every slice has an owner, and one");
    }
}

db_test! {
    async fn what_a_replica_lets_go_another_takes(app: TestApp) {
        let ada = app.customer("Ada").await;
        ada.submit(&ada.digits().await, "a").await;
        let first = claim(&app, "one").await;

        let mut tx = app.app.db.begin_write().await.unwrap();
        store::slices::release_slice(&mut tx, "two", first[0].slice).await.unwrap();
        store::slices::release_slice(&mut tx, "one", first[1].slice).await.unwrap();
        tx.commit().await.unwrap();

        let taken = claim(&app, "two").await;
        assert_eq!(taken.iter().map(|slice| slice.slice).collect::<Vec<_>>(), [first[1].slice]);
    }
}

db_test! {
    async fn only_slices_of_the_jobs_that_a_replica_can_do_are_claimed(app: TestApp) {
        let ada = app.customer("Ada").await;
        let model = ada.digits().await;
        let id = |answer: &Answer| answer.json()["id"].as_str().unwrap().parse::<JobId>().unwrap();
        let mut jobs = [id(&ada.submit(&model, "a").await), id(&ada.submit(&model, "b").await)];
        jobs.sort();
        let [first, second] = jobs;
        let mut tx = app.app.db.begin_write().await.unwrap();
        let nobody = [String::new()];

        let page = store::jobs::list_unclaimed_jobs(&mut tx, &nobody, None, 1).await.unwrap();
        let rest = store::jobs::list_unclaimed_jobs(&mut tx, &nobody, Some(page[0].id), 9).await.unwrap();
        let none = store::slices::claim_slices(&mut tx, "one", &nobody, &[], 100).await.unwrap();
        let claimed = store::slices::claim_slices(&mut tx, "one", &nobody, &[second], 100).await.unwrap();
        store::replicas::heartbeat(&mut tx, "one").await.unwrap();
        let lost = store::slices::list_lost_owners(&mut tx, "two", MINUTE).await.unwrap();
        let left = store::jobs::list_unclaimed_jobs(&mut tx, &lost, None, 9).await.unwrap();

        assert_eq!([page[0].id, rest[0].id], [first, second]);
        assert_eq!((page.len(), rest.len(), none.len()), (1, 1, 0));
        assert_eq!((claimed.len(), claimed.iter().all(|slice| slice.job == second)), (4, true));
        assert_eq!(left.iter().map(|job| job.id).collect::<Vec<_>>(), [first]);
    }
}

db_test! {
    async fn a_receipt_that_waits_for_its_check_is_taken_up_whatever_the_devices_can_do(app: TestApp) {
        let ada = app.customer("Ada").await;
        let job = ada.submit(&ada.digits().await, "a").await.json()["id"].as_str().unwrap().to_owned();
        committed(&app, &ada, &job, 1, 10).await;
        let slice = app.first_slice(job.parse().unwrap()).await;

        let mut tx = app.app.db.begin_write().await.unwrap();
        let claimed = store::slices::claim_unchecked_slices(&mut tx, "one", &[String::new()], 100).await.unwrap();

        assert_eq!(claimed.iter().map(|slice| slice.slice).collect::<Vec<_>>(), [slice]);
    }
}

db_test! {
    async fn a_slice_that_another_took_after_one_looked_is_not_taken_again(app: TestApp) {
        let ada = app.customer("Ada").await;
        let job = ada.submit(&ada.digits().await, "a").await.json()["id"].as_str().unwrap().parse().unwrap();
        let mut tx = app.app.db.begin_write().await.unwrap();
        let seen = store::slices::list_lost_owners(&mut tx, "two", MINUTE).await.unwrap();
        // It has not even said that it lives.
        let first = store::slices::claim_slices(&mut tx, "one", &seen, &[job], 100).await.unwrap();
        let second = store::slices::claim_slices(&mut tx, "two", &seen, &[job], 100).await.unwrap();
        let lost = store::slices::list_lost_owners(&mut tx, "two", MINUTE).await.unwrap();

        assert_eq!((seen, first.len(), second.len()), (vec![String::new()], 4, 0));
        assert_eq!(lost, ["one"]);
    }
}
