//! Every route of the API, in one table: the router, the access tests and the API's description read it.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::routing::{MethodFilter, MethodRouter, any, on};
use tower::ServiceBuilder;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;
use utoipa::OpenApi;

use crate::app::App;
use crate::fleet::drain;
use crate::http::error::{ApiResult, method_not_allowed, not_found};
use crate::http::extract::BODY_BYTES_MAX;
use crate::openapi::answers::{Draining, Refusals};
use crate::openapi::examples::SERVER;
use crate::{accounts, blobs, convert, devices, explorer, fleet, jobs, openapi, status};

pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    /// The handler's name, which the description calls the operation by.
    pub operation: &'static str,
    handler: MethodRouter<App>,
}

/// A row of the table: `METHOD "/path" => handler of module;`. The same rows name the operations that
/// the description is derived from, so that a handler without one does not compile.
macro_rules! routes {
    ($($method:ident $path:literal => $handler:ident of $($module:ident)::+;)+) => {
        pub fn routes() -> Vec<Route> {
            vec![$(Route {
                method: stringify!($method),
                path: $path,
                operation: stringify!($handler),
                handler: on(MethodFilter::$method, $($module)::+::$handler),
            }),+]
        }

        #[derive(OpenApi)]
        #[openapi(
            info(title = "Tessera", version = "1", license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")),
            paths($($($module)::+::$handler),+),
            components(schemas(wire::ErrorBody, wire::FromDevice, wire::ToDevice)),
            tags(
                (name = "account", description = "Accounts, keys and browser sessions"),
                (name = "blobs", description = "Files: models, kernels, arrays, records"),
                (name = "jobs", description = "Quotes, jobs, their progress and their results"),
                (name = "devices", description = "Devices that compute, and the socket they connect to"),
                (name = "leases", description = "What a device fetches and uploads for a lease"),
                (name = "explorer", description = "What everyone may read"),
                (name = "server", description = "The server itself"),
            ),
        )]
        struct Derived;
    };
}

routes! {
    POST "/v1/accounts" => open_account of accounts::routes;
    GET "/v1/account" => show_account of accounts::routes;
    POST "/v1/sessions" => open_session of accounts::routes;
    DELETE "/v1/sessions" => end_session of accounts::routes;
    GET "/v1/account/entries" => list_entries of accounts::routes;
    GET "/v1/account/movements" => list_movements of accounts::routes;
    GET "/v1/account/keys" => list_keys of accounts::routes;
    POST "/v1/account/keys" => make_key of accounts::routes;
    DELETE "/v1/account/keys/{id}" => revoke_key of accounts::routes;
    GET "/v1/devices" => list_devices of devices::routes;
    DELETE "/v1/devices/{id}" => unlink_device of devices::routes;
    POST "/v1/device-codes" => make_device_code of devices::routes;
    POST "/v1/blobs" => upload_blob of blobs::routes;
    GET "/v1/blobs/{hash}" => download_blob of blobs::download;
    POST "/v1/arrays" => make_arrays of convert::routes;
    POST "/v1/kernels/check" => check_kernel of jobs::routes;
    POST "/v1/models/check" => check_model of jobs::routes;
    POST "/v1/quotes" => quote_job of jobs::routes;
    POST "/v1/trials" => try_job of jobs::routes;
    POST "/v1/jobs" => submit_job of jobs::routes;
    GET "/v1/jobs" => list_jobs of jobs::routes;
    GET "/v1/jobs/{id}" => show_job of jobs::routes;
    GET "/v1/jobs/{id}/progress" => job_progress of jobs::events;
    GET "/v1/jobs/{id}/detail" => show_job_detail of jobs::routes;
    GET "/v1/jobs/{id}/events" => job_events of jobs::events;
    GET "/v1/jobs/{id}/result" => job_result of jobs::result;
    GET "/v1/jobs/{id}/preview" => job_preview of jobs::preview;
    GET "/v1/jobs/{id}/preview/picture" => job_picture of jobs::preview;
    POST "/v1/jobs/{id}/cancel" => cancel_job of jobs::routes;
    POST "/v1/jobs/{id}/publish" => publish_job of jobs::routes;
    POST "/v1/jobs/{id}/unpublish" => unpublish_job of jobs::routes;
    GET "/v1/public/overview" => show_overview of explorer::routes;
    GET "/v1/public/devices" => list_public_devices of explorer::routes;
    GET "/v1/public/devices/{id}" => show_public_device of explorer::routes;
    GET "/v1/public/jobs" => list_public_jobs of explorer::routes;
    GET "/v1/public/jobs/{id}" => show_public_job of explorer::routes;
    GET "/v1/public/jobs/{id}/sample" => show_sample of explorer::sample;
    GET "/v1/public/jobs/{id}/sample/code" => sample_code of explorer::sample;
    GET "/v1/public/jobs/{id}/sample/kernel" => sample_kernel of explorer::sample;
    GET "/v1/public/jobs/{id}/sample/params" => sample_params of explorer::sample;
    GET "/v1/public/jobs/{id}/sample/plan" => sample_plan of explorer::sample;
    GET "/v1/public/jobs/{id}/sample/weights" => sample_weights of explorer::sample;
    GET "/v1/public/jobs/{id}/sample/input" => sample_input of explorer::sample;
    GET "/v1/public/jobs/{id}/sample/output" => sample_output of explorer::sample;
    GET "/v1/public/receipts" => list_public_receipts of explorer::routes;
    GET "/v1/public/receipts/{id}" => show_public_receipt of explorer::routes;
    GET "/v1/public/search" => search of explorer::routes;
    GET "/v1/public/status" => show_status of status::routes;
    GET "/v1/devices/socket" => connect_device of fleet::connection;
    GET "/v1/leases/{token}/code" => lease_code of fleet::leases;
    GET "/v1/leases/{token}/kernel" => lease_kernel of fleet::leases;
    GET "/v1/leases/{token}/params" => lease_params of fleet::leases;
    GET "/v1/leases/{token}/plan" => lease_plan of fleet::leases;
    GET "/v1/leases/{token}/weights" => lease_weights of fleet::leases;
    GET "/v1/leases/{token}/input" => lease_input of fleet::leases;
    PUT "/v1/leases/{token}/output" => lease_output of fleet::leases;
    GET "/v1/openapi.json" => describe of self;
    GET "/v1/health" => health of self;
    GET "/v1/live" => live of self;
    GET "/v1/ready" => ready of self;
}

