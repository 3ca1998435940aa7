//! A disk that was full.

use sqlx::Executor;

use crate::fixture;

/// The engine ends such a transaction by itself, and the connection does not hear of it.
#[tokio::test]
async fn once_there_is_room_again_writes_go_on_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let db = fixture::sqlite(&folder).await;
    let mut tx = db.begin_write().await.unwrap();
    tx.execute("create table ballast (bytes blob)").await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = db.begin_write().await.unwrap();
    tx.execute("pragma max_page_count = 1").await.unwrap();
    let full = async {
        for _ in 0..100 {
            tx.execute("insert into ballast values (zeroblob(1000000))").await?;
        }
        Ok::<(), sqlx::Error>(())
    };
    let error = full.await.unwrap_err();
    assert!(error.to_string().contains("full"), "{error}");
    drop(tx);

    for _ in 0..3 {
        let mut tx = db.begin_write().await.unwrap();
        tx.execute("insert into ballast values (zeroblob(10))").await.unwrap();
        tx.commit().await.unwrap();
    }
}
