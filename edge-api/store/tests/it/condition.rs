use store::condition::{known_migrations, list_applied_migrations, list_durability_settings, read_clock};
use store::{Db, DbConnection};

use crate::{db_test, fixture};

db_test! {
    async fn a_fresh_schema_has_every_change(conn: &mut DbConnection) {
        let known = known_migrations();

        assert!(known.len() > 10);
        assert_eq!(list_applied_migrations(conn).await.unwrap(), known);
    }
}

#[tokio::test]
async fn a_database_without_a_schema_has_no_change() {
    let folder = tempfile::TempDir::new().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("test.db").display());
    let db = Db::open(&url).await.unwrap();

    assert_eq!(list_applied_migrations(&mut db.read().await.unwrap()).await.unwrap(), [0; 0]);
}

db_test! {
    async fn the_databases_clock_and_its_settings_are_read(conn: &mut DbConnection) {
        let (is_embedded, clock) = (conn.backend_name() == "SQLite", read_clock(conn).await.unwrap());
        let settings = list_durability_settings(conn).await.unwrap();
        let names: Vec<&str> = settings.iter().map(|setting| setting.name.as_str()).collect();

        assert_eq!(clock.is_none(), is_embedded);
        assert!(clock.is_none_or(|clock| clock > 1_700_000_000_000_000), "{clock:?}");
        if is_embedded {
            assert_eq!(names, ["journal_mode"]);
            assert!(settings.iter().all(|setting| setting.is_durable), "{settings:?}");
        } else {
            assert_eq!(names, ["fsync", "full_page_writes", "synchronous_commit"]);
            assert!(settings.iter().all(|setting| setting.is_durable == (setting.value != "off")), "{settings:?}");
        }
    }
}

/// How the engine commits what is written over this connection: whether it waits for the disk.
async fn waits_for_disk(conn: &mut DbConnection) -> bool {
    if conn.backend_name() == "SQLite" {
        let (level,): (i64,) =
            sqlx::query_as("select cast(synchronous as bigint) from pragma_synchronous").fetch_one(conn).await.unwrap();
        return level == 2;
    }
    let (setting,): (String,) =
        sqlx::query_as("select current_setting('synchronous_commit')").fetch_one(conn).await.unwrap();
    setting == "on"
}

async fn only_unsynced_transactions_do_not_wait(db: &Db) {
    for _ in 0..2 {
        let mut tx = db.begin_unsynced_write().await.unwrap();
        assert!(!waits_for_disk(&mut tx).await);
        tx.commit().await.unwrap();
        let mut tx = db.begin_write().await.unwrap();
        assert!(waits_for_disk(&mut tx).await);
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn only_transactions_that_say_so_do_not_wait_for_the_disk_on_sqlite() {
    let folder = tempfile::TempDir::new().unwrap();
    only_unsynced_transactions_do_not_wait(&fixture::sqlite(&folder).await).await;
}

#[tokio::test]
async fn only_transactions_that_say_so_do_not_wait_for_the_disk_on_postgres() {
    only_unsynced_transactions_do_not_wait(&fixture::postgres().await).await;
}
