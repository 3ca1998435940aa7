//! What `tessera-admin doctor` looks at. Each part says what it found, whether that is well, and what to do where it is not;
//! nothing is changed but for a probe among the blobs, which is deleted again.

pub mod blobs;
pub mod database;
pub mod finding;
pub mod place;
pub mod server;

use store::Db;
use wire::Micros;

use self::finding::{Finding, failed, skipped};
use self::place::Place;

/// Looks at all of it. `now` is this machine's time.
pub async fn examine(place: &Place, now: Micros) -> Vec<Finding> {
    let mut findings = Vec::new();
    let db = match open(place).await {
        Ok(db) => {
            database::look(&db, now, &mut findings).await;
            Some(db)
        }
        Err(finding) => {
            findings.push(finding);
            None
        }
    };
    blobs::look(place, db.as_ref(), &mut findings).await;
    server::look(place, now, &mut findings).await;
    if let Some(db) = db {
        db.close().await;
    } else {
        findings.push(skipped("money", "there is no database to audit"));
    }
    findings
}

/// Nothing is created where nothing is.
async fn open(place: &Place) -> Result<Db, Finding> {
    if let Some(file) = store::db::sqlite_file(&place.database_url)
        && !file.exists()
    {
        let message = format!("there is no file {}", file.display());
        return Err(failed(
            "database",
            message,
            "say --database-url as the server's, or start a server, which makes it",
        ));
    }
    let remedy = "is it running, and is --database-url the server's?";
    let db = Db::open(&place.database_url).await;
    db.map_err(|error| failed("database", format!("it cannot be opened: {error}"), remedy))
}
