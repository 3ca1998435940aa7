//! Every route of the API, in one table: the router, the access tests and the `OpenAPI` check read it.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::routing::{MethodRouter, any, delete, get, post, put};
use tower::ServiceBuilder;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;

use crate::app::App;
use crate::error::not_found;
use crate::explorer::sample;
use crate::fleet::{connection, leases};
use crate::jobs::{events, result};
use crate::{accounts, blobs, devices, explorer, jobs};

/// Largest JSON body, in bytes.
const BODY_BYTES_MAX: usize = 256 << 10;

pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    handler: MethodRouter<App>,
}

fn route(method: &'static str, path: &'static str, handler: MethodRouter<App>) -> Route {
    Route { method, path, handler }
}

pub fn routes() -> Vec<Route> {
    vec![
        route("POST", "/v1/accounts", post(accounts::routes::open_account)),
        route("GET", "/v1/account", get(accounts::routes::show_account)),
        route("POST", "/v1/sessions", post(accounts::routes::open_session)),
        route("DELETE", "/v1/sessions", delete(accounts::routes::end_session)),
        route("GET", "/v1/account/entries", get(accounts::routes::list_entries)),
        route("GET", "/v1/account/keys", get(accounts::routes::list_keys)),
        route("POST", "/v1/account/keys", post(accounts::routes::make_key)),
        route("DELETE", "/v1/account/keys/{id}", delete(accounts::routes::revoke_key)),
        route("GET", "/v1/devices", get(devices::routes::list_devices)),
        route("POST", "/v1/device-codes", post(devices::routes::make_device_code)),
        route("POST", "/v1/blobs", post(blobs::routes::upload_blob).layer(DefaultBodyLimit::disable())),
        route("GET", "/v1/blobs/{hash}", get(blobs::routes::download_blob)),
        route("POST", "/v1/kernels/check", post(jobs::routes::check_kernel)),
        route("POST", "/v1/quotes", post(jobs::routes::quote_job)),
        route("POST", "/v1/trials", post(jobs::routes::try_job)),
        route("POST", "/v1/jobs", post(jobs::routes::submit_job)),
        route("GET", "/v1/jobs", get(jobs::routes::list_jobs)),
        route("GET", "/v1/jobs/{id}", get(jobs::routes::show_job)),
        route("GET", "/v1/jobs/{id}/progress", get(events::job_progress)),
        route("GET", "/v1/jobs/{id}/detail", get(jobs::routes::show_job_detail)),
        route("GET", "/v1/jobs/{id}/events", get(events::job_events)),
        route("GET", "/v1/jobs/{id}/result", get(result::job_result)),
        route("POST", "/v1/jobs/{id}/cancel", post(jobs::routes::cancel_job)),
        route("POST", "/v1/jobs/{id}/publish", post(jobs::routes::publish_job)),
        route("POST", "/v1/jobs/{id}/unpublish", post(jobs::routes::unpublish_job)),
        route("GET", "/v1/public/overview", get(explorer::routes::show_overview)),
        route("GET", "/v1/public/devices", get(explorer::routes::list_public_devices)),
        route("GET", "/v1/public/devices/{id}", get(explorer::routes::show_public_device)),
        route("GET", "/v1/public/jobs", get(explorer::routes::list_public_jobs)),
        route("GET", "/v1/public/jobs/{id}", get(explorer::routes::show_public_job)),
        route("GET", "/v1/public/jobs/{id}/sample", get(sample::show_sample)),
        route("GET", "/v1/public/jobs/{id}/sample/code", get(sample::sample_code)),
        route("GET", "/v1/public/jobs/{id}/sample/kernel", get(sample::sample_kernel)),
        route("GET", "/v1/public/jobs/{id}/sample/params", get(sample::sample_params)),
        route("GET", "/v1/public/jobs/{id}/sample/plan", get(sample::sample_plan)),
        route("GET", "/v1/public/jobs/{id}/sample/weights", get(sample::sample_weights)),
        route("GET", "/v1/public/jobs/{id}/sample/input", get(sample::sample_input)),
        route("GET", "/v1/public/jobs/{id}/sample/output", get(sample::sample_output)),
        route("GET", "/v1/public/receipts", get(explorer::routes::list_public_receipts)),
        route("GET", "/v1/public/receipts/{id}", get(explorer::routes::show_public_receipt)),
        route("GET", "/v1/public/search", get(explorer::routes::search)),
        route("GET", "/v1/devices/socket", any(connection::connect_device)),
        route("GET", "/v1/leases/{token}/code", get(leases::lease_code)),
        route("GET", "/v1/leases/{token}/kernel", get(leases::lease_kernel)),
        route("GET", "/v1/leases/{token}/params", get(leases::lease_params)),
        route("GET", "/v1/leases/{token}/plan", get(leases::lease_plan)),
        route("GET", "/v1/leases/{token}/weights", get(leases::lease_weights)),
        route("GET", "/v1/leases/{token}/input", get(leases::lease_input)),
        route("PUT", "/v1/leases/{token}/output", put(leases::lease_output).layer(DefaultBodyLimit::disable())),
        route("GET", "/v1/openapi.json", get(openapi)),
        route("GET", "/v1/health", get(health)),
    ]
}

/// The API as a router.
pub fn api(app: App) -> Router {
    let mut router = Router::new();
    for Route { path, handler, .. } in routes() {
        router = router.route(path, handler);
    }
    let private = SetResponseHeaderLayer::if_not_present(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    router
        .route("/v1/{*rest}", any(|| async { not_found("route") }))
        .layer(
            ServiceBuilder::new()
                .layer(TraceLayer::new_for_http())
                .layer(private)
                .layer(DefaultBodyLimit::max(BODY_BYTES_MAX)),
        )
        .with_state(app)
}

/// Describe the API
async fn openapi() -> ([(&'static str, &'static str); 2], &'static str) {
    ([("content-type", "application/json"), ("cache-control", "public, max-age=300")], include_str!("openapi.json"))
}

/// Say whether the server can reach its database
async fn health(axum::extract::State(app): axum::extract::State<App>) -> crate::error::ApiResult<&'static str> {
    blobs::store::ping(&mut *app.db.read().await?).await?;
    Ok("ok\n")
}
