//! One SQL text on two engines. What differs between them stands in this file, in `list.rs`, and in the
//! statement that takes a lock clause from [`Dialect`].

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyConnection, AnyPool, Executor, Transaction};

pub type DbConnection = AnyConnection;
/// Why a statement failed. Callers depend on these names, and not on the crate that runs statements.
pub type Error = sqlx::Error;
pub type Result<T> = sqlx::Result<T>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded: one process, one writer at a time.
    Sqlite,
    Postgres,
}

impl Dialect {
    /// What a statement that differs between the engines must be written in.
    pub(crate) fn of(conn: &DbConnection) -> Self {
        if conn.backend_name() == "SQLite" { Self::Sqlite } else { Self::Postgres }
    }
}

/// The time by the database, in microseconds since 1970.
macro_rules! now_sql {
    (sqlite) => {
        "cast((julianday('now') - 2440587.5) * 86400000000 as integer)"
    };
    (postgres) => {
        "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)"
    };
}
pub(crate) use now_sql;

#[derive(Clone, Debug)]
pub struct Db {
    reads: AnyPool,
    writes: AnyPool,
    /// For what keeps a replica alive, which waits for no request.
    control: AnyPool,
    pub dialect: Dialect,
}

impl Db {
    /// Connects and brings the schema up to date.
    pub async fn connect(url: &str) -> sqlx::Result<Self> {
        let db = Self::open(url).await?;
        sqlx::migrate!().run(&db.writes).await?;
        Ok(db)
    }

    /// Connects to a database that a server has made, and changes nothing.
    pub async fn open(url: &str) -> sqlx::Result<Self> {
        sqlx::any::install_default_drivers();
        let options = AnyConnectOptions::from_str(url)?;
        let dialect = if options.database_url.scheme() == "sqlite" { Dialect::Sqlite } else { Dialect::Postgres };
        let pool = |size: u32| {
            // A file's connection does not break off; asking it whether it has takes as long as a small statement.
            let options = AnyPoolOptions::new().max_connections(size).test_before_acquire(dialect != Dialect::Sqlite);
            options.acquire_timeout(Duration::from_secs(30)).after_connect(move |conn, _meta| {
                Box::pin(async move {
                    let settings = match dialect {
                        Dialect::Sqlite => {
                            "pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = 10000; pragma foreign_keys = on; pragma cache_size = -32768; pragma wal_autocheckpoint = 4000"
                        }
                        // A process that is stopped, or cut off, within a transaction holds its rows no longer than this.
                        Dialect::Postgres => "set idle_in_transaction_session_timeout = '10s'",
                    };
                    conn.execute(settings).await.map(drop)
                })
            })
        };
        // SQLite has one writer: a second connection would only wait for the first.
        let writers = if dialect == Dialect::Sqlite { 1 } else { 16 };
        let writes = pool(writers).connect_with(options.clone()).await?;
        let reads = pool(8).connect_with(options.clone()).await?;
        let control = match dialect {
            Dialect::Sqlite => writes.clone(),
            // One to say that the replica lives, and one to claim with.
            Dialect::Postgres => pool(2).connect_with(options).await?,
        };
        Ok(Self { reads, writes, control, dialect })
    }

    /// A transaction that may write. `SQLite` takes its write lock here, so it never has to upgrade one.
    pub async fn begin_write(&self) -> sqlx::Result<Transaction<'static, Any>> {
        match self.dialect {
            Dialect::Sqlite => self.begin_on_sqlite("pragma synchronous = full; begin immediate").await,
            Dialect::Postgres => self.writes.begin().await,
        }
    }

    /// The same, without waiting for the disk when it commits. Should the machine fail, it may be lost, and with it nothing
    /// that was committed by a transaction of [`Db::begin_write`] after it: both engines write their logs in order. For what
    /// is done again where it was lost, and is nobody's business before something else is committed that rests on it.
    pub async fn begin_unsynced_write(&self) -> sqlx::Result<Transaction<'static, Any>> {
        match self.dialect {
            Dialect::Sqlite => self.begin_on_sqlite("pragma synchronous = normal; begin immediate").await,
            Dialect::Postgres => self.writes.begin_with("begin; set local synchronous_commit = off").await,
        }
    }

    async fn begin_on_sqlite(&self, statement: &'static str) -> sqlx::Result<Transaction<'static, Any>> {
        match self.writes.begin_with(statement).await {
            // The engine ended the last transaction by itself, for want of disk perhaps, and its connection does not
            // know that.
            Err(sqlx::Error::InvalidSavePointStatement) => {
                self.writes.acquire().await?.close().await?;
                self.writes.begin_with(statement).await
            }
            begun => begun,
        }
    }

    /// A transaction that waits for none of those that requests and settlements begin: heartbeats and claims have connections
    /// of their own where there are any, so that a replica with much to do does not look dead.
    pub async fn begin_control(&self) -> sqlx::Result<Transaction<'static, Any>> {
        match self.dialect {
            Dialect::Sqlite => self.begin_write().await,
            Dialect::Postgres => self.control.begin().await,
        }
    }

    /// A connection for statements that only read.
    pub async fn read(&self) -> sqlx::Result<sqlx::pool::PoolConnection<Any>> {
        self.reads.acquire().await
    }

    /// What is open of each pool.
    pub fn pools(&self) -> Vec<PoolUse> {
        let mut pools = vec![("read", &self.reads), ("write", &self.writes)];
        if self.dialect == Dialect::Postgres {
            pools.push(("control", &self.control));
        }
        let in_use = |(name, pool): (&'static str, &AnyPool)| {
            let open = u64::from(pool.size());
            let idle = wire::number::to::<u64>(pool.num_idle()).min(open);
            PoolUse { name, used: open - idle, idle, most: pool.options().get_max_connections().into() }
        };
        pools.into_iter().map(in_use).collect()
    }

    pub async fn close(&self) {
        self.reads.close().await;
        self.writes.close().await;
        self.control.close().await;
    }
}

/// Connections of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    pub name: &'static str,
    pub used: u64,
    pub idle: u64,
    pub most: u64,
}

/// Whether the engine broke a transaction off for the sake of another, so that it may simply be tried again: a
/// serialization failure (SQLSTATE 40001), a deadlock (40P01), or SQLite's lock held too long.
pub fn is_conflict(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // SQLITE_BUSY, and the same for a snapshot that is too old.
    code.is_some_and(|code| ["40001", "40P01", "5", "517"].contains(&code.as_ref()))
}

/// Whether a row was not deleted since others refer to it.
pub fn is_referenced(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation)
}

/// The file of an embedded database; `None` where the address is of another.
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("sqlite:")?;
    Some(rest.trim_start_matches("//").split('?').next().unwrap_or_default().into())
}

/// Whether this database answers at all.
pub async fn ping(conn: &mut DbConnection) -> sqlx::Result<bool> {
    let (one,): (i64,) = sqlx::query_as("select cast($1 as bigint)").bind(1_i64).fetch_one(conn).await?;
    Ok(one == 1)
}
