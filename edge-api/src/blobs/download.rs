//! Blobs on their way out: whole or in part from here, and large ones from the bucket itself, where both sides want that.

use std::ops::Range;

use anyhow::Context;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION, REFERRER_POLICY};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, IntoResponseParts, Response};
use serde::Deserialize;
use url::Url;
use wire::{Blob, BlobHash};

use crate::app::App;
use crate::auth::Caller;
use crate::blobs::Parts;
use crate::http::attachment::{attachment, plain_name};
use crate::http::error::{ApiResult, not_found};
use crate::http::extract::{PathParam, QueryParams};
use crate::http::resume::{Known, Resume, Wanted};
use crate::openapi::answers::{Binary, RangeBehindEnd, Refusals};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DownloadParams {
    /// What the file is saved as; its hash, if nothing is said.
    #[param(example = "model.onnx")]
    name: Option<String>,
    /// A large file may be fetched at the store where the server keeps it: the answer is then 307, with an address that is
    /// good for a minute. Say so where redirects are followed without the key, which is this server's alone, as browsers,
    /// `curl --location` and the Rust client do.
    #[serde(default)]
    redirect: bool,
}

/// Download a blob of the caller's own
#[utoipa::path(
    get,
    path = "/v1/blobs/{hash}",
    tag = "blobs",
    params(
        ("hash" = BlobHash, Path, description = "The blob's hash"),
        DownloadParams,
        ("Range" = Option<String>, Header, description = "What is wanted of the file; a part comes as it is stored, and the whole is checked against its hash on the way", example = "bytes=0-")
    ),
    responses(
        (status = 200, description = "The file, under an `ETag` that is its hash", body = Binary, content_type = "application/octet-stream"),
        (status = 206, description = "The part that `Range` asks for", body = Binary, content_type = "application/octet-stream"),
        (status = 304, description = "`If-None-Match` has it already"),
        (status = 307, description = "The file is at `Location`, for a minute: where `redirect` asks for that and the operator has switched it on", headers(("Location" = String, description = "An address that opens this file alone"))),
        Refusals<(Caller, PathParam<BlobHash>, QueryParams<DownloadParams>, RangeBehindEnd)>
    )
)]
pub async fn download_blob(
    caller: Caller,
    State(app): State<App>,
    PathParam(hash): PathParam<BlobHash>,
    QueryParams(params): QueryParams<DownloadParams>,
    method: Method,
    resume: Resume,
) -> ApiResult<Response> {
    let blob = store::blobs::find_owned_blob(&mut *app.db.read().await?, caller.account, hash).await?;
    let blob = blob.ok_or_else(|| not_found("blob"))?;
    let disposition = attachment(&params.name.as_deref().and_then(plain_name).unwrap_or_else(|| hash.to_string()));
    let is_sent = !matches!(resume.wanted(&known(&blob)), Wanted::NotModified | Wanted::Unsatisfiable);
    if is_sent {
        // One that is not there is an answer, not a stream that breaks off, and no address to be sent to.
        app.blobs.size(hash).await?.context("a blob is lost on the server")?;
    }
    // An address is signed for one method.
    let may_follow = params.redirect && method == Method::GET;
    if may_follow
        && is_sent
        && let Some(url) = address_in_bucket(&app, &blob, &disposition).await
    {
        // Whoever has the address can fetch the blob: pages that follow should not see it.
        let headers = [(LOCATION, url.as_str()), (REFERRER_POLICY, "no-referrer")];
        return Ok((StatusCode::TEMPORARY_REDIRECT, headers).into_response());
    }
    let headers = [(CONTENT_TYPE, "application/octet-stream".to_owned()), (CONTENT_DISPOSITION, disposition)];
    Ok(answer_blob(&app, &blob, &resume, headers))
}

/// Where a large blob can be fetched by itself, where the operator wants that.
async fn address_in_bucket(app: &App, blob: &Blob, disposition: &str) -> Option<Url> {
    if app.config.blob_redirect_bytes.is_none_or(|least| blob.size < least) {
        return None;
    }
    app.blobs.signed_url(blob.hash, disposition).await.unwrap_or_else(|error| {
        // Some keys read and do not sign; the blob comes from here.
        tracing::warn!(error = format!("{:#}", anyhow::Error::from(error)), "no address could be signed");
        None
    })
}

/// A blob that is there, or the part of it that is wanted. The whole is checked against its hash as it goes.
pub fn answer_blob(app: &App, blob: &Blob, resume: &Resume, headers: impl IntoResponseParts) -> Response {
    let file = known(blob);
    let wanted = resume.wanted(&file);
    let body = match &wanted {
        Wanted::All => Body::from_stream(app.blobs.stream_known(blob)),
        Wanted::Part(part) => Body::from_stream(app.blobs.pieces(blob.hash, part.clone())),
        Wanted::NotModified | Wanted::Unsatisfiable => Body::empty(),
    };
    file.answer(headers, &wanted, body)
}

fn known(blob: &Blob) -> Known {
    Known::new(blob.size, &blob.hash.to_string())
}

/// That file as a whole: what it is made of names its content. Under the servers' secret, so that whoever is lent some rows
/// cannot try what the others are.
pub fn known_parts(secret: &[u8; 32], parts: &Parts) -> Known {
    let mut hasher =
        blake3::Hasher::new_keyed(&blake3::derive_key("tessera.dev 2026-11-28 tags of parts of blobs", secret));
    for (blob, range) in parts {
        hasher.update(&blob.0).update(&range.start.to_le_bytes()).update(&range.end.to_le_bytes());
    }
    Known::new(parts.iter().map(|(_, range)| range.end - range.start).sum(), &hasher.finalize().to_hex())
}

/// What of it lies in a part of that file.
pub fn cut_parts(parts: Parts, part: &Range<u64>) -> Parts {
    let mut first = 0;
    let cut = parts.into_iter().map(|(blob, range)| {
        let place = |of: u64| range.start + of.clamp(first, first + (range.end - range.start)) - first;
        let kept = place(part.start)..place(part.end);
        first += range.end - range.start;
        (blob, kept)
    });
    cut.filter(|(_, kept)| !kept.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_parts_is_what_lies_in_it() {
        let blob = |byte| BlobHash([byte; 32]);
        let parts = || vec![(blob(1), 10..14), (blob(2), 0..3), (blob(3), 5..5), (blob(4), 7..9)];
        let check = |part: Range<u64>, expected: &[(u8, Range<u64>)]| {
            let expected: Parts = expected.iter().map(|(byte, range)| (blob(*byte), range.clone())).collect();
            assert_eq!(cut_parts(parts(), &part), expected, "{part:?}");
        };

        check(0..9, &[(1, 10..14), (2, 0..3), (4, 7..9)]);
        check(0..1, &[(1, 10..11)]);
        check(3..5, &[(1, 13..14), (2, 0..1)]);
        check(4..7, &[(2, 0..3)]);
        check(6..9, &[(2, 2..3), (4, 7..9)]);
        check(8..9, &[(4, 8..9)]);
    }

    #[test]
    fn what_a_file_is_made_of_names_it() {
        let one = vec![(BlobHash([1; 32]), 0..4), (BlobHash([2; 32]), 0..4)];
        let other = vec![(BlobHash([1; 32]), 0..5), (BlobHash([2; 32]), 1..4)];

        let known = |seed, parts: &Parts| known_parts(&[seed; 32], parts);

        assert_eq!(known(1, &one), known(1, &one.clone()));
        assert_ne!(known(1, &one), known(1, &other));
        assert_ne!(known(1, &one), known(2, &one), "nobody else can compute it");
    }
}
