//! A lease's blobs over HTTP: program and input down, output up.
//!
//! A device shows the token that came with its lease. The token is sealed with a key that all
//! replicas share, so any of them can serve it, and it ends with the lease's deadline.

use std::net::SocketAddr;
use std::ops::Range;

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use gpu_kernels::wgsl::gate::Contract;
use serde::{Deserialize, Serialize};
use wire::{BlobHash, ErrorCode, GatedKernel, InferTask, LeaseId, MapTask, Micros, Task};

use super::JobFacts;
use super::core::Lease;
use super::plans::{self, PlanParams};
use crate::app::App;
use crate::error::{ApiError, ApiResult, Refusal, not_found};
use crate::jobs::kernel;
use crate::json::Params;

/// What a lease opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseToken {
    pub lease: LeaseId,
    task: Task,
    rows: u64,
    input: Vec<(BlobHash, Range<u64>)>,
    deadline: Micros,
}

impl LeaseToken {
    pub fn new(job: &JobFacts, lease: &Lease) -> Self {
        let rows = job.rows_of(lease.first_tile, lease.tiles);
        Self {
            lease: lease.id,
            task: job.task.clone(),
            rows: rows.end - rows.start,
            input: job.input_parts(lease.first_tile, lease.tiles),
            deadline: lease.deadline,
        }
    }

    /// What all rows share: the last of the input's parts.
    fn shared(&self) -> Vec<(BlobHash, Range<u64>)> {
        let of_rows = self.task.inputs().iter().filter(|field| !field.shared).count();
        self.input.iter().skip(of_rows).cloned().collect()
    }

    fn output_bytes(&self) -> u64 {
        self.rows.saturating_mul(self.task.out_bytes())
    }

    pub fn seal(&self, secret: &[u8; 32]) -> String {
        let body = serde_json::to_vec(self).expect("a lease token should serialise");
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
        let token: Self = serde_json::from_slice(&body).ok()?;
        (now <= token.deadline).then_some(token)
    }
}

fn open(app: &App, text: &str) -> Result<LeaseToken, ApiError> {
    LeaseToken::open(text, &app.secret, app.clock.now()).ok_or_else(|| {
        let message = "there is no such lease, or it is over; ask for another";
        Refusal::new(StatusCode::NOT_FOUND, ErrorCode::UnknownLease, message).into()
    })
}

const BINARY: [(&str, &str); 2] =
    [("content-type", "application/octet-stream"), ("cache-control", "private, no-store")];

/// Fetch the program of a lease
///
/// A model as ONNX, a kernel as WGSL, as the customer sent it.
pub async fn lease_code(State(app): State<App>, Path(token): Path<String>) -> ApiResult<Response> {
    let token = open(&app, &token)?;
    Ok((BINARY, Body::from_stream(app.blobs.stream(token.task.code()).await?)).into_response())
}

/// Fetch the kernel of a lease as the gate emits it
pub async fn lease_kernel(State(app): State<App>, Path(token): Path<String>) -> ApiResult<Json<GatedKernel>> {
    let token = open(&app, &token)?;
    Ok(Json(gated(&app, &token.task).await?))
}

/// A task's kernel through the gate.
pub async fn gated(app: &App, task: &Task) -> Result<GatedKernel, ApiError> {
    let Task::Map(MapTask { kernel: code, record_bytes, out_bytes, fuel, .. }) = *task else {
        return Err(not_found("kernel"));
    };
    let text = String::from_utf8(app.blobs.read(code).await?.to_vec()).map_err(anyhow::Error::from)?;
    let passed = kernel::pass(&text, Contract { record_bytes, out_bytes, fuel }).await?;
    let kernel = passed.kernel;
    Ok(GatedKernel {
        wgsl: kernel.wgsl,
        workgroup_size: kernel.workgroup_size,
        params_bytes: kernel.params_bytes,
        loop_lines: kernel.loop_lines,
        ops: kernel.ops,
    })
}

