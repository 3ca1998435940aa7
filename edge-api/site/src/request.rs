//! What the pages read of a request.

use axum::http::header::{ACCEPT_LANGUAGE, COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use web::route::{DocsPage, Page};
use web::text::Lang;

const LANG_COOKIE: &str = "tessera_lang";
const PARAMETERS_MAX: usize = 32;

/// A cookie that the browser sent.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

pub(crate) fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

pub(crate) fn parse_query(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes())
        .take(PARAMETERS_MAX)
        .map(|(key, value)| (key.into(), value.into()))
        .collect()
}

/// The parameters that a public page reads, each once, in one order; the language is told apart from them.
pub(crate) fn canonical_query(query: &[(String, String)], page: Option<Page>) -> Vec<(String, String)> {
    let names: &[&str] = match page {
        Some(Page::Explorer) => &["range"],
        Some(Page::Devices) => &["after", "class", "limit", "online", "q"],
        Some(Page::Device(_) | Page::PublicJobs | Page::Receipts) => &["after", "limit"],
        Some(Page::Search | Page::Docs(DocsPage::Index)) => &["q"],
        _ => &[],
    };
    let find = |name: &&str| query.iter().find(|(key, value)| key == name && !value.is_empty());
    names.iter().filter_map(find).cloned().collect()
}

/// A page's language, and whether it was chosen or guessed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Language {
    pub(crate) lang: Lang,
    pub(crate) chosen: bool,
}

/// The language asked for by the address, else (on pages of one's own) kept in a cookie, else the
/// browser's.
pub(crate) fn language(request: &Parts, page: Option<Page>) -> Language {
    let query = request.uri.query().unwrap_or_default();
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("lang=")).and_then(Lang::parse);
    let is_own = page.is_some_and(|page| !page.is_public());
    let kept = cookie(&request.headers, LANG_COOKIE).filter(|_| is_own).and_then(Lang::parse);
    let preferred = header(&request.headers, &ACCEPT_LANGUAGE).and_then(|list| Lang::parse(&list));
    match asked.or(kept) {
        Some(lang) => Language { lang, chosen: true },
        None => Language { lang: preferred.unwrap_or_default(), chosen: false },
    }
}
