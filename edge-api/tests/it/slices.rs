//! Who owns a slice, and what an owner of yesterday may still do: nothing.

use edge_api::scheduling::bitmap::Bitmap;
use edge_api::scheduling::core::Settlement;
use edge_api::scheduling::store::{self, ClaimedSlice};

use crate::app::TestApp;
use crate::db_test;

async fn claim(app: &TestApp, replica: &str, now: i64) -> Vec<ClaimedSlice> {
    let mut tx = app.app.db.begin_write().await.unwrap();
    store::heartbeat(&mut tx, replica, now).await.unwrap();
    let claimed = store::claim_slices(&mut tx, app.app.db.dialect, replica, now - 5, 100).await.unwrap();
    tx.commit().await.unwrap();
    claimed
}

fn settlement(slice: &ClaimedSlice) -> Settlement {
    let mut settled = Bitmap::from_bytes(slice.tiles, &slice.settled).unwrap();
    settled.set(0, 2);
    Settlement { slice: slice.slice, fence: slice.fence, version: slice.version, settled, tiles: 2 }
}

async fn settle(app: &TestApp, settlement: &Settlement) -> bool {
    let mut tx = app.app.db.begin_write().await.unwrap();
    let done = store::settle_slice(&mut tx, settlement).await.unwrap();
    tx.commit().await.unwrap();
    done
}

db_test! {
    async fn a_slice_has_one_owner_until_that_one_is_silent(app: TestApp) {
        let ada = app.customer("Ada").await;
        ada.submit(&ada.digits().await, "a").await;

        let first = claim(&app, "one", 100).await;
        let second = claim(&app, "two", 101).await;
        let later = claim(&app, "two", 110).await;

        assert_eq!((first.len(), second.len(), later.len()), (4, 0, 4));
        assert_eq!(first.iter().map(|slice| slice.tiles).sum::<u64>(), 225);
        assert!(later.iter().zip(&first).all(|(later, first)| later.fence == first.fence + 1));
    }
}

db_test! {
    async fn an_owner_that_slept_settles_nothing_after_it_wakes(app: TestApp) {
        let ada = app.customer("Ada").await;
        ada.submit(&ada.digits().await, "a").await;
        let slept = claim(&app, "one", 100).await;
        let awake = claim(&app, "two", 110).await;

        assert!(!settle(&app, &settlement(&slept[0])).await, "the fence has moved on");
        assert!(settle(&app, &settlement(&awake[0])).await);
        assert!(!settle(&app, &settlement(&awake[0])).await, "the version has moved on");
    }
}

db_test! {
    async fn replicas_that_claim_at_once_share_the_slices(app: TestApp) {
        let ada = app.customer("Ada").await;
        ada.submit(&ada.digits().await, "a").await;

        let (one, two) = tokio::join!(claim(&app, "one", 100), claim(&app, "two", 100));

        assert_eq!(one.len() + two.len(), 4, "every slice has an owner, and one");
    }
}

db_test! {
    async fn what_a_replica_lets_go_another_takes(app: TestApp) {
        let ada = app.customer("Ada").await;
        ada.submit(&ada.digits().await, "a").await;
        let first = claim(&app, "one", 100).await;

        let mut tx = app.app.db.begin_write().await.unwrap();
        store::release_slice(&mut tx, "two", first[0].slice).await.unwrap();
        store::release_slice(&mut tx, "one", first[1].slice).await.unwrap();
        tx.commit().await.unwrap();

        let taken = claim(&app, "two", 101).await;
        assert_eq!(taken.iter().map(|slice| slice.slice).collect::<Vec<_>>(), [first[1].slice]);
    }
}
