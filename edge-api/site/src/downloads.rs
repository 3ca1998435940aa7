//! The command and the worker, for the systems that they were built for: who takes one gets what its checksum says, and
//! goes on where a transfer broke off.

use std::io::{self, SeekFrom};
use std::ops::RangeInclusive;
use std::path::Path;

use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use http_range_header::parse_range_header;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;
use web::pages::docs::data::Download;
use web::route::{DocsPage, Page};

use crate::programs::{Found, Programs, find, list};
use crate::state::Site;

/// Checksums of all files, as `sha256sum --check` reads them.
const SUMS: &str = "SHA256SUMS";

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
