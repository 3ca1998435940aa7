use store::guests::{delete_guest, list_dead_guests};
use store::presence::mark_present;
use wire::{AccountId, AccountKind};

use crate::db_test;
use crate::fixture::{NOW, Work, account_id, device, hello};

async fn guest(conn: &mut store::DbConnection, n: u64) -> AccountId {
    store::accounts::insert_account(conn, account_id(n), AccountKind::Guest, "Guest", NOW).await.unwrap();
    account_id(n)
}

db_test! {
    async fn a_guest_that_never_earned_is_dead_once_its_devices_are_not_seen(conn: &mut DbConnection) {
        let (dead, present) = (guest(conn, 5).await, guest(conn, 6).await);
        device(conn, 5, dead).await;
        let here = device(conn, 6, present).await;
        mark_present(conn, "one", here, NOW).await.unwrap();

        assert_eq!(list_dead_guests(conn, NOW, None, 10).await.unwrap(), [], "it was seen just now");
        assert_eq!(list_dead_guests(conn, NOW + 1, None, 10).await.unwrap(), [dead]);
        assert_eq!(list_dead_guests(conn, NOW + 1, Some(dead), 10).await.unwrap(), []);
        delete_guest(conn, dead, NOW + 1).await.unwrap();
        assert_eq!(store::accounts::find_account(conn, dead, false).await.unwrap(), None);
        assert!(store::devices::find_device(conn, hello(5).device).await.unwrap().is_none());
        assert_eq!(list_dead_guests(conn, NOW + 1, None, 10).await.unwrap(), []);
    }
}

db_test! {
    async fn customers_and_guests_whose_devices_computed_are_not_dead(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let guest = guest(conn, 5).await;
        store::devices::upsert_device(conn, &hello(1), guest, None, NOW).await.unwrap();
        work.commit(conn, 1, (0, 1), 0).await;

        assert_eq!(list_dead_guests(conn, NOW + 1, None, 10).await.unwrap(), []);
    }
}
