//! What whoever computes a task fetches: the customer's code, a plan or a gated kernel, and the input.
//! Leases open it by their token, and published jobs to everybody.

use anyhow::Context;
use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use wire::{Blob, GatedKernel, Task};

use crate::app::App;
use crate::blobs::download::{answer_blob, cut_parts, known_parts};
use crate::blobs::{Blobs, Parts};
use crate::http::error::{ApiResult, not_found};
use crate::http::resume::{Resume, Wanted};
use crate::programs::infer::kept_plans::PackedPlan;
use crate::programs::infer::plans;
use crate::programs::map;

/// Files of some rows of a task.
pub struct TaskFiles<'a> {
    pub app: &'a App,
    pub task: &'a Task,
    pub rows: u64,
    /// The rows of each input, then what all rows share.
    pub input: Parts,
    /// Who may keep them, and for how long.
    pub cache_control: &'static str,
}

impl TaskFiles<'_> {
    fn headers(&self) -> [(&'static str, &'static str); 2] {
        [("content-type", "application/octet-stream"), ("cache-control", self.cache_control)]
    }

    fn binary(&self, body: impl Into<Body>) -> Response {
        (self.headers(), body.into()).into_response()
    }

    /// A model as ONNX, a kernel as WGSL, as the customer sent it.
    pub async fn code(self, resume: &Resume) -> ApiResult<Response> {
        let hash = self.task.code();
        let size = self.app.blobs.size(hash).await?.context("a job's code is lost on the server")?;
        Ok(answer_blob(self.app, &Blob { hash, size }, resume, self.headers()))
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
    pub fn input(self, resume: &Resume) -> Response {
        let file = known_parts(&self.app.secret, &self.input);
        let wanted = resume.wanted(&file);
        let headers = self.headers();
        let parts = match &wanted {
            Wanted::All => self.input,
            Wanted::Part(part) => cut_parts(self.input, part),
            Wanted::NotModified | Wanted::Unsatisfiable => Parts::new(),
        };
        file.answer(headers, &wanted, Body::from_stream(stream_parts(&self.app.blobs, parts)))
    }
}

/// Ranges of blobs, one after another.
fn stream_parts(blobs: &Blobs, parts: Parts) -> impl Stream<Item = std::io::Result<Bytes>> + Send + use<> {
    let blobs = blobs.clone();
    stream::iter(parts)
        .then(move |(blob, range)| {
            let blobs = blobs.clone();
            async move { blobs.stream_range(blob, range).await.map_err(std::io::Error::other) }
        })
        .try_flatten()
}
