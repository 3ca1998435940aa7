//! Room on the disks: uploads stop before the ledger does.

use std::path::{Path, PathBuf};

/// The folders that this server writes to, and how much must stay free there.
#[derive(Clone, Debug)]
pub struct DiskReserve {
    folders: Vec<PathBuf>,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's disk is full")]
pub struct DiskFull;

impl DiskReserve {
    /// Of the blobs' folder, if they lie in one, and of an embedded database.
    pub fn new(blobs: Option<&Path>, database_url: &str, bytes: u64) -> Self {
        let database = store::db::sqlite_file(database_url)
            .map(|file| file.parent().map_or_else(|| ".".into(), Path::to_owned))
            .map(|folder| if folder.as_os_str().is_empty() { ".".into() } else { folder });
        Self { folders: blobs.map(Path::to_owned).into_iter().chain(database).collect(), bytes }
    }

    /// What must stay free on each.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The folders with what is free on their disks, where that can be asked.
    pub fn free(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.folders.iter().filter_map(|folder| Some((folder.as_path(), free_bytes(folder)?)))
    }

    /// Refuses when less is free than must stay. A disk that cannot be asked refuses nothing.
    pub fn check(&self) -> Result<(), DiskFull> {
        let is_short = |folder: &PathBuf| free_bytes(folder).is_some_and(|free| free < self.bytes);
        if self.folders.iter().any(is_short) { Err(DiskFull) } else { Ok(()) }
    }
}

#[cfg(unix)]
fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_folder: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disks_are_those_of_the_blobs_and_of_an_embedded_database() {
        let folders = |url: &str| DiskReserve::new(Some(Path::new("/blobs")), url, 0).folders;

        assert_eq!(folders("sqlite:///var/lib/t/t.db?mode=rwc"), [Path::new("/blobs"), Path::new("/var/lib/t")]);
        assert_eq!(folders("sqlite://t.db?mode=rwc"), [Path::new("/blobs"), Path::new(".")]);
        assert_eq!(folders("postgres://host/tessera"), [Path::new("/blobs")]);
        assert_eq!(DiskReserve::new(Some(Path::new("/")), "", u64::MAX).check(), Err(DiskFull));
        assert_eq!(DiskReserve::new(Some(Path::new("/")), "", 0).check(), Ok(()));
    }
}
