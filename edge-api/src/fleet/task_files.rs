//! What whoever computes a task fetches: the customer's code, a plan or a gated kernel, and the input.
//! Leases open it by their token, and published jobs to everybody.

use std::ops::Range;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use wire::{BlobHash, GatedKernel, Task};

use crate::app::App;
use crate::blobs::Blobs;
use crate::http::error::{ApiResult, not_found};
use crate::programs::infer::kept_plans::PackedPlan;
use crate::programs::infer::plans;
use crate::programs::map;

/// Files of some rows of a task.
pub struct TaskFiles<'a> {
    pub app: &'a App,
    pub task: &'a Task,
    pub rows: u64,
    /// The rows of each input, then what all rows share.
    pub input: Vec<(BlobHash, Range<u64>)>,
    /// Who may keep them, and for how long.
    pub cache_control: &'static str,
}

impl TaskFiles<'_> {
    fn binary(&self, body: impl Into<Body>) -> Response {
        let headers = [("content-type", "application/octet-stream"), ("cache-control", self.cache_control)];
        (headers, body.into()).into_response()
    }

    /// A model as ONNX, a kernel as WGSL, as the customer sent it.
    pub async fn code(self) -> ApiResult<Response> {
        let code = self.app.blobs.stream(self.task.code()).await?;
        Ok(self.binary(Body::from_stream(code)))
    }

    /// The kernel as the gate emits it.
    pub async fn kernel(self) -> ApiResult<Json<GatedKernel>> {
        let Task::Map(task) = self.task else { return Err(not_found("kernel")) };
        Ok(Json(map::gated_kernel(self.app, task).await?))
    }

    /// What the kernel's `@binding(2)` holds.
    pub async fn params(self) -> ApiResult<Response> {
        let Task::Map(task) = self.task else { return Err(not_found("parameters")) };
        let params = task.params.ok_or_else(|| not_found("parameters"))?;
        Ok(self.binary(self.app.blobs.read(params).await?))
    }

    /// The model's plan for `rows` rows at once, in postcard's format.
    pub async fn plan(self, rows: u64) -> ApiResult<Response> {
        let plan = self.packed_plan(rows).await?.plan;
        Ok(self.binary(plan))
    }

    /// The constants of that plan, one after another, as 32-bit words.
    pub async fn weights(self, rows: u64) -> ApiResult<Response> {
        let weights = self.packed_plan(rows).await?.weights;
        Ok(self.binary(weights))
    }

    async fn packed_plan(&self, rows: u64) -> ApiResult<PackedPlan> {
        let Task::Infer(task) = self.task else { return Err(not_found("plan")) };
        let of_rows = task.inputs.iter().filter(|field| !field.shared).count();
        let shared = self.input[of_rows.min(self.input.len())..].to_vec();
        plans::pack(self.app, task, shared, rows, self.rows).await
    }

    /// The rows of each input after one another, then each shared input whole; little-endian, without heads.
    pub fn input(self) -> Response {
        let parts = stream_parts(&self.app.blobs, self.input.clone());
        self.binary(Body::from_stream(parts))
    }
}

/// Ranges of blobs, one after another.
fn stream_parts(
    blobs: &Blobs,
    parts: Vec<(BlobHash, Range<u64>)>,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + use<> {
    let blobs = blobs.clone();
    stream::iter(parts)
        .then(move |(blob, range)| {
            let blobs = blobs.clone();
            async move { blobs.stream_range(blob, range).await.map_err(std::io::Error::other) }
        })
        .try_flatten()
}