/// Whoever asks whether a server is ready waits no longer itself.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// What the description says of the API as a whole.
const INTRODUCTION: &str = "Rent compute: upload a model and an array, submit a job, download the result. Money is in \
    whole micro-credits, time in microseconds since 1970-01-01 UTC. A refusal has one shape, `Error`, whose `code` is \
    stable.";

/// The API's description, as JSON.
pub static DESCRIPTION: LazyLock<String> = LazyLock::new(|| {
    let mut derived = Derived::openapi();
    derived.info.description = Some(INTRODUCTION.to_owned());
    let document = openapi::complete(&derived);
    serde_json::to_string_pretty(&document).expect("a description should serialise")
});

/// The API as a router.
pub fn api(app: App) -> Router {
    let mut router = Router::new();
    for Route { path, handler, .. } in routes() {
        router = router.route(path, handler);
    }
    let private = SetResponseHeaderLayer::if_not_present(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    router
        .route("/v1/{*rest}", any(|| async { not_found("route") }))
        .method_not_allowed_fallback(async || method_not_allowed())
        .layer(
            ServiceBuilder::new()
                .layer(TraceLayer::new_for_http().make_span_with(span_of))
                .layer(private)
                .layer(DefaultBodyLimit::max(BODY_BYTES_MAX)),
        )
        .with_state(app)
}

/// By its route: paths have leases' tokens in them.
fn span_of(request: &Request) -> tracing::Span {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    tracing::debug_span!("request", method = %request.method(), route)
}

/// Describe the API
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    tag = "server",
    responses(
        (status = 200, description = "This document", body = serde_json::Value, example = json!({ "openapi": "3.1.0" }))
    )
)]
pub async fn describe(State(app): State<App>) -> ([(&'static str, &'static str); 2], String) {
    let headers = [("content-type", "application/json"), ("cache-control", "public, max-age=300")];
    // In JSON's own escapes, since an operator may write anything.
    let address = serde_json::Value::from(app.config.public_url.trim_end_matches('/')).to_string();
    (headers, DESCRIPTION.replace(SERVER, address.trim_matches('"')))
}

/// Say whether the server can reach its database
#[utoipa::path(
    get,
    path = "/v1/health",
    tag = "server",
    responses(
        (status = 200, description = "It can", body = String, content_type = "text/plain", example = "ok\n"),
        Refusals<()>
    )
)]
pub async fn health(State(app): State<App>) -> ApiResult<&'static str> {
    store::db::ping(&mut *app.db.read().await?).await?;
    Ok("ok\n")
}

/// Say that the server's process answers
///
/// Whatever its database does: a server that cannot reach it is no better for being started anew.
#[utoipa::path(
    get,
    path = "/v1/live",
    tag = "server",
    responses(
        (status = 200, description = "It does", body = String, content_type = "text/plain", example = "ok\n"),
        Refusals<()>
    )
)]
pub async fn live() -> &'static str {
    "ok\n"
}

/// Say whether the server takes requests and devices
///
/// It does not while its database is away, and not from the moment on in which it is asked to stop: whoever stands before
/// several servers leads nobody to it.
#[utoipa::path(
    get,
    path = "/v1/ready",
    tag = "server",
    responses(
        (status = 200, description = "It does", body = String, content_type = "text/plain", example = "ok\n"),
        Refusals<Draining>
    )
)]
pub async fn ready(State(app): State<App>) -> ApiResult<&'static str> {
    drain::refuse_if_draining(&app)?;
    let answered =
        tokio::time::timeout(READY_WITHIN, async { store::db::ping(&mut *app.db.read().await?).await }).await;
    answered.context("the database does not answer")??;
    Ok("ok\n")
}
