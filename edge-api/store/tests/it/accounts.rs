use store::accounts::{
    NewKeyRow, PlatformAccount, delete_expired_sessions, delete_key, delete_session, ensure_platform_account,
    find_account, find_account_by_key, find_account_by_session, insert_account, insert_key, insert_session, key_id,
    list_balances, list_keys, verify_account,
};
use wire::{AccountId, AccountKind};

use crate::db_test;
use crate::fixture::{NOW, account, account_id};

db_test! {
    async fn balances_of_several_are_read_at_once(conn: &mut DbConnection) {
        let (ada, bob) = (account(conn, 1).await, account(conn, 2).await);

        let balances = list_balances(conn, &[ada, bob, account_id(9)].into()).await.unwrap();

        assert_eq!(balances, [(ada, Default::default()), (bob, Default::default())].into(), "there is no third");
    }
}

db_test! {
    async fn an_account_is_found_as_it_was_opened(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        insert_account(conn, account_id(2), AccountKind::Guest, "Guest", NOW + 1).await.unwrap();

        let found = find_account(conn, ada, true).await.unwrap().unwrap();
        let guest = find_account(conn, account_id(2), false).await.unwrap().unwrap();

        assert_eq!((found.id, found.kind, found.name.as_str()), (ada, AccountKind::Customer, "Ada"));
        assert_eq!((found.verified, found.created_at, found.development), (false, NOW, true));
        assert_eq!((found.available.micros(), found.held.micros(), found.pending.micros()), (0, 0, 0));
        assert_eq!((guest.kind, guest.created_at, guest.development), (AccountKind::Guest, NOW + 1, false));
        assert_eq!(find_account(conn, account_id(3), true).await.unwrap(), None);
    }
}

db_test! {
    async fn customers_alone_become_known_to_the_operator(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        insert_account(conn, account_id(2), AccountKind::Guest, "Guest", NOW).await.unwrap();

        assert!(verify_account(conn, ada).await.unwrap());
        assert!(!verify_account(conn, account_id(2)).await.unwrap());
        assert!(!verify_account(conn, account_id(3)).await.unwrap());
        assert!(find_account(conn, ada, true).await.unwrap().unwrap().verified);
    }
}

db_test! {
    async fn the_platforms_own_accounts_are_made_once_and_shown_to_nobody(conn: &mut DbConnection) {
        let faucet = AccountId::platform(1);
        for kind in [PlatformAccount::Faucet, PlatformAccount::Fees] {
            ensure_platform_account(conn, faucet, kind, NOW).await.unwrap();
        }

        assert_eq!(find_account(conn, faucet, true).await.unwrap(), None);
    }
}

db_test! {
    async fn a_key_opens_its_account_until_it_is_deleted(conn: &mut DbConnection) {
        let (ada, bob) = (account(conn, 1).await, account(conn, 2).await);
        let (first, second) = ("aaaaaaaaaaaaaaaa-first", "bbbbbbbbbbbbbbbb-second");
        insert_key(conn, ada, NewKeyRow { key_hash: second, name: "CI", hint: "wxyz" }, NOW + 1).await.unwrap();
        insert_key(conn, ada, NewKeyRow { key_hash: first, name: "First", hint: "abcd" }, NOW).await.unwrap();

        let keys = list_keys(conn, ada).await.unwrap();

        let shown: Vec<_> = keys.iter().map(|key| (key.id.as_str(), key.name.as_str(), key.hint.as_str())).collect();
        assert_eq!(shown, [(key_id(first), "First", "abcd"), (key_id(second), "CI", "wxyz")]);
        assert_eq!(find_account_by_key(conn, first).await.unwrap(), Some(ada));
        insert_session(conn, ada, ("by first", first), NOW + 10).await.unwrap();
        insert_session(conn, ada, ("by second", second), NOW + 10).await.unwrap();
        assert_eq!(delete_key(conn, bob, key_id(first)).await.unwrap(), None, "it is not his");
        assert_eq!(delete_key(conn, ada, key_id(first)).await.unwrap().as_deref(), Some(first));
        assert_eq!(find_account_by_session(conn, "by first", NOW).await.unwrap(), None, "it ends with its key");
        assert_eq!(find_account_by_session(conn, "by second", NOW).await.unwrap(), Some((ada, second.to_owned())));
        assert_eq!(find_account_by_key(conn, first).await.unwrap(), None);
        assert_eq!(list_keys(conn, ada).await.unwrap().len(), 1);
    }
}

db_test! {
    async fn a_session_opens_its_account_until_it_ends(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        for (token, expires_at) in [("short", NOW + 10), ("long", NOW + 20)] {
            insert_session(conn, ada, (token, "key"), expires_at).await.unwrap();
        }

        assert_eq!(find_account_by_session(conn, "short", NOW + 9).await.unwrap(), Some((ada, "key".to_owned())));
        assert_eq!(find_account_by_session(conn, "short", NOW + 10).await.unwrap(), None);
        delete_expired_sessions(conn, NOW + 10).await.unwrap();
        assert_eq!(find_account_by_session(conn, "short", NOW).await.unwrap(), None);
        assert_eq!(find_account_by_session(conn, "long", NOW).await.unwrap(), Some((ada, "key".to_owned())));
        delete_session(conn, "long").await.unwrap();
        assert_eq!(find_account_by_session(conn, "long", NOW).await.unwrap(), None);
    }
}
