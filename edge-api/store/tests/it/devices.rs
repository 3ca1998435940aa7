use rules::scheduling::line::LineSpeed;
use rules::scheduling::speed::Proof;
use rules::verification::party::Network;
use store::devices::{
    AcceptedWork, LockedDevice, add_owed, count_failed, count_passed, delete_expired_codes, find_backend, find_device,
    insert_device_code, insert_judge_answer, link_device, list_devices_of_account, list_devices_of_key,
    list_unlinked_devices, lock_devices, record_line, record_proof, set_owed, sum_judged, suspend_device,
    take_device_code, uncount_lease, unlink_device, upsert_device,
};
use store::explorer::find_public_device;
use store::presence::mark_present;
use wire::{DeviceId, LeaseId};

use crate::db_test;
use crate::fixture::{NOW, account, credits, device, hello};

db_test! {
    async fn a_devices_name_holds_nothing_that_cannot_be_seen(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        let mut said = hello(1);
        "\u{1b}[31mRTX\t4090\r\n\u{202e}desrever\u{200b} ".clone_into(&mut said.name);

        upsert_device(conn, &said, ada, None, NOW).await.unwrap();

        let shown = find_public_device(conn, said.device, NOW).await.unwrap().unwrap();
        assert_eq!(shown.name, "[31mRTX 4090 desrever");
    }
}

db_test! {
    async fn a_device_is_as_it_last_said_under_its_latest_account(conn: &mut DbConnection) {
        let (ada, bob) = (account(conn, 1).await, account(conn, 2).await);
        let known = device(conn, 1, ada).await;

        let first = find_device(conn, known).await.unwrap().unwrap();
        let mut again = hello(1);
        let network = Network::of("203.0.113.9".parse().unwrap());
        "Another driver".clone_into(&mut again.name);
        upsert_device(conn, &again, bob, network, NOW + 5).await.unwrap();
        let second = find_device(conn, known).await.unwrap().unwrap();
        let listed = list_devices_of_account(conn, bob, 10, NOW + 5).await.unwrap();

        assert_eq!((first.account, first.verified, first.created_at), (ada, false, NOW));
        assert_eq!((first.network, second.network), (None, network));
        assert_eq!((second.account, second.created_at, second.worked_flops_per_sec), (bob, NOW, 0));
        assert_eq!((listed[0].name.as_str(), listed[0].seen_at), ("Another driver", NOW + 5));
        assert!(find_device(conn, DeviceId([9; 32])).await.unwrap().is_none());
        assert_eq!(find_backend(conn, known).await.unwrap(), Some(again.backend.name().to_owned()));
        assert_eq!(find_backend(conn, DeviceId([9; 32])).await.unwrap(), None);
    }
}

db_test! {
    async fn an_unlinked_device_is_a_guests_until_it_is_linked_again(conn: &mut DbConnection) {
        let (ada, bob, guest) = (account(conn, 1).await, account(conn, 2).await, account(conn, 3).await);
        let known = device(conn, 1, ada).await;
        link_device(conn, known, Some("key")).await.unwrap();

        assert!(!unlink_device(conn, known, (bob, guest), true, NOW + 1).await.unwrap(), "it is not his");
        assert_eq!(list_devices_of_key(conn, "key").await.unwrap(), [known]);
        assert!(unlink_device(conn, known, (ada, guest), true, NOW + 1).await.unwrap());

        let unlinked = find_device(conn, known).await.unwrap().unwrap();
        assert_eq!((unlinked.account, unlinked.unlinked_from), (guest, Some(ada)));
        assert_eq!(list_devices_of_key(conn, "key").await.unwrap(), []);
        assert_eq!(list_unlinked_devices(conn, NOW).await.unwrap(), [known]);
        assert_eq!(list_unlinked_devices(conn, NOW + 1).await.unwrap(), []);
        upsert_device(conn, &hello(1), ada, None, NOW + 2).await.unwrap();
        link_device(conn, known, None).await.unwrap();
        assert_eq!(list_unlinked_devices(conn, NOW).await.unwrap(), [], "it has connected again");
        assert_eq!(find_device(conn, known).await.unwrap().unwrap().unlinked_from, None);
    }
}

db_test! {
    async fn an_accounts_devices_are_listed_last_seen_first(conn: &mut DbConnection) {
        let (ada, bob) = (account(conn, 1).await, account(conn, 2).await);
        for (n, owner, seen_at) in [(1, ada, 1), (2, bob, 2), (3, ada, 3), (4, ada, 2)] {
            upsert_device(conn, &hello(n), owner, None, NOW + seen_at).await.unwrap();
        }
        mark_present(conn, "replica", DeviceId([3; 32]), NOW).await.unwrap();

        let listed = list_devices_of_account(conn, ada, 2, NOW + 5).await.unwrap();

        let shown: Vec<_> = listed.iter().map(|device| (device.id, device.online)).collect();
        assert_eq!(shown, [(DeviceId([3; 32]), true), (DeviceId([4; 32]), false)]);
    }
}

