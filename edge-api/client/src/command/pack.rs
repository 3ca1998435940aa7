//! A folder of pictures as one file, which the server reads as it reads a zip of them.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use client::ClientError;
use tempfile::NamedTempFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::failure::Failure;
use crate::notes::Notes;

const ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "gif", "bmp"];
/// Folders within folders.
const DEPTH_MAX: usize = 32;
/// Copied at a time, in bytes.
const PIECE: usize = 1 << 20;

/// What is not packed.
#[derive(Debug, Default, PartialEq, Eq)]
struct LeftOut {
    /// That are no pictures.
    files: usize,
    /// That are links, or too deep.
    folders: usize,
}

/// Packs on another thread, which stops where nobody waits any more. The file goes with the value.
pub(crate) async fn pack(folder: &Path, notes: &Notes) -> Result<NamedTempFile, Failure> {
    notes.remark(&format!("packing the pictures of '{}'", folder.display()));
    let stop = StopOnDrop(Arc::default());
    let (owned, stopped) = (folder.to_owned(), Arc::clone(&stop.0));
    let packing = tokio::task::spawn_blocking(move || pack_here(&owned, &stopped));
    let packed = packing.await.map_err(|ended| unwritten(&std::env::temp_dir(), io::Error::other(ended)));
    drop(stop);
    let (file, left_out) = packed??;
    if let Some(text) = left_out.text() {
        notes.warn(&format!("{}: {text} left out", folder.display()));
    }
    Ok(file)
}

struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl LeftOut {
    fn text(&self) -> Option<String> {
        let files = match self.files {
            0 => None,
            1 => Some("a file that is no picture is".to_owned()),
            files => Some(format!("{files} files that are no pictures are")),
        };
        let folders = match self.folders {
            0 => None,
            1 => Some("a folder that is a link, or too deep, is".to_owned()),
            folders => Some(format!("{folders} folders that are links, or too deep, are")),
        };
        match (files, folders) {
            (Some(files), Some(folders)) => Some(format!("{files}, and {folders}")),
            (files, folders) => files.or(folders),
        }
    }
}

pub(crate) fn unwritten(path: &Path, source: io::Error) -> Failure {
    ClientError::Unwritable { path: path.display().to_string(), source }.into()
}

fn unread(path: &Path, source: io::Error) -> Failure {
    ClientError::Unreadable { path: path.display().to_string(), source }.into()
}

fn pack_here(folder: &Path, stopped: &AtomicBool) -> Result<(NamedTempFile, LeftOut), Failure> {
    let (mut files, mut left_out) = (Vec::new(), LeftOut::default());
    list(folder, "", 0, &mut files, &mut left_out)?;
    if files.is_empty() {
        return Err(Failure::NoPictures { folder: folder.display().to_string() });
    }
    let packed = NamedTempFile::new().map_err(|source| unwritten(&std::env::temp_dir(), source))?;
    let failed = |source| unwritten(packed.path(), source);
    let mut zip = ZipWriter::new(packed.as_file());
    let mut piece = vec![0; PIECE];
    for (name, path) in files {
        let mut file = fs::File::open(&path).map_err(|source| unread(&path, source))?;
        let size = file.metadata().map_err(|source| unread(&path, source))?.len();
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(size >= u64::from(u32::MAX));
        zip.start_file(name, options).map_err(io::Error::other).map_err(failed)?;
        loop {
            if stopped.load(Ordering::Relaxed) {
                return Err(failed(io::ErrorKind::Interrupted.into()));
            }
            let len = file.read(&mut piece).map_err(|source| unread(&path, source))?;
            if len == 0 {
                break;
            }
            zip.write_all(&piece[..len]).map_err(failed)?;
        }
    }
    zip.finish().map_err(io::Error::other).map_err(failed)?;
    Ok((packed, left_out))
}

/// Whether a file is called as pictures are: others are not packed.
pub(crate) fn has_picture_ending(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// The pictures with their names from the folder on. Linked files are read, linked folders are not: they may lead back.
fn list(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut Vec<(String, PathBuf)>,
    left_out: &mut LeftOut,
) -> Result<(), Failure> {
    for entry in fs::read_dir(folder).map_err(|source| unread(folder, source))? {
        let entry = entry.map_err(|source| unread(folder, source))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') || name == "__MACOSX" {
            continue;
        }
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if is_link || depth == DEPTH_MAX {
                left_out.folders += 1;
            } else {
                list(&path, &format!("{name}/"), depth + 1, files, left_out)?;
            }
        } else if has_picture_ending(&path) {
            files.push((name, path));
        } else {
            left_out.files += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(folder: &Path) -> Result<(NamedTempFile, LeftOut), Failure> {
        pack_here(folder, &AtomicBool::new(false))
    }

    #[test]
    fn a_folder_becomes_its_pictures_under_their_paths() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("cats")).unwrap();
        for name in ["b.JPG", "cats/a.png", ".hidden.png", "notes.txt"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path(), folder.path().join("cats/back")).unwrap();

        let (packed, left_out) = pack(folder.path()).unwrap();

        let mut archive = zip::ZipArchive::new(packed.reopen().unwrap()).unwrap();
        let mut names: Vec<String> = archive.file_names().map(str::to_owned).collect();
        names.sort();
        assert_eq!(names, ["b.JPG", "cats/a.png"]);
        let mut content = String::new();
        archive.by_name("cats/a.png").unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "cats/a.png");
        assert_eq!(left_out, LeftOut { files: 1, folders: usize::from(cfg!(unix)) });
        assert!(matches!(pack(&folder.path().join("none")), Err(Failure::Client(_))));
    }

    #[test]
    fn packing_ends_when_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.png"), "a").unwrap();

        assert!(pack_here(folder.path(), &AtomicBool::new(true)).is_err());
    }
}
