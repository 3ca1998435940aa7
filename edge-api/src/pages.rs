//! The pages, rendered here. They read through the API's own router, in this process.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{Redirect, Response};
use axum::routing::get;
use leptos::prelude::{provide_context, use_context};
use leptos_axum::ResponseOptions;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;
use web::api::Server;
use web::text::Lang;

use crate::app::App;

/// Most bytes of an API answer that a page reads.
const ANSWER_BYTES_MAX: usize = 4 << 20;

#[derive(Clone)]
struct Pages {
    public_url: Arc<str>,
    api: Router,
}

/// The router of everything that a browser shows.
pub fn pages(app: &App, api: Router) -> Router {
    // The pages' reactive parts run on this runtime. Twice is once.
    any_spawner::Executor::init_tokio().unwrap_or_default();
    let state = Pages { public_url: app.config.public_url.as_str().into(), api };
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    let bundles =
        ServiceBuilder::new().layer(header(CACHE_CONTROL, "public, no-cache")).service(ServeDir::new(&app.config.site));
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/jobs/new") }))
        .nest_service("/pkg", bundles)
        .fallback(get(page))
        .layer(
            ServiceBuilder::new()
                .layer(CompressionLayer::new())
                .layer(header(X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .layer(header(REFERRER_POLICY, "strict-origin-when-cross-origin"))
                .layer(header(
                    CONTENT_SECURITY_POLICY,
                    "frame-ancestors 'none'; object-src 'none'; base-uri 'self'; form-action 'self'",
                )),
        )
        .with_state(state)
}

async fn page(State(pages): State<Pages>, request: Request) -> Response {
    // An explorer page is the same for everyone: it knows no session and no browser's language.
    let public = request.uri().path().starts_with("/explorer/");
    let asked = request
        .uri()
        .query()
        .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("lang=")).and_then(Lang::parse));
    let preferred = header(request.headers(), ACCEPT_LANGUAGE).filter(|_| !public).and_then(|list| Lang::parse(&list));
    let lang = asked.or(preferred).unwrap_or_default();
    let cookie = header(request.headers(), COOKIE).filter(|_| !public);

    let server = in_process(pages.api, cookie);
    let context = web::app::Request { public_url: pages.public_url, set_status: Arc::new(set_status) };
    let provide = move || {
        provide_context(lang);
        provide_context(server.clone());
        provide_context(context.clone());
    };
    let render = leptos_axum::render_app_async_with_context(provide, move || web::app::shell(lang));
    let mut response = render(request).await;
    let cache = if public && response.status() == StatusCode::OK { "public, max-age=5" } else { "private, no-store" };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn set_status(status: u16) {
    if let (Some(options), Ok(status)) = (use_context::<ResponseOptions>(), StatusCode::from_u16(status)) {
        options.set_status(status);
    }
}

/// The API as pages call it on the server: no socket, the caller's own cookie.
fn in_process(api: Router, cookie: Option<String>) -> Server {
    Server(Arc::new(move |path| {
        let (api, cookie) = (api.clone(), cookie.clone());
        Box::pin(async move { ask(api, &path, cookie).await.unwrap_or((502, Vec::new())) })
    }))
}

async fn ask(api: Router, path: &str, cookie: Option<String>) -> Option<(u16, Vec<u8>)> {
    let mut request = Request::get(path);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    let response = api.oneshot(request.body(Body::empty()).ok()?).await.ok()?;
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.ok()?;
    Some((status, body.to_vec()))
}
