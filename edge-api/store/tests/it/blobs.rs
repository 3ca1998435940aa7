use store::blobs::{find_owned_blob, insert_owned_blob};
use store::db::ping;
use wire::{Blob, BlobHash};

use crate::db_test;
use crate::fixture::account;

db_test! {
    async fn a_blob_is_found_by_whoever_sent_it(conn: &mut DbConnection) {
        let (ada, bob, eve) = (account(conn, 1).await, account(conn, 2).await, account(conn, 3).await);
        let blob = Blob { hash: BlobHash([1; 32]), size: 1 << 40 };
        for sender in [ada, ada, bob] {
            insert_owned_blob(conn, sender, &blob).await.unwrap();
        }

        assert_eq!(find_owned_blob(conn, ada, blob.hash).await.unwrap(), Some(blob.clone()));
        assert_eq!(find_owned_blob(conn, bob, blob.hash).await.unwrap(), Some(blob.clone()));
        assert_eq!(find_owned_blob(conn, eve, blob.hash).await.unwrap(), None);
    }
}

db_test! {
    async fn a_database_answers(conn: &mut DbConnection) {
        assert!(ping(conn).await.unwrap());
    }
}
