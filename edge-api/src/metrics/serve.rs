//! Who is told: whoever reaches an address of its own, or has the token.

use axum::Router;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::gauges;
use crate::app::App;

pub const METRICS: &str = "/metrics";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `/metrics` at the server's own address: only where there is a token.
pub fn router_with_token(app: &App) -> Router {
    if app.config.metrics.metrics_token.is_some() { router(app) } else { Router::new() }
}

/// `/metrics` at an address of its own: without a token to whoever reaches it.
pub fn router(app: &App) -> Router {
    Router::new().route(METRICS, get(show_metrics)).with_state(app.clone())
}

async fn show_metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    if let Some(token) = &app.config.metrics.metrics_token
        && !is_let_in(&headers, token)
    {
        let headers = [(WWW_AUTHENTICATE, "Bearer"), (CACHE_CONTROL, "no-store")];
        return (StatusCode::UNAUTHORIZED, headers, "send the token that the server was started with\n")
            .into_response();
    }
    match gauges::write(&app) {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS), (CACHE_CONTROL, "no-store")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Hashes are compared, which takes the same time wherever the texts differ.
fn is_let_in(headers: &HeaderMap, token: &str) -> bool {
    let sent = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    sent.is_some_and(|sent| blake3::hash(sent) == blake3::hash(token.as_bytes()))
}

/// Serves at its own address until the server stops.
pub async fn listen(app: App, listener: TcpListener) {
    let stop = app.stop.clone();
    let served = axum::serve(listener, router(&app)).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = served.await {
        tracing::error!(%error, "the metrics are not served any more");
    }
}
