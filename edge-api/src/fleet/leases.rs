//! A lease's files over HTTP: program and input down, output up. A device shows the token that came with
//! its lease.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tokio::time::Instant;
use wire::{ErrorCode, GatedKernel};

use super::line::{measure_download, measure_upload};
use super::task_files::TaskFiles;
use super::token::LeaseToken;
use super::uploads::keep_output;
use crate::app::App;
use crate::http::client_address::ClientAddress;
use crate::http::error::{ApiError, ApiResult, Refusal};
use crate::http::extract::QueryParams;
use crate::http::limits::Action;
use crate::http::pace::read_all;
use crate::http::resume::Resume;
use crate::openapi::answers::{
    Binary, OutOfBounds, OutputFailed, OutputSize, OutputTaken, PartMissing, RangeBehindEnd, RateLimited, Refusals,
    UnknownLease,
};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PlanParams {
    /// Rows at once.
    #[param(minimum = 1, example = 40)]
    rows: u64,
}

fn open(app: &App, text: &str) -> Result<LeaseToken, ApiError> {
    LeaseToken::open(text, &app.secret, app.clock.now()).ok_or_else(|| {
        let message = "there is no such lease, or it is over; ask for another";
        Refusal::new(StatusCode::NOT_FOUND, ErrorCode::UnknownLease, message).into()
    })
}

fn files<'a>(app: &'a App, token: &'a LeaseToken) -> TaskFiles<'a> {
    let cache_control = "private, no-store";
    TaskFiles { app, task: &token.task, rows: token.rows, input: token.input.clone(), cache_control }
}

/// Fetch the program of a lease
///
/// A model as ONNX, a kernel as WGSL, as the customer sent it.
#[utoipa::path(
    get,
    path = "/v1/leases/{token}/code",
    tag = "leases",
    params(("token" = String, Path, description = "The token that came with the lease", example = "eyJsZWFzZSI6IjAzIn0.c2VhbA")),
    responses(
        (status = 200, description = "The model or the kernel", body = Binary, content_type = "application/octet-stream"),
        (status = 206, description = "The part that `Range` asks for, under the `ETag` that came before", body = Binary, content_type = "application/octet-stream"),
        (status = 304, description = "`If-None-Match` has it already"),
        Refusals<(UnknownLease, RangeBehindEnd)>
    )
)]
pub async fn lease_code(State(app): State<App>, Path(token): Path<String>, resume: Resume) -> ApiResult<Response> {
    let token = open(&app, &token)?;
    Ok(measure_download(&app, &token, files(&app, &token).code(&resume).await?))
}

/// Fetch the kernel of a lease as the gate emits it
#[utoipa::path(
    get,
    path = "/v1/leases/{token}/kernel",
    tag = "leases",
    params(("token" = String, Path, description = "The token that came with the lease", example = "eyJsZWFzZSI6IjAzIn0.c2VhbA")),
    responses(
        (status = 200, description = "The kernel with its checks", body = GatedKernel),
        Refusals<(UnknownLease, PartMissing, RateLimited)>
    )
)]
pub async fn lease_kernel(
    State(app): State<App>,
    from: ClientAddress,
    Path(token): Path<String>,
) -> ApiResult<Json<GatedKernel>> {
    let token = open(&app, &token)?;
    app.limits.check(Action::Plan, from)?;
    files(&app, &token).kernel().await
}

/// Fetch the plan of a lease's model for so many rows
///
/// For tabs: what to run over which buffers, in postcard's format.
#[utoipa::path(
    get,
    path = "/v1/leases/{token}/plan",
    tag = "leases",
    params(("token" = String, Path, description = "The token that came with the lease", example = "eyJsZWFzZSI6IjAzIn0.c2VhbA"), PlanParams),
    responses(
        (status = 200, description = "The plan", body = Binary, content_type = "application/octet-stream"),
        Refusals<(UnknownLease, PartMissing, QueryParams<PlanParams>, RateLimited, OutOfBounds)>
    )
)]
pub async fn lease_plan(
    State(app): State<App>,
    from: ClientAddress,
    Path(token): Path<String>,
    QueryParams(params): QueryParams<PlanParams>,
) -> ApiResult<Response> {
    let token = open(&app, &token)?;
    // Planning a stranger's model takes a while of a core.
    app.limits.check(Action::Plan, from)?;
    files(&app, &token).plan(params.rows).await
}

