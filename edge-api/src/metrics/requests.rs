//! Requests, each by the pattern of its route.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::serve::METRICS;
use crate::app::App;
use crate::routes::routes;

/// What is no page and no route.
const NOWHERE: &str = "none";

/// The API's routes and the site's files.
static ROUTES: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let own = routes().into_iter().map(|route| (route.path.to_owned(), route.path));
    let files = site::file_addresses().into_iter().map(|path| (path.clone(), &*path.leak()));
    own.chain(files).chain([(METRICS.to_owned(), METRICS)]).collect()
});

/// Counts what a request comes to.
pub async fn count_request(State(app): State<App>, request: Request, next: Next) -> Response {
    let under_way = app.metrics.request(request.method(), route_of(&request));
    let response = next.run(request).await;
    under_way.answered(response.status());
    response
}

/// A path that a stranger made up is no label.
fn route_of(request: &Request) -> &'static str {
    let path = request.uri().path();
    if path.starts_with("/pkg/") {
        return "/pkg/{file}";
    }
    match request.extensions().get::<MatchedPath>() {
        Some(matched) => ROUTES.get(matched.as_str()).copied().unwrap_or(NOWHERE),
        None => site::page_address(path).unwrap_or(NOWHERE),
    }
}
