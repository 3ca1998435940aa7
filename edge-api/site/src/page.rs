//! A page as HTML: read over the API, rendered here, and kept for everyone where it is public.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use web::route::Page;
use web::visit::Visit;

use crate::cache::Rendered;
use crate::ending::Ending;
use crate::request::{Language, canonical_query, header, language, parse_query};
use crate::state::Site;
use crate::{docs, preview, tables};

pub(crate) async fn landing_preview(State(site): State<Site>, parts: Parts) -> Response {
    let lang = language(&parts, None).lang;
    preview::respond(&site, Page::Landing, lang).await
}

pub(crate) async fn page(State(site): State<Site>, request: Parts) -> Response {
    let path = request.uri.path();
    if let Some(without) = path.strip_suffix('/').filter(|rest| !rest.is_empty() && !rest.starts_with("//")) {
        return Redirect::permanent(without).into_response();
    }
    if let Some((stem, ending)) = path.rsplit_once('.')
        && let Some(page) = find(stem).filter(|page| page.is_public())
    {
        let query = request.uri.query().unwrap_or_default();
        let ending = Ending::find(ending);
        if ending.is_some()
            && let Some(refusal) = (site.shared.refuse_drawing)(&request)
        {
            return refusal;
        }
        return match ending {
            Some(Ending::Png) if page.has_preview() => {
                preview::respond(&site, page, language(&request, None).lang).await
            }
            Some(Ending::Csv) => tables::csv(&site, page, query).await,
            Some(Ending::Json) => tables::json(&site, page, query).await,
            Some(Ending::Png) | None => render(&site, None, &request).await,
        };
    }
    render(&site, find(path), &request).await
}

/// The address of the page at a path, with names in braces for what differs; `None` where there is no page.
pub fn page_address(path: &str) -> Option<&'static str> {
    let stem =
        path.rsplit_once('.').filter(|(_, ending)| Ending::find(ending).is_some()).map_or(path, |(stem, _)| stem);
    find(stem).map(Page::address)
}

fn find(path: &str) -> Option<Page> {
    Page::parse(path).or_else(|| docs::find(path))
}

async fn render(site: &Site, page: Option<Page>, request: &Parts) -> Response {
    let Language { lang, chosen: lang_chosen } = language(request, page);
    let mut query: Vec<(String, String)> = request.uri.query().map(parse_query).unwrap_or_default();
    let is_public = page.is_some_and(Page::is_public);
    if is_public {
        query = canonical_query(&query, page);
        if lang_chosen {
            query.push(("lang".to_owned(), lang.code().to_owned()));
        }
    }
    let visit =
        Visit { page, lang, lang_chosen, query, public_url: site.public_url.clone(), assets: site.assets.clone() };
    if is_public {
        return render_public(site, visit, request).await;
    }
    // A page of somebody's own, or none: it may know who asks.
    if let Some(refusal) = (site.shared.refuse_drawing)(request) {
        return refusal;
    }
    let session = header(&request.headers, &COOKIE);
    let (status, html) = draw(site, visit, session).await;
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "private, no-store"),
        (VARY, "Accept-Language, Cookie"),
    ];
    (status, headers, html).into_response()
}

/// The same for everyone: it knows no session, and is drawn at most every two seconds.
async fn render_public(site: &Site, visit: Visit, request: &Parts) -> Response {
    // A page drawn before a job was published or taken back has another key, and is never found again.
    let publications = *site.shared.publications.borrow();
    // Parameters that the page does not read are no part of it, nor is their order.
    let key = format!(
        "{publications} {}?{}#{}{}",
        request.uri.path(),
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&visit.query).finish(),
        visit.lang.code(),
        u8::from(visit.lang_chosen)
    );
    if site.rendered.get(&key).await.is_none()
        && let Some(refusal) = (site.shared.refuse_drawing)(request)
    {
        return refusal;
    }
    let rendered = site.rendered.get_with(key.clone(), async {
        let (status, html) = draw(site, visit, None).await;
        Arc::new(Rendered::new(status, html))
    });
    let rendered = rendered.await;
    if rendered.status.is_server_error() {
        site.rendered.invalidate(&key).await;
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
async fn draw(site: &Site, visit: Visit, session: Option<String>) -> (StatusCode, String) {
    let docs = match visit.page {
        Some(Page::Docs(page)) => docs::load(page, &visit, site).await,
        _ => None,
    };
    let document = web::pages::load(&visit, &site.api.client(session), docs).await;
    let status = StatusCode::from_u16(document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, web::document::render(document, visit))
}
