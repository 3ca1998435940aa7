use rules::billing::bill::Charge;
use store::receipts::{
    Acceptance, accept_receipts, end_accepted_receipt, end_pending_receipt, find_receipt, list_accepted_receipts,
    list_accepted_receipts_of_device, list_pending_receipts, list_receipts, lock_pending_receipts,
    mature_receipts_of_job, reassign_receipts, void_pending_receipts_of_job,
};
use wire::device::Backend;
use wire::explorer::ReceiptState;
use wire::{CheckedBy, LeaseId};

use crate::db_test;
use crate::fixture::{CHARGE, NOW, RULE, Work, account, lease, mature, store_receipt};

fn leases(receipts: &[store::receipts::StoredReceipt]) -> Vec<LeaseId> {
    let mut leases: Vec<_> = receipts.iter().map(|stored| stored.receipt.lease).collect();
    leases.sort();
    leases
}

db_test! {
    async fn a_receipt_waits_for_its_check_as_it_was_signed(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let receipt = work.receipt(1, 2, 3);
        for _ in 0..2 {
            store_receipt(conn, receipt.clone(), work.slice, work.device, NOW).await;
        }

        let waiting = list_pending_receipts(conn, &[work.slice]).await.unwrap();
        let none = list_pending_receipts(conn, &[]).await.unwrap();

        let [only] = waiting.as_slice() else { panic!("{waiting:?}") };
        assert_eq!(only.receipt, receipt);
        assert_eq!((only.slice, only.device, only.provider, only.customer), (work.slice, work.device, work.account, work.account));
        assert_eq!((only.charge, only.kflop), (Charge::default(), 0));
        assert_eq!(none.len(), 0);
    }
}

db_test! {
    async fn a_receipt_is_accepted_once_for_whoever_owns_the_device_then(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let bob = account(conn, 2).await;
        work.commit(conn, 1, (0, 1), 0).await;
        store::devices::upsert_device(conn, &crate::fixture::hello(1), bob, None, NOW).await.unwrap();
        let (job, device, backend) = (work.job.id, work.device, Backend::Vulkan);
        let acceptance = Acceptance {
            lease: lease(1),
            job,
            device,
            backend,
            tiles: 1,
            kflop: 5,
            flops_left: 0,
            charge: CHARGE,
            recomputed: 1,
            checked_by: CheckedBy::Checker,
            rule: RULE,
            matures_at: 1,
            now: NOW,
        };

        work.commit(conn, 2, (1, 1), 0).await;

        let both = [acceptance, Acceptance { lease: lease(2), charge: Charge::default(), ..acceptance }];
        assert_eq!(lock_pending_receipts(conn, &[lease(1), lease(2), lease(3)].into()).await.unwrap(), [lease(1), lease(2)].into());
        assert!(accept_receipts(conn, &both).await.unwrap());
        assert!(!accept_receipts(conn, &both).await.unwrap(), "they wait for nothing any more");
        assert_eq!(lock_pending_receipts(conn, &[lease(1)].into()).await.unwrap(), [].into());
        let listed = list_receipts(conn, &[lease(2), lease(9)].into()).await.unwrap();
        assert_eq!(listed.into_values().map(|stored| stored.receipt.first_tile).collect::<Vec<_>>(), [1]);
        let accepted = list_accepted_receipts(conn, work.job.id).await.unwrap();

        assert_eq!((accepted[0].provider, accepted[0].customer), (bob, work.account));
        assert_eq!((accepted[0].charge, accepted[0].kflop), (CHARGE, 5));
    }
}

db_test! {
    async fn what_is_not_paid_for_good_moves_with_its_device(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let bob = account(conn, 2).await;
        work.accept(conn, 1, (0, 1), 0).await;
        mature_receipts_of_job(conn, work.job.id).await.unwrap();
        work.accept(conn, 2, (1, 1), 0).await;

        reassign_receipts(conn, work.device, bob).await.unwrap();
        let matured = mature_receipts_of_job(conn, work.job.id).await.unwrap();

        assert_eq!(leases(&matured), [lease(2)], "the first had been paid");
        assert_eq!(matured[0].provider, bob);
    }
}

db_test! {
    async fn a_receipt_that_waits_is_rejected_or_comes_to_nothing(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        for n in 1..=4 {
            work.commit(conn, n, (u64::from(n), 1), 0).await;
        }

        assert!(end_pending_receipt(conn, lease(1), ReceiptState::Rejected).await.unwrap());
        assert!(!end_pending_receipt(conn, lease(1), ReceiptState::Void).await.unwrap(), "it was");
        assert!(end_pending_receipt(conn, lease(2), ReceiptState::Void).await.unwrap());
        assert_eq!(leases(&list_pending_receipts(conn, &[work.slice]).await.unwrap()), [lease(3), lease(4)]);

        void_pending_receipts_of_job(conn, work.job.id).await.unwrap();
        let mut states = Vec::new();
        for n in 1..=4 {
            states.push(find_receipt(conn, lease(n)).await.unwrap().unwrap().1.name());
        }
        assert_eq!(states, ["rejected", "void", "void", "void"]);
    }
}

db_test! {
    async fn a_settled_receipt_is_rejected_until_it_is_mature(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        for n in 1..=3 {
            work.accept(conn, n, (u64::from(n), 1), 0).await;
        }

        let of_others = mature(conn, work.device, "map", 9).await;
        let matured = mature(conn, work.device, "infer", 1).await;
        let unmatured = list_accepted_receipts_of_device(conn, work.device).await.unwrap();
        let rejected = end_accepted_receipt(conn, lease(2), ReceiptState::Rejected).await.unwrap().unwrap();

        assert_eq!(leases(&of_others), [], "another program's work");
        assert_eq!((leases(&matured), leases(&unmatured)), (vec![lease(1)], vec![lease(2), lease(3)]));
        assert_eq!((rejected.receipt.lease, rejected.customer, rejected.charge), (lease(2), work.account, CHARGE));
        assert!(end_accepted_receipt(conn, lease(2), ReceiptState::Rejected).await.unwrap().is_none(), "it was");
        assert!(end_accepted_receipt(conn, lease(1), ReceiptState::Rejected).await.unwrap().is_none(), "it is mature");
        let state = async |conn: &mut store::DbConnection, n| find_receipt(conn, lease(n)).await.unwrap().unwrap().1;
        assert_eq!(state(conn, 1).await, ReceiptState::Matured);
        assert_eq!(state(conn, 2).await, ReceiptState::Rejected);
        assert_eq!(state(conn, 3).await, ReceiptState::Accepted, "it stands or falls by itself");
        assert!(find_receipt(conn, lease(9)).await.unwrap().is_none());
    }
}
