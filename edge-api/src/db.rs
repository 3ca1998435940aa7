//! One SQL text on two engines. What differs between them stands in this file alone, and in the
//! few statements that take a lock clause from [`Dialect`].

use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyConnection, AnyPool, Executor, Transaction};

pub type DbConnection = AnyConnection;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded: one process, one writer at a time.
    Sqlite,
    Postgres,
}

#[derive(Clone, Debug)]
pub struct Db {
    reads: AnyPool,
    writes: AnyPool,
    pub dialect: Dialect,
}

impl Db {
    /// Connects and brings the schema up to date.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        sqlx::any::install_default_drivers();
        let options = AnyConnectOptions::from_str(url)?;
        let dialect = if options.database_url.scheme() == "sqlite" { Dialect::Sqlite } else { Dialect::Postgres };
        let pool = |size: u32| {
            AnyPoolOptions::new().max_connections(size).acquire_timeout(Duration::from_secs(30)).after_connect(move |conn, _meta| {
                Box::pin(async move {
                    if dialect == Dialect::Sqlite {
                        conn.execute(
                            "pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = 10000; pragma foreign_keys = on",
                        )
                        .await?;
                    }
                    Ok(())
                })
            })
        };
        // SQLite has one writer: a second connection would only wait for the first.
        let writers = if dialect == Dialect::Sqlite { 1 } else { 16 };
        let writes = pool(writers).connect_with(options.clone()).await?;
        sqlx::migrate!().run(&writes).await?;
        let reads = pool(8).connect_with(options).await?;
        Ok(Self { reads, writes, dialect })
    }

    /// A transaction that may write. `SQLite` takes its write lock here, so it never has to upgrade one.
    pub async fn begin_write(&self) -> sqlx::Result<Transaction<'static, Any>> {
        match self.dialect {
            Dialect::Sqlite => self.writes.begin_with("begin immediate").await,
            Dialect::Postgres => self.writes.begin().await,
        }
    }

    /// A connection for statements that only read.
    pub async fn read(&self) -> sqlx::Result<sqlx::pool::PoolConnection<Any>> {
        self.reads.acquire().await
    }

    pub async fn close(&self) {
        self.reads.close().await;
        self.writes.close().await;
    }
}

/// Flags are 0 or 1: `Any` has no booleans.
pub fn flag(value: bool) -> i64 {
    i64::from(value)
}

/// A count as SQL stores it. Counts here are bounded far below 2^63.
pub fn count(value: impl TryInto<i64>) -> i64 {
    value.try_into().ok().expect("a count should fit 63 bits")
}

/// A stored count that cannot be negative.
pub fn uncount(value: i64) -> u64 {
    u64::try_from(value).expect("a stored count should not be negative")
}

/// A stored id. What was written through a typed id reads back as one.
pub fn id<T: FromStr>(text: &str) -> T {
    text.parse().ok().expect("a stored id should be well formed")
}
