//! Replicas of the edge: which of them live, and what all of them share.

use wire::{Micros, TileHash};

use crate::codec::id;
use crate::db::{DbConnection, Dialect, now_sql};

macro_rules! heartbeat_sql {
    ($engine:ident) => {
        concat!(
            "insert into replica (replica_id, heartbeat_at)
            values ($1, ",
            now_sql!($engine),
            ")
            on conflict (replica_id) do update set heartbeat_at = excluded.heartbeat_at"
        )
    };
}

/// By the database's clock, as whoever looks for lost owners goes by it too: no replica's own clock says that another is dead.
pub async fn heartbeat(conn: &mut DbConnection, replica: &str) -> sqlx::Result<()> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => heartbeat_sql!(sqlite),
        Dialect::Postgres => heartbeat_sql!(postgres),
    };
    sqlx::query(statement).bind(replica).execute(conn).await?;
    Ok(())
}

/// When replicas last said that they live, the latest first.
pub async fn list_heartbeats(conn: &mut DbConnection, most: i64) -> sqlx::Result<Vec<(String, Micros)>> {
    sqlx::query_as("select replica_id, heartbeat_at from replica order by heartbeat_at desc, replica_id limit $1")
        .bind(most)
        .fetch_all(conn)
        .await
}

/// Forgets a replica that goes away.
pub async fn delete_replica(conn: &mut DbConnection, replica: &str) -> sqlx::Result<()> {
    sqlx::query("delete from replica where replica_id = $1").bind(replica).execute(conn).await?;
    Ok(())
}

/// Forgets replicas that were last heard before `dead_before`; their slices are free to claim.
pub async fn delete_replicas(conn: &mut DbConnection, dead_before: Micros) -> sqlx::Result<()> {
    sqlx::query("delete from replica where heartbeat_at < $1").bind(dead_before).execute(conn).await?;
    Ok(())
}

/// The value of a secret that all replicas share; `fresh` is kept if there was none.
pub async fn find_or_insert_secret(conn: &mut DbConnection, name: &str, fresh: TileHash) -> sqlx::Result<TileHash> {
    sqlx::query("insert into secret (name, value) values ($1, $2) on conflict (name) do nothing")
        .bind(name)
        .bind(fresh.to_string())
        .execute(&mut *conn)
        .await?;
    let (value,): (String,) =
        sqlx::query_as("select value from secret where name = $1").bind(name).fetch_one(conn).await?;
    Ok(id(&value))
}
