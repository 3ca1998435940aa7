//! What a browser shows: pages rendered here over the API's own router, in this process; the same
//! tables as CSV and JSON; pictures for link previews; the site's files.

mod files;
mod preview;
mod rendered;
mod tables;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use web::api::{Api, Server};
use web::route::Page;
use web::text::Lang;
use web::visit::{Assets, Visit};

use crate::app::App;
use crate::auth::cookie;
pub use files::prepare_site;
pub use rendered::{Rendered, RenderedPages, rendered_pages};

/// Most bytes of an API answer that a page reads.
const ANSWER_BYTES_MAX: usize = 8 << 20;
const LANG_COOKIE: &str = "tessera_lang";
/// Scripts are files of ours alone, and Wasm. Nobody may frame a page.
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self' ws: wss:; worker-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; \
     frame-ancestors 'none'";

#[derive(Clone)]
pub(crate) struct Pages {
    app: App,
    api: Router,
    public_url: Arc<str>,
    assets: Assets,
    previews: preview::Previews,
}

/// The router of everything that a browser shows.
pub fn pages(app: &App, api: Router) -> Router {
    let state = Pages {
        public_url: app.config.public_url.trim_end_matches('/').into(),
        assets: files::assets(&app.config.site),
        previews: preview::Previews::new(),
        app: app.clone(),
        api,
    };
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    Router::new()
        .nest_service("/pkg", files::bundles(&app.config.site))
        .route("/robots.txt", get(files::robots))
        .route("/sitemap.xml", get(files::sitemap))
        .route("/install.sh", get(files::install_script))
        .route("/downloads/{file}", get(files::download))
        .route("/index.png", get(landing_preview))
        .fallback(get(page))
        .layer(
            ServiceBuilder::new()
                .layer(CompressionLayer::new())
                .layer(header(X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .layer(header(REFERRER_POLICY, "strict-origin-when-cross-origin"))
                .layer(header(CONTENT_SECURITY_POLICY, POLICY)),
        )
        .with_state(state)
}

async fn landing_preview(State(pages): State<Pages>, parts: Parts) -> Response {
    let lang = language(&parts, None).0;
    preview::respond(&pages, Page::Landing, lang).await
}

async fn page(State(pages): State<Pages>, request: Parts) -> Response {
    let path = request.uri.path();
    if let Some(without) = path.strip_suffix('/').filter(|rest| !rest.is_empty() && !rest.starts_with("//")) {
        return Redirect::permanent(without).into_response();
    }
    if let Some((stem, ending)) = path.rsplit_once('.')
        && let Some(page) = Page::parse(stem).filter(|page| page.is_public())
    {
        let query = request.uri.query().unwrap_or_default();
        return match ending {
            "png" if page.has_preview() => preview::respond(&pages, page, language(&request, None).0).await,
            "csv" => tables::csv(&pages, page, query).await,
            "json" => tables::json(&pages, page, query).await,
            _ => render(&pages, None, &request).await,
        };
    }
    render(&pages, Page::parse(path), &request).await
}

/// The language asked for by the address, else (on pages of one's own) kept in a cookie, else the
/// browser's. Whether it was chosen, not guessed.
fn language(request: &Parts, page: Option<Page>) -> (Lang, bool) {
    let query = request.uri.query().unwrap_or_default();
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("lang=")).and_then(Lang::parse);
    let is_own = page.is_some_and(|page| !page.is_public());
    let kept = cookie(&request.headers, LANG_COOKIE).filter(|_| is_own).and_then(Lang::parse);
    let preferred = header(&request.headers, &ACCEPT_LANGUAGE).and_then(|list| Lang::parse(&list));
    match asked.or(kept) {
        Some(lang) => (lang, true),
        None => (preferred.unwrap_or_default(), false),
    }
}

async fn render(pages: &Pages, page: Option<Page>, request: &Parts) -> Response {
    let (lang, lang_chosen) = language(request, page);
    let query: Vec<(String, String)> = request.uri.query().map(parse_query).unwrap_or_default();
    let visit =
        Visit { page, lang, lang_chosen, query, public_url: pages.public_url.clone(), assets: pages.assets.clone() };
    if page.is_some_and(Page::is_public) {
        return render_public(pages, visit, request).await;
    }
    // A page of somebody's own, or none: it may know who asks.
    let session = header(&request.headers, &COOKIE);
    let (status, html) = draw(pages, visit, session).await;
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "private, no-store"),
        (VARY, "Accept-Language, Cookie"),
    ];
    (status, headers, html).into_response()
}

/// The same for everyone: it knows no session, and is drawn at most every two seconds.
async fn render_public(pages: &Pages, visit: Visit, request: &Parts) -> Response {
    let key = format!(
        "{}?{}#{}{}",
        request.uri.path(),
        request.uri.query().unwrap_or_default(),
        visit.lang.code(),
        u8::from(visit.lang_chosen)
    );
    let rendered = pages.app.rendered.get_with(key.clone(), async {
        let (status, html) = draw(pages, visit, None).await;
        Arc::new(Rendered::new(status, html))
    });
    let rendered = rendered.await;
    if rendered.status.is_server_error() {
        pages.app.rendered.invalidate(&key).await;
    }
    let cache = if rendered.status == StatusCode::OK { "public, max-age=5" } else { "no-store" };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = rendered.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(VARY, HeaderValue::from_static("Accept-Language, Accept-Encoding"));
    let takes_brotli =
        header(&request.headers, &ACCEPT_ENCODING).is_some_and(|list| list.split(',').any(|one| one.trim() == "br"));
    *response.body_mut() = if takes_brotli {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("br"));
        Body::from(rendered.brotli())
    } else {
        Body::from(rendered.html.clone())
    };
    response
}

/// Reads what the page shows, then writes it down. Writing is quick and awaits nothing.
async fn draw(pages: &Pages, visit: Visit, session: Option<String>) -> (StatusCode, String) {
    let api = Api::in_process(in_process(pages.api.clone(), session));
    let document = web::pages::load(&visit, &api).await;
    let status = StatusCode::from_u16(document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, web::document::render(document, visit))
}

fn parse_query(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).take(32).map(|(key, value)| (key.into(), value.into())).collect()
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
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
