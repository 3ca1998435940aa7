//! Whether the database is fit to stand on: its schema, its clock, and the settings that durability rests on.

use wire::Micros;

use crate::db::{DbConnection, Dialect, now_sql};

/// Changes of the schema that this program knows, by number.
pub fn known_migrations() -> Vec<i64> {
    sqlx::migrate!().iter().map(|migration| migration.version).collect()
}

/// Those that were applied whole; none where no server has ever started on this database.
pub async fn list_applied_migrations(conn: &mut DbConnection) -> sqlx::Result<Vec<i64>> {
    let has_any = match Dialect::of(conn) {
        Dialect::Sqlite => "select count(*) from sqlite_master where name = '_sqlx_migrations'",
        Dialect::Postgres => "select count(*) from pg_catalog.pg_class where relname = '_sqlx_migrations'",
    };
    let (tables,): (i64,) = sqlx::query_as(has_any).fetch_one(&mut *conn).await?;
    if tables == 0 {
        return Ok(Vec::new());
    }
    let rows: Vec<(i64,)> =
        sqlx::query_as("select version from _sqlx_migrations where success order by version").fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(version,)| version).collect())
}

/// What the database's own machine takes the time to be; `None` where it is embedded, and has this one's.
pub async fn read_clock(conn: &mut DbConnection) -> sqlx::Result<Option<Micros>> {
    if Dialect::of(conn) == Dialect::Sqlite {
        return Ok(None);
    }
    let (now,): (i64,) = sqlx::query_as(concat!("select ", now_sql!(postgres))).fetch_one(conn).await?;
    Ok(Some(now))
}

/// A setting on which what was committed outlasts a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurabilitySetting {
    pub name: String,
    pub value: String,
    pub is_durable: bool,
}

pub async fn list_durability_settings(conn: &mut DbConnection) -> sqlx::Result<Vec<DurabilitySetting>> {
    let statement = match Dialect::of(conn) {
        // The others are of a connection, and each of ours sets them.
        Dialect::Sqlite => "select 'journal_mode', journal_mode from pragma_journal_mode",
        Dialect::Postgres => {
            "select name, setting
            from pg_catalog.pg_settings
            where name in ('fsync', 'full_page_writes', 'synchronous_commit')
            order by name"
        }
    };
    let rows: Vec<(String, String)> = sqlx::query_as(statement).fetch_all(conn).await?;
    let setting = |(name, value): (String, String)| {
        let is_durable = !["off", "delete", "memory", "truncate", "persist"].contains(&value.as_str());
        DurabilitySetting { name, value, is_durable }
    };
    Ok(rows.into_iter().map(setting).collect())
}
