//! A lease's blobs over HTTP: model and input down, output up.
//!
//! A device shows the pass that came with its lease. The pass is sealed with a key that all
//! replicas share, so any of them can serve it, and it ends with the lease's deadline.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use wire::{BlobHash, ErrorCode, LeaseId, Micros};

use super::JobFacts;
use super::core::Lease;
use crate::app::App;
use crate::error::{ApiError, ApiResult, Refusal};

/// What a lease opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    pub lease: LeaseId,
    model: BlobHash,
    input: BlobHash,
    input_start: u64,
    input_end: u64,
    output_bytes: u64,
    deadline: Micros,
}

impl Pass {
    pub fn new(job: &JobFacts, lease: &Lease) -> Self {
        let input = job.input_range(lease.first_tile, lease.tiles);
        let rows = job.rows_of(lease.first_tile, lease.tiles);
        Self {
            lease: lease.id,
            model: job.model,
            input: job.input,
            input_start: input.start,
            input_end: input.end,
            output_bytes: (rows.end - rows.start) * job.output_row_len * 4,
            deadline: lease.deadline,
        }
    }

    pub fn seal(&self, secret: &[u8; 32]) -> String {
        let body = serde_json::to_vec(self).expect("a pass should serialise");
        let mac = blake3::keyed_hash(secret, &body);
        format!("{}.{}", URL_SAFE_NO_PAD.encode(&body), URL_SAFE_NO_PAD.encode(mac.as_bytes()))
    }

    /// `None` for anything that we did not seal, or whose lease is over.
    pub fn open(text: &str, secret: &[u8; 32], now: Micros) -> Option<Self> {
        let (body, mac) = text.split_once('.')?;
        let body = URL_SAFE_NO_PAD.decode(body).ok()?;
        let mac: [u8; 32] = URL_SAFE_NO_PAD.decode(mac).ok()?.try_into().ok()?;
        // Comparing two `Hash`es takes the same time wherever they differ.
        if blake3::keyed_hash(secret, &body) != blake3::Hash::from_bytes(mac) {
            return None;
        }
        let pass: Self = serde_json::from_slice(&body).ok()?;
        (now <= pass.deadline).then_some(pass)
    }
}

fn open(app: &App, text: &str) -> Result<Pass, ApiError> {
    Pass::open(text, &app.secret, app.clock.now()).ok_or_else(|| {
        let message = "there is no such lease, or it is over; ask for another";
        Refusal::new(StatusCode::NOT_FOUND, ErrorCode::UnknownLease, message).into()
    })
}

const BINARY: [(&str, &str); 2] =
    [("content-type", "application/octet-stream"), ("cache-control", "private, no-store")];

/// Fetch the model of a lease
pub async fn lease_model(State(app): State<App>, Path(pass): Path<String>) -> ApiResult<Response> {
    let pass = open(&app, &pass)?;
    Ok((BINARY, Body::from_stream(app.blobs.stream(pass.model).await?)).into_response())
}

/// Fetch the input rows of a lease
///
/// Float32, little-endian, row after row, without a head.
pub async fn lease_input(State(app): State<App>, Path(pass): Path<String>) -> ApiResult<Response> {
    let pass = open(&app, &pass)?;
    Ok((BINARY, app.blobs.read_range(pass.input, pass.input_start..pass.input_end).await?).into_response())
}

/// Upload the output rows of a lease
pub async fn lease_output(
    State(app): State<App>,
    Path(pass): Path<String>,
    body: Body,
) -> ApiResult<(StatusCode, axum::Json<wire::Blob>)> {
    let pass = open(&app, &pass)?;
    let wrong = || {
        let message = format!("the output of this lease has {} bytes", pass.output_bytes);
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::OutputSize, message)
    };
    let limit = usize::try_from(pass.output_bytes).unwrap_or(usize::MAX);
    let bytes = axum::body::to_bytes(body, limit).await.map_err(|_too_long_or_broken| wrong())?;
    if bytes.len() != limit {
        return Err(wrong().into());
    }
    // It is on disk before anything is settled.
    Ok((StatusCode::CREATED, axum::Json(app.blobs.put(bytes).await?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass() -> Pass {
        Pass {
            lease: LeaseId([3; 16]),
            model: BlobHash([1; 32]),
            input: BlobHash([2; 32]),
            input_start: 128,
            input_end: 256,
            output_bytes: 40,
            deadline: 1000,
        }
    }

    #[test]
    fn a_pass_opens_until_its_deadline_and_not_with_another_key() {
        let sealed = pass().seal(&[7; 32]);

        assert_eq!(Pass::open(&sealed, &[7; 32], 1000), Some(pass()));
        assert_eq!(Pass::open(&sealed, &[7; 32], 1001), None);
        assert_eq!(Pass::open(&sealed, &[8; 32], 0), None);
    }

    #[test]
    fn a_pass_that_was_altered_does_not_open() {
        let sealed = pass().seal(&[7; 32]);
        let wider = Pass { input_end: 1 << 20, ..pass() }.seal(&[9; 32]);
        let (_, mac) = sealed.split_once('.').unwrap();
        let (body, _) = wider.split_once('.').unwrap();

        for text in [format!("{body}.{mac}"), String::new(), ".".into(), sealed.replace('.', "")] {
            assert_eq!(Pass::open(&text, &[7; 32], 0), None, "{text}");
        }
    }
}