/// Fetch the plan of a lease's model for so many rows
///
/// For tabs: what to run over which buffers, in postcard's format.
pub async fn lease_plan(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Path(token): Path<String>,
    Params(params): Params<PlanParams>,
) -> ApiResult<Response> {
    Ok((BINARY, pack(&app, from, &token, &params).await?.plan()?).into_response())
}

/// Fetch the constants of a lease's plan
///
/// Those that the plan names by hash, one after another, as 32-bit words.
pub async fn lease_weights(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Path(token): Path<String>,
    Params(params): Params<PlanParams>,
) -> ApiResult<Response> {
    Ok((BINARY, Body::from_stream(pack(&app, from, &token, &params).await?.weights())).into_response())
}

async fn pack(app: &App, from: SocketAddr, token: &str, params: &PlanParams) -> ApiResult<plans::Packed> {
    let token = open(app, token)?;
    // Planning a stranger's model takes a while of a core.
    app.limits.check_plan(from.ip())?;
    plans::pack(app, &token.task, token.shared(), params.rows, token.rows).await
}

/// Fetch the parameters of a lease's kernel
pub async fn lease_params(State(app): State<App>, Path(token): Path<String>) -> ApiResult<Response> {
    let token = open(&app, &token)?;
    let Task::Map(MapTask { params: Some(params), .. }) = token.task else { return Err(not_found("parameters")) };
    Ok((BINARY, app.blobs.read(params).await?).into_response())
}

/// Fetch the input of a lease
///
/// The rows of each input after one another, then each shared input whole; little-endian, without heads.
pub async fn lease_input(State(app): State<App>, Path(token): Path<String>) -> ApiResult<Response> {
    let token = open(&app, &token)?;
    Ok((BINARY, Body::from_stream(stream_parts(&app, token.input))).into_response())
}

/// Ranges of blobs, one after another.
pub fn stream_parts(
    app: &App,
    parts: Vec<(BlobHash, Range<u64>)>,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + use<> {
    let blobs = app.blobs.clone();
    stream::iter(parts)
        .then(move |(blob, range)| {
            let blobs = blobs.clone();
            async move { blobs.stream_range(blob, range).await.map_err(std::io::Error::other) }
        })
        .try_flatten()
}

/// Upload the output rows of a lease
pub async fn lease_output(
    State(app): State<App>,
    Path(token): Path<String>,
    body: Body,
) -> ApiResult<(StatusCode, axum::Json<wire::Blob>)> {
    let token = open(&app, &token)?;
    let wrong = || {
        let message = format!("the output of this lease has {} bytes", token.output_bytes());
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::OutputSize, message)
    };
    let limit = usize::try_from(token.output_bytes()).unwrap_or(usize::MAX);
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

    fn token() -> LeaseToken {
        LeaseToken {
            lease: LeaseId([3; 16]),
            task: Task::Infer(InferTask { model: BlobHash([1; 32]), inputs: Vec::new(), outputs: Vec::new() }),
            rows: 7,
            input: vec![(BlobHash([2; 32]), 128..256)],
            deadline: 1000,
        }
    }

    #[test]
    fn a_token_opens_until_its_deadline_and_not_with_another_key() {
        let sealed = token().seal(&[7; 32]);

        assert_eq!(LeaseToken::open(&sealed, &[7; 32], 1000), Some(token()));
        assert_eq!(LeaseToken::open(&sealed, &[7; 32], 1001), None);
        assert_eq!(LeaseToken::open(&sealed, &[8; 32], 0), None);
    }

    #[test]
    fn a_token_that_was_altered_does_not_open() {
        let sealed = token().seal(&[7; 32]);
        let wider = LeaseToken { input: vec![(BlobHash([2; 32]), 0..1 << 20)], ..token() }.seal(&[9; 32]);
        let (_, mac) = sealed.split_once('.').unwrap();
        let (body, _) = wider.split_once('.').unwrap();

        for text in [format!("{body}.{mac}"), String::new(), ".".into(), sealed.replace('.', "")] {
            assert_eq!(LeaseToken::open(&text, &[7; 32], 0), None, "{text}");
        }
    }
}
