use store::replicas::{delete_replica, delete_replicas, find_or_insert_secret, heartbeat, list_heartbeats};
use store::slices::{claim_slices, list_lost_owners, release_all_slices};
use wire::TileHash;

use crate::db_test;
use crate::fixture::Work;

db_test! {
    async fn a_replica_lives_while_it_says_so(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        claim_slices(conn, "one", &[String::new()], &[work.job.id], 1).await.unwrap();
        heartbeat(conn, "one", 100).await.unwrap();
        heartbeat(conn, "one", 105).await.unwrap();

        heartbeat(conn, "two", 103).await.unwrap();
        let beats = [("one".to_owned(), 105), ("two".to_owned(), 103)];
        assert_eq!(list_heartbeats(conn, 9).await.unwrap(), beats);
        assert_eq!(list_heartbeats(conn, 1).await.unwrap(), beats[..1]);
        assert_eq!(list_lost_owners(conn, "two", 105).await.unwrap(), [""; 0]);
        delete_replicas(conn, 105).await.unwrap();
        assert_eq!(list_lost_owners(conn, "two", 105).await.unwrap(), [""; 0]);
        assert_eq!(list_lost_owners(conn, "two", 106).await.unwrap(), ["one"]);
        delete_replicas(conn, 106).await.unwrap();
        assert_eq!(list_lost_owners(conn, "two", 0).await.unwrap(), ["one"]);
        assert_eq!(list_lost_owners(conn, "one", 0).await.unwrap(), [""; 0], "nobody is lost to itself");
    }
}

db_test! {
    async fn a_replica_that_goes_away_is_forgotten_and_its_slices_are_free(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        for replica in ["one", "two"] {
            heartbeat(conn, replica, 100).await.unwrap();
        }
        claim_slices(conn, "one", &[String::new()], &[work.job.id], 1).await.unwrap();

        release_all_slices(conn, "two").await.unwrap();
        assert_eq!(list_lost_owners(conn, "two", 100).await.unwrap(), [""; 0], "it is not the other's");
        release_all_slices(conn, "one").await.unwrap();
        delete_replica(conn, "one").await.unwrap();

        assert_eq!(list_heartbeats(conn, 9).await.unwrap(), [("two".to_owned(), 100)]);
        let claimed = claim_slices(conn, "two", &[String::new()], &[work.job.id], 1).await.unwrap();
        assert_eq!(claimed.len(), 1);
    }
}

db_test! {
    async fn all_replicas_share_the_first_secret(conn: &mut DbConnection) {
        let [first, second] = [TileHash([1; 32]), TileHash([2; 32])];

        assert_eq!(find_or_insert_secret(conn, "a", first).await.unwrap(), first);
        assert_eq!(find_or_insert_secret(conn, "a", second).await.unwrap(), first);
        assert_eq!(find_or_insert_secret(conn, "b", second).await.unwrap(), second);
    }
}
