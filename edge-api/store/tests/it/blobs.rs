use store::DbConnection;
use store::blobs::{
    NewOutput, begin_collecting, delete_expired_outputs, end_collecting, find_lease_output, find_owned_blob,
    find_small_blob, forget_collecting, insert_blob_owner, insert_job_blob, insert_lease_outputs, insert_small_blobs,
    list_job_blobs, list_unused_blobs, sum_owned_bytes, use_blobs,
};
use store::db::ping;
use wire::{Blob, BlobHash, LeaseId, Micros};

use crate::db_test;
use crate::fixture::{NOW, Work, account, lease};

fn blob(n: u8) -> Blob {
    Blob { hash: BlobHash([n; 32]), size: 1 << 40 }
}

async fn use_one(conn: &mut DbConnection, blob: &Blob, at: Micros) -> bool {
    use_blobs(conn, &[(blob.hash, blob.size)].into(), at).await.unwrap().contains(&blob.hash)
}

async fn keep(conn: &mut DbConnection, lease: LeaseId, hash: BlobHash, expires_at: Micros) -> BlobHash {
    insert_lease_outputs(conn, &[NewOutput { lease, hash, expires_at }]).await.unwrap()[&lease]
}

db_test! {
    async fn several_are_used_at_once_but_for_those_that_are_being_deleted(conn: &mut DbConnection) {
        let old = used(conn, 1, NOW - 1).await;
        assert!(begin(conn, old).await);
        let blobs = [(blob(1).hash, 1), (blob(2).hash, 2), (blob(3).hash, 3)].into();

        let usable = use_blobs(conn, &blobs, NOW).await.unwrap();
        let output = |n| NewOutput { lease: lease(n), hash: blob(n).hash, expires_at: NOW };
        let kept = insert_lease_outputs(conn, &[output(2), output(3), output(2)]).await.unwrap();

        assert_eq!(usable, [blob(2).hash, blob(3).hash].into());
        assert_eq!(kept, [(lease(2), blob(2).hash), (lease(3), blob(3).hash)].into());
    }
}

db_test! {
    async fn bytes_of_small_blobs_are_kept_once_and_go_with_the_blob(conn: &mut DbConnection) {
        let (first, second) = (used(conn, 1, NOW - 1).await, used(conn, 2, NOW).await);
        let bytes: [&[u8]; 2] = [&[0, 255, 39], &[]];

        insert_small_blobs(conn, &[(first, bytes[0]), (second, bytes[1])].into()).await.unwrap();
        insert_small_blobs(conn, &[(first, bytes[0])].into()).await.unwrap();
        insert_small_blobs(conn, &[].into()).await.unwrap();

        assert_eq!(find_small_blob(conn, first).await.unwrap().as_deref(), Some(bytes[0]));
        assert_eq!(find_small_blob(conn, second).await.unwrap().as_deref(), Some(bytes[1]));
        assert_eq!(find_small_blob(conn, blob(3).hash).await.unwrap(), None);

        assert!(begin(conn, first).await);
        end_collecting(conn, first, NOW + 8).await.unwrap();
        assert!(find_small_blob(conn, first).await.unwrap().is_some(), "that was another's deletion");
        end_collecting(conn, first, NOW + 9).await.unwrap();
        assert_eq!(find_small_blob(conn, first).await.unwrap(), None);
    }
}

async fn used(conn: &mut DbConnection, n: u8, at: Micros) -> BlobHash {
    assert!(use_one(conn, &blob(n), at).await);
    blob(n).hash
}

/// Those that nobody used since `NOW`.
async fn unused(conn: &mut DbConnection) -> Vec<BlobHash> {
    list_unused_blobs(conn, NOW, NOW, None, 10).await.unwrap()
}

async fn begin(conn: &mut DbConnection, hash: BlobHash) -> bool {
    begin_collecting(conn, hash, NOW, NOW, NOW + 9).await.unwrap()
}

