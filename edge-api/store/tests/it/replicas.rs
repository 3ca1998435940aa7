use store::replicas::{delete_replica, delete_replicas, find_or_insert_secret, heartbeat, list_heartbeats};
use store::slices::{claim_slices, list_lost_owners, release_all_slices};
use wire::TileHash;

use crate::db_test;
use crate::fixture::Work;

const MINUTE: i64 = 60_000_000;

/// As if it had said so much earlier that it lives.
async fn age(conn: &mut store::DbConnection, replica: &str, by: i64) {
    let aged = sqlx::query("update replica set heartbeat_at = heartbeat_at - $2 where replica_id = $1");
    aged.bind(replica).bind(by).execute(conn).await.unwrap();
}

db_test! {
    async fn a_replica_lives_while_it_says_so_by_the_databases_clock(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        claim_slices(conn, "one", &[String::new()], &[work.job.id], 1).await.unwrap();
        for replica in ["one", "two"] {
            heartbeat(conn, replica).await.unwrap();
        }
        #[expect(clippy::disallowed_methods, reason = "the database's clock is the machine's")]
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = i64::try_from(since_epoch.as_micros()).unwrap();
        assert!(list_heartbeats(conn, 9).await.unwrap().iter().all(|(_, beat)| (beat - now).abs() < MINUTE));
        assert_eq!(list_lost_owners(conn, "two", MINUTE).await.unwrap(), [""; 0]);

        age(conn, "one", 2 * MINUTE).await;
        let beats: Vec<String> = list_heartbeats(conn, 9).await.unwrap().into_iter().map(|(id, _)| id).collect();
        assert_eq!(beats, ["two", "one"], "the latest first");
        assert_eq!(list_heartbeats(conn, 1).await.unwrap().len(), 1);
        assert_eq!(list_lost_owners(conn, "two", MINUTE).await.unwrap(), ["one"]);
        assert_eq!(list_lost_owners(conn, "one", MINUTE).await.unwrap(), [""; 0], "nobody is lost to itself");
        heartbeat(conn, "one").await.unwrap();
        assert_eq!(list_lost_owners(conn, "two", MINUTE).await.unwrap(), [""; 0], "it has woken");

        age(conn, "one", 2 * MINUTE).await;
        delete_replicas(conn, now - MINUTE).await.unwrap();
        assert_eq!(list_heartbeats(conn, 9).await.unwrap().len(), 1);
        assert_eq!(list_lost_owners(conn, "two", 4 * MINUTE).await.unwrap(), ["one"]);
    }
}

db_test! {
    async fn a_replica_that_goes_away_is_forgotten_and_its_slices_are_free(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        for replica in ["one", "two"] {
            heartbeat(conn, replica).await.unwrap();
        }
        claim_slices(conn, "one", &[String::new()], &[work.job.id], 1).await.unwrap();

        release_all_slices(conn, "two").await.unwrap();
        assert_eq!(list_lost_owners(conn, "two", MINUTE).await.unwrap(), [""; 0], "it is not the other's");
        release_all_slices(conn, "one").await.unwrap();
        delete_replica(conn, "one").await.unwrap();

        let left: Vec<String> = list_heartbeats(conn, 9).await.unwrap().into_iter().map(|(id, _)| id).collect();
        assert_eq!(left, ["two"]);
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
