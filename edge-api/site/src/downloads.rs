//! The command and the worker, for the systems that they were built for: who takes one gets what its checksum says, and
//! goes on where a transfer broke off.

use std::collections::HashMap;
use std::io::{self, SeekFrom};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use http_range_header::parse_range_header;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;
use web::pages::docs::data::Download;
use web::route::{DocsPage, Page};

use crate::state::Site;

/// Checksums of all files, as `sha256sum --check` reads them.
const SUMS: &str = "SHA256SUMS";
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
struct Found {
    download: Download,
    path: PathBuf,
}

impl Programs {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, sums: Mutex::default() }
    }

    /// What a file of this name would be. `None` for what is no program of ours: no name leads out of the folder.
    fn parse(file: &str) -> Option<Download> {
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

async fn find(programs: &Arc<Programs>) -> Vec<Found> {
    let programs = Arc::clone(programs);
    // A panic of the disk's reader is logged where it happens; there is then nothing to download.
    tokio::task::spawn_blocking(move || programs.find()).await.unwrap_or_default()
}

/// Every program that can be taken from here.
pub(crate) async fn list(programs: &Arc<Programs>) -> Vec<Download> {
    find(programs).await.into_iter().map(|found| found.download).collect()
}

pub(crate) async fn show_page() -> Redirect {
    Redirect::permanent(&Page::Docs(DocsPage::Downloads).path())
}

/// A program, or the checksums of all.
pub(crate) async fn download(State(site): State<Site>, UrlPath(file): UrlPath<String>, headers: HeaderMap) -> Response {
    if file == SUMS {
        let line = |one: Download| format!("{}  {}\n", one.sha256, one.file);
        let text: String = list(&site.programs).await.into_iter().map(line).collect();
        return ([(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "public, max-age=300")], text)
            .into_response();
    }
    if Programs::parse(&file).is_none() {
        return missing();
    }
    let found = find(&site.programs).await.into_iter().find(|found| found.download.file == file);
    let Some(Found { download, path }) = found else { return missing() };
    match send(&download, &path, &headers).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "a program to download cannot be read");
            missing()
        }
    }
}

async fn send(download: &Download, path: &Path, asked: &HeaderMap) -> io::Result<Response> {
    let size = download.bytes;
    let tag = format!("\"{}\"", download.sha256);
    let common = AppendHeaders([
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CACHE_CONTROL, "public, max-age=300".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", download.file)),
        (ACCEPT_RANGES, "bytes".to_owned()),
        (ETAG, tag.clone()),
    ]);
    let text = |name: HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
    if text(IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(|one| one.trim() == tag)) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let same = text(IF_RANGE).is_none_or(|wanted| wanted == tag);
    let part = text(RANGE).filter(|_| same).and_then(|range| one_part(range, size));
    let mut file = tokio::fs::File::open(path).await?;
    let Some(part) = part else {
        let body = Body::from_stream(ReaderStream::new(file.take(size)));
        return Ok((common, AppendHeaders([(CONTENT_LENGTH, size.to_string())]), body).into_response());
    };
    let (first, last) = part.into_inner();
    file.seek(SeekFrom::Start(first)).await?;
    let body = Body::from_stream(ReaderStream::new(file.take(last + 1 - first)));
    let length = AppendHeaders([
        (CONTENT_LENGTH, (last + 1 - first).to_string()),
        (CONTENT_RANGE, format!("bytes {first}-{last}/{size}")),
    ]);
    Ok((StatusCode::PARTIAL_CONTENT, common, length, body).into_response())
}

/// Anything but one part of the file is answered whole, as the standard (RFC 9110, 14) allows.
fn one_part(range: &str, size: u64) -> Option<RangeInclusive<u64>> {
    let ranges = parse_range_header(range).ok()?.validate(size).ok()?;
    <[_; 1]>::try_from(ranges).ok().map(|[range]| range)
}

fn missing() -> Response {
    let text = "There is no such program here. /docs/downloads names those that there are; \
                others are built with 'cargo build --release -p worker -p client'.\n";
    (StatusCode::NOT_FOUND, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
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