db_test! {
    async fn a_code_links_one_device_once_and_in_time(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        for (code, expires_at) in [("used", NOW + 10), ("late", NOW + 10), ("later", NOW + 20)] {
            insert_device_code(conn, code, ada, expires_at).await.unwrap();
        }

        assert_eq!(take_device_code(conn, "used", NOW).await.unwrap(), Some(ada));
        assert_eq!(take_device_code(conn, "used", NOW).await.unwrap(), None);
        assert_eq!(take_device_code(conn, "late", NOW + 10).await.unwrap(), None);
        delete_expired_codes(conn, NOW + 15).await.unwrap();
        assert_eq!(take_device_code(conn, "later", NOW).await.unwrap(), Some(ada));
    }
}

db_test! {
    async fn a_devices_record_counts_what_passed_and_what_failed(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        let known = device(conn, 1, ada).await;
        let work = AcceptedWork { leases: 1, tiles: 3, kflop: 70, earned: credits(9), flops_per_sec: 5_000, worked_flops_per_sec: 5_000 };

        count_passed(conn, &[(known, work)].into()).await.unwrap();
        count_passed(conn, &[(known, work)].into()).await.unwrap();
        uncount_lease(conn, known, 3, 70, credits(9)).await.unwrap();
        assert_eq!(count_failed(conn, known).await.unwrap(), 1);
        suspend_device(conn, known, NOW + 60).await.unwrap();
        let locked = lock_devices(conn, &[known, DeviceId([9; 32])].into()).await.unwrap();
        let expected = LockedDevice { account: ada, suspended_until: NOW + 60, earned: credits(9) };
        assert_eq!(locked, [(known, expected)].into(), "one of them is there");
        count_passed(conn, &[(known, work)].into()).await.unwrap();
        let record = find_device(conn, known).await.unwrap().unwrap();
        let shown = &list_devices_of_account(conn, ada, 1, NOW).await.unwrap()[0];

        assert_eq!((record.suspended_until, record.worked_flops_per_sec), (NOW + 60, 5_000));
        assert_eq!((shown.tiles, shown.kflop, shown.earned.micros()), (6, 140, 18));
        assert_eq!((shown.checks_passed, shown.checks_failed, shown.suspended_until), (3, 1, Some(NOW + 60)));
    }
}

db_test! {
    async fn what_a_challenge_proved_and_a_line_was_measured_to_be_is_kept_and_shown(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        let known = device(conn, 1, ada).await;
        let line = LineSpeed { down: 1_000_000, up: 250_000, probed_at: NOW };
        let proof = Proof { ops_per_sec: 7_000, at: NOW + 1 };
        let before = find_device(conn, known).await.unwrap().unwrap();

        record_proof(conn, known, proof, 6_000).await.unwrap();
        record_line(conn, known, line).await.unwrap();
        let record = find_device(conn, known).await.unwrap().unwrap();
        let shown = find_public_device(conn, known, NOW).await.unwrap().unwrap();
        let listed = &list_devices_of_account(conn, ada, 1, NOW).await.unwrap()[0];
        record_proof(conn, known, Proof { ops_per_sec: 0, at: NOW + 2 }, 0).await.unwrap();
        let failed = find_public_device(conn, known, NOW).await.unwrap().unwrap();

        assert_eq!((before.proof, before.line), (None, LineSpeed::default()));
        assert_eq!((record.proof, record.line, record.worked_flops_per_sec), (Some(proof), line, 0), "no work");
        assert_eq!((shown.proved_ops_per_sec, shown.proved_at, shown.flops_per_sec), (7_000, Some(NOW + 1), 6_000));
        assert_eq!((shown.down_bytes_per_sec, shown.up_bytes_per_sec), (1_000_000, 250_000));
        assert_eq!(*listed, shown);
        assert_eq!((failed.proved_ops_per_sec, failed.proved_at, failed.flops_per_sec), (0, Some(NOW + 2), 0));
    }
}

db_test! {
    async fn what_a_judge_computed_of_a_lease_counts_once_and_is_owed_until_it_is_paid(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        let judge = device(conn, 1, ada).await;
        let lease = LeaseId([7; 16]);

        assert_eq!(sum_judged(conn, lease).await.unwrap(), 0);
        assert!(insert_judge_answer(conn, (lease, 3), judge, 40, NOW).await.unwrap());
        assert!(!insert_judge_answer(conn, (lease, 3), judge, 40, NOW).await.unwrap(), "the same tile");
        assert!(insert_judge_answer(conn, (lease, 4), judge, 2, NOW).await.unwrap());
        assert_eq!(add_owed(conn, judge, 40).await.unwrap(), Some((ada, 40)));
        assert_eq!(add_owed(conn, judge, 2).await.unwrap(), Some((ada, 42)));
        set_owed(conn, judge, 5).await.unwrap();

        assert_eq!(sum_judged(conn, lease).await.unwrap(), 42);
        assert_eq!(add_owed(conn, judge, 1).await.unwrap(), Some((ada, 6)));
        assert_eq!(add_owed(conn, DeviceId([9; 32]), 1).await.unwrap(), None);
    }
}