/// Fetch the constants of a lease's plan
///
/// Those that the plan names by hash, one after another, as 32-bit words.
#[utoipa::path(
    get,
    path = "/v1/leases/{token}/weights",
    tag = "leases",
    params(("token" = String, Path, description = "The token that came with the lease", example = "eyJsZWFzZSI6IjAzIn0.c2VhbA"), PlanParams),
    responses(
        (status = 200, description = "The constants", body = Binary, content_type = "application/octet-stream"),
        Refusals<(UnknownLease, PartMissing, QueryParams<PlanParams>, RateLimited, OutOfBounds)>
    )
)]
pub async fn lease_weights(
    State(app): State<App>,
    from: ClientAddress,
    Path(token): Path<String>,
    QueryParams(params): QueryParams<PlanParams>,
) -> ApiResult<Response> {
    let token = open(&app, &token)?;
    app.limits.check(Action::Plan, from)?;
    Ok(measure_download(&app, &token, files(&app, &token).weights(params.rows).await?))
}

/// Fetch the parameters of a lease's kernel
#[utoipa::path(
    get,
    path = "/v1/leases/{token}/params",
    tag = "leases",
    params(("token" = String, Path, description = "The token that came with the lease", example = "eyJsZWFzZSI6IjAzIn0.c2VhbA")),
    responses(
        (status = 200, description = "What the kernel's binding 2 holds", body = Binary, content_type = "application/octet-stream"),
        Refusals<(UnknownLease, PartMissing)>
    )
)]
pub async fn lease_params(State(app): State<App>, Path(token): Path<String>) -> ApiResult<Response> {
    files(&app, &open(&app, &token)?).params().await
}

/// Fetch the input of a lease
///
/// The rows of each input after one another, then each shared input whole; little-endian, without heads.
#[utoipa::path(
    get,
    path = "/v1/leases/{token}/input",
    tag = "leases",
    params(("token" = String, Path, description = "The token that came with the lease", example = "eyJsZWFzZSI6IjAzIn0.c2VhbA")),
    responses(
        (status = 200, description = "The input", body = Binary, content_type = "application/octet-stream"),
        (status = 206, description = "The part that `Range` asks for, under the `ETag` that came before", body = Binary, content_type = "application/octet-stream"),
        (status = 304, description = "`If-None-Match` has it already"),
        Refusals<(UnknownLease, RangeBehindEnd)>
    )
)]
pub async fn lease_input(State(app): State<App>, Path(token): Path<String>, resume: Resume) -> ApiResult<Response> {
    let token = open(&app, &token)?;
    Ok(measure_download(&app, &token, files(&app, &token).input(&resume)))
}

/// Upload the output rows of a lease
///
/// An output of at most 16 KiB may go along with its commit instead. Row after row, and in each row the outputs in order; after a kernel's records of each tile the fuel that they left, four
/// bytes. The receipt that the device signs names the blob.
#[utoipa::path(
    put,
    path = "/v1/leases/{token}/output",
    tag = "leases",
    params(("token" = String, Path, description = "The token that came with the lease", example = "eyJsZWFzZSI6IjAzIn0.c2VhbA")),
    request_body(content = Binary, content_type = "application/octet-stream", description = "The rows"),
    responses((status = 201, description = "The blob", body = wire::Blob), Refusals<(UnknownLease, OutputSize, OutputTaken, OutputFailed, RateLimited)>)
)]
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
    app.limits.check(Action::Output, token.lease)?;
    app.disk.check().map_err(Refusal::from)?;
    let _room = app.limits.hold_body(token.output_bytes()).await?;
    let began = Instant::now();
    let limit = wire::number::to(token.output_bytes());
    let bytes = read_all(body, limit).await.map_err(|_too_long_or_broken| wrong())?;
    if bytes.len() != limit {
        return Err(wrong().into());
    }
    measure_upload(&app, &token, token.output_bytes(), began);
    let blob = keep_output(&app, &token, bytes).await?;
    Ok((StatusCode::CREATED, axum::Json(blob)))
}
