//! What is read from the database now and then: how much waits there, how the money stands, and what the audit finds. It is
//! read no more often than is useful, and takes at most a hundredth of the time, however large the tables grow.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use store::audit::Audit;
use store::measures::{Backlog, Purses};
use store::{Db, Dialect};
use tokio::time::Instant;
use wire::Micros;

/// How often what waits is counted, and the books are gone through, at the most.
const BACKLOG_EVERY: Duration = Duration::from_secs(10);
const BOOKS_EVERY: Duration = Duration::from_secs(60);
/// A reading is followed by so many times what it took.
const REST_TIMES: u32 = 99;

/// The latest of each, as far as any was read.
#[derive(Debug, Default)]
pub struct Sampled {
    latest: Mutex<Samples>,
}

#[derive(Clone, Debug, Default)]
pub struct Samples {
    pub backlog: Option<Backlog>,
    pub books: Option<Books>,
    /// Readings that failed.
    pub failures: u64,
}

/// What the ledger says of itself.
#[derive(Clone, Debug)]
pub struct Books {
    pub audit: Audit,
    pub purses: Purses,
    pub sums: Vec<(String, i64)>,
    /// When it was begun, and what it took.
    pub at: Micros,
    pub took: Duration,
}

impl Sampled {
    pub fn latest(&self) -> Samples {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Samples)) {
        change(&mut self.latest.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts what waits. How long until the next time.
    pub async fn read_backlog(&self, db: &Db) -> Duration {
        let since = Instant::now();
        let read = async { store::measures::read_backlog(&mut *db.read().await?).await }.await;
        match read {
            Ok(backlog) => self.change(|samples| samples.backlog = Some(backlog)),
            Err(error) => self.fail(&error),
        }
        BACKLOG_EVERY.max(since.elapsed() * REST_TIMES)
    }

    /// Goes through the books. How long until the next time.
    pub async fn read_books(&self, db: &Db, now: Micros) -> Duration {
        let since = Instant::now();
        match read_books(db, now, since).await {
            Ok(books) => self.change(|samples| samples.books = Some(books)),
            Err(error) => self.fail(&error),
        }
        BOOKS_EVERY.max(since.elapsed() * REST_TIMES)
    }

    fn fail(&self, error: &store::Error) {
        tracing::warn!(%error, "what the metrics say of the database could not be read");
        self.change(|samples| samples.failures += 1);
    }
}

async fn read_books(db: &Db, now: Micros, since: Instant) -> store::Result<Books> {
    let mut conn = db.read().await?;
    let audit = store::audit::audit_sums(&mut conn).await?;
    let purses = store::measures::read_purses(&mut conn).await?;
    let sums = store::measures::list_ledger_sums(&mut conn).await?;
    Ok(Books { audit, purses, sums, at: now, took: since.elapsed() })
}

/// The engine's name.
pub fn engine(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "sqlite",
        Dialect::Postgres => "postgres",
    }
}
