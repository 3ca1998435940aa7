//! The place of the blobs: whether it is there, takes, gives and forgets, is the one of this database, and has room.

use std::path::{Path, PathBuf};

use store::Db;
use tokio::time::Instant;
use url::Url;

use super::finding::{Finding, failed, ok, skipped, warning};
use super::place::Place;
use crate::blobs::Blobs;
use crate::blobs::disk::DiskReserve;
use crate::blobs::place::Variables;
use crate::random;

/// Blobs of the latest jobs that are looked for.
const KNOWN: i64 = 64;

pub async fn look(place: &Place, db: Option<&Db>, findings: &mut Vec<Finding>) {
    let folder = folder_of(&place.blobs);
    // Opening it would create it.
    if let Some(folder) = folder.as_deref().filter(|folder| !folder.is_dir()) {
        let message = format!("there is no folder {}", folder.display());
        findings.push(failed(
            "blobs",
            message,
            "say --blobs as the server's, or mount it; never let a server start without it",
        ));
        return;
    }
    match Blobs::open(&place.blobs, &Variables::of_process()) {
        Ok(blobs) => {
            findings.push(probe(&blobs).await);
            findings.push(known(&blobs, db).await);
        }
        Err(error) => {
            findings.push(failed("blobs", format!("{error:#}"), "look at --blobs and the AWS_ variables"));
        }
    }
    findings.extend(room(place, folder.as_deref()));
}

/// The folder that an address of blobs names, where it names one.
fn folder_of(address: &str) -> Option<PathBuf> {
    match Url::parse(address) {
        Ok(url) if url.scheme() == "file" => url.to_file_path().ok(),
        Ok(_) if address.contains("://") => None,
        _ => Some(address.into()),
    }
}

async fn probe(blobs: &Blobs) -> Finding {
    let since = Instant::now();
    match blobs.probe(&wire::Nonce(random::bytes()).to_string()).await {
        Ok(()) => ok("blobs", format!("written, read and deleted in {:.1} ms", since.elapsed().as_secs_f64() * 1000.0)),
        Err(error) => {
            failed("blobs", format!("{error:#}"), "see that the server's user may write there, and that the disk works")
        }
    }
}

/// Whether this database's blobs are there.
async fn known(blobs: &Blobs, db: Option<&Db>) -> Finding {
    match blobs.is_marked().await {
        Ok(true) => {}
        Ok(false) => {
            return failed(
                "place",
                "it is not marked as one of a server's blobs",
                "is it the right place, and mounted?",
            );
        }
        Err(error) => return failed("place", error.to_string(), "see why objects cannot be looked up"),
    }
    let Some(db) = db else { return skipped("place", "there is no database to compare it with") };
    let listed = async { store::blobs::list_job_blobs(&mut *db.read().await?, KNOWN).await }.await;
    // The database has said for itself what is wrong with it.
    let Ok(hashes) = listed else { return skipped("place", "the database does not say what should be there") };
    let (total, mut lost) = (hashes.len(), 0);
    for hash in hashes {
        match blobs.size(hash).await {
            Ok(size) => lost += usize::from(size.is_none()),
            Err(error) => return failed("place", error.to_string(), "see why objects cannot be looked up"),
        }
    }
    if lost > 0 {
        let message = format!("{lost} of {total} blobs of the latest jobs are not there");
        return failed("place", message, "restore them from a backup: their jobs end as failed otherwise");
    }
    ok("place", format!("marked, and {total} of {total} blobs of the latest jobs are there"))
}

fn room(place: &Place, folder: Option<&Path>) -> Vec<Finding> {
    let disks = DiskReserve::new(folder, &place.database_url, place.disk_reserve);
    let finding = |(folder, free): (&Path, u64)| {
        let (gigabytes, reserve) = (free >> 30, place.disk_reserve);
        let message = format!("{gigabytes} GiB are free for {}", folder.display());
        if free < reserve {
            failed("disk", message, "make room: uploads are refused")
        } else if free < reserve.saturating_mul(2) {
            warning("disk", message, "make room: uploads are refused once less than --disk-reserve is free")
        } else {
            ok("disk", message)
        }
    };
    disks.free().map(finding).collect()
}