db_test! {
    async fn a_blob_is_found_by_whoever_sent_it(conn: &mut DbConnection) {
        let (ada, bob, eve) = (account(conn, 1).await, account(conn, 2).await, account(conn, 3).await);
        let blob = blob(1);
        for sender in [ada, ada, bob] {
            assert!(use_one(conn, &blob, NOW).await);
            insert_blob_owner(conn, sender, blob.hash).await.unwrap();
        }

        assert_eq!(find_owned_blob(conn, ada, blob.hash).await.unwrap(), Some(blob.clone()));
        assert_eq!(find_owned_blob(conn, bob, blob.hash).await.unwrap(), Some(blob.clone()));
        assert_eq!(find_owned_blob(conn, eve, blob.hash).await.unwrap(), None);
        assert_eq!([sum_owned_bytes(conn, ada).await.unwrap(), sum_owned_bytes(conn, eve).await.unwrap()], [1 << 40, 0]);
    }
}

db_test! {
    async fn a_blob_that_nobody_used_for_long_is_collected_and_its_owner_has_it_no_more(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        let (old, recent) = (used(conn, 1, NOW - 1).await, used(conn, 2, NOW).await);
        insert_blob_owner(conn, ada, old).await.unwrap();
        assert_eq!(unused(conn).await, [old]);
        assert_eq!(list_unused_blobs(conn, NOW, NOW, Some(old), 10).await.unwrap(), []);

        assert!(!begin(conn, recent).await);
        assert!(begin(conn, old).await);
        assert!(!begin(conn, old).await, "it is under way");

        assert_eq!(find_owned_blob(conn, ada, old).await.unwrap(), None);
        end_collecting(conn, old, NOW + 8).await.unwrap();
        assert!(!use_one(conn, &blob(1), NOW).await, "that was another's deletion, which began earlier");
        end_collecting(conn, old, NOW + 9).await.unwrap();
        assert!(use_one(conn, &blob(1), NOW).await, "sent again, it is there again");
    }
}

db_test! {
    async fn a_blob_that_is_being_deleted_can_be_used_by_nobody_until_it_is_gone(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let old = used(conn, 7, NOW - 1).await;
        assert!(begin(conn, old).await);

        assert!(!use_one(conn, &blob(7), NOW).await);
        assert!(!insert_job_blob(conn, work.job.id, old, NOW).await.unwrap());
        assert_eq!(unused(conn).await, [], "its deletion has just begun");
        assert_eq!(list_unused_blobs(conn, NOW, NOW + 10, None, 10).await.unwrap(), [old], "it was cut short");
        forget_collecting(conn).await.unwrap();
        assert!(use_one(conn, &blob(7), NOW).await);
    }
}

db_test! {
    async fn what_a_job_a_receipt_or_a_lease_refers_to_is_not_collected(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let (input, output, uploaded) =
            (used(conn, 7, NOW - 9).await, used(conn, 8, NOW - 9).await, used(conn, 9, NOW - 9).await);
        assert!(insert_job_blob(conn, work.job.id, input, NOW - 1).await.unwrap());
        assert!(insert_job_blob(conn, work.job.id, input, NOW - 1).await.unwrap(), "twice is once");
        assert_eq!(list_job_blobs(conn, 9).await.unwrap(), [input]);
        work.commit(conn, 8, (0, 1), 0).await;
        assert_eq!(keep(conn, lease(9), uploaded, NOW + 5).await, uploaded);

        assert_eq!(unused(conn).await, []);
        for hash in [input, output, uploaded] {
            assert!(!begin(conn, hash).await);
        }
        assert_eq!(keep(conn, lease(9), output, NOW + 5).await, uploaded, "one a lease");
        assert_eq!(find_lease_output(conn, lease(9)).await.unwrap(), Some(uploaded));
        assert_eq!(find_lease_output(conn, lease(7)).await.unwrap(), None);
        delete_expired_outputs(conn, NOW + 5).await.unwrap();
        assert_eq!(unused(conn).await, []);
        delete_expired_outputs(conn, NOW + 6).await.unwrap();
        assert_eq!(unused(conn).await, [uploaded], "its lease is over, and it has no receipt");
        assert!(!insert_job_blob(conn, work.job.id, BlobHash([1; 32]), NOW).await.unwrap(), "nobody has sent that");
    }
}

db_test! {
    async fn a_database_answers(conn: &mut DbConnection) {
        assert!(ping(conn).await.unwrap());
    }
}
