//! The command and the worker as files of this server's: which there are, for which systems, and their checksums.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use web::pages::docs::data::Download;

const PROGRAMS: [&str; 2] = ["tessera", "tessera-worker"];
const SYSTEMS: [&str; 3] = ["linux", "macos", "windows"];
const PROCESSORS: [&str; 2] = ["x86_64", "aarch64"];

/// A file on this server's disk as it was when it was read.
type Version = (u64, SystemTime);

/// Where programs lie, and what is known of them.
pub(crate) struct Programs {
    /// `None` for those beside this program, which are of its own system.
    folder: Option<PathBuf>,
    /// Checksums by path, as long as the file stays the same.
    sums: Mutex<HashMap<PathBuf, (Version, String)>>,
}

#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) download: Download,
    pub(crate) path: PathBuf,
}

impl Programs {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, sums: Mutex::default() }
    }

    /// What a file of this name would be. `None` for what is no program of ours: no name leads out of the folder.
    pub(crate) fn parse(file: &str) -> Option<Download> {
        let name = file.strip_suffix(".exe").unwrap_or(file);
        for program in PROGRAMS {
            for system in SYSTEMS {
                for processor in PROCESSORS {
                    if name == format!("{program}-{system}-{processor}") {
                        let file = file.to_owned();
                        return Some(Download { file, program, system, processor, bytes: 0, sha256: String::new() });
                    }
                }
            }
        }
        None
    }

    /// Every program that lies here. Reads disks.
    fn find(&self) -> Vec<Found> {
        let mut paths: Vec<(String, PathBuf)> = match &self.folder {
            Some(folder) => names(folder).into_iter().map(|name| (name.clone(), folder.join(name))).collect(),
            None => beside_this_program(),
        };
        paths.sort();
        paths.into_iter().filter_map(|(name, path)| self.read(&name, path)).collect()
    }

    fn read(&self, name: &str, path: PathBuf) -> Option<Found> {
        let download = Self::parse(name)?;
        let metadata = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file)?;
        let version = (metadata.len(), metadata.modified().ok()?);
        // One at a time: who asks meanwhile waits for the same sum.
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sums.get(&path).filter(|(of, _)| *of == version).map(|(_, sum)| sum.clone());
        let sha256 = match known {
            Some(sum) => sum,
            None => match sum(&path) {
                Ok(sum) => sum,
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "a program to download cannot be read");
                    return None;
                }
            },
        };
        sums.insert(path.clone(), (version, sha256.clone()));
        Some(Found { download: Download { bytes: version.0, sha256, ..download }, path })
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn beside_this_program() -> Vec<(String, PathBuf)> {
    use std::env::consts::{ARCH, EXE_SUFFIX, OS};
    let Some(folder) = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf)) else {
        return Vec::new();
    };
    let file = |program| (format!("{program}-{OS}-{ARCH}{EXE_SUFFIX}"), folder.join(format!("{program}{EXE_SUFFIX}")));
    PROGRAMS.map(file).to_vec()
}

fn sum(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut std::fs::File::open(path)?, &mut hasher)?;
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    Ok(hasher.finalize().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
}

pub(crate) async fn find(programs: &Arc<Programs>) -> Vec<Found> {
    let programs = Arc::clone(programs);
    // A panic of the disk's reader is logged where it happens; there is then nothing to download.
    tokio::task::spawn_blocking(move || programs.find()).await.unwrap_or_default()
}

/// Every program that can be taken from here.
pub(crate) async fn list(programs: &Arc<Programs>) -> Vec<Download> {
    find(programs).await.into_iter().map(|found| found.download).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_programs_are_files_to_download() {
        let found = Programs::parse("tessera-worker-macos-aarch64").unwrap();

        assert_eq!((found.program, found.system, found.processor), ("tessera-worker", "macos", "aarch64"));
        assert_eq!(Programs::parse("tessera-windows-x86_64.exe").unwrap().program, "tessera");
        for other in
            ["", "tessera", "../tessera-linux-x86_64", "tessera-linux-x86_64/", "SHA256SUMS", "tessera-linux-mips"]
        {
            assert!(Programs::parse(other).is_none(), "{other}");
        }
    }
}
