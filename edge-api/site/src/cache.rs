//! What was drawn for one visitor is sent to the next: public pages for two seconds, pictures for a minute.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use moka::future::Cache;
use wire::number::to;

/// How long a page may be behind: what the network does shows after this.
const PAGE_LASTS: Duration = Duration::from_secs(2);
const PAGE_BYTES_MAX: u64 = 64 << 20;
const PICTURE_LASTS: Duration = Duration::from_secs(60);
const PICTURE_BYTES_MAX: u64 = 32 << 20;
/// A page is compressed once for everyone who reads it; beyond this level that is slower than drawing it.
const BROTLI_QUALITY: i32 = 5;

pub(crate) struct Rendered {
    pub(crate) status: StatusCode,
    pub(crate) html: Bytes,
    brotli: OnceLock<Bytes>,
}

/// By publications, address and language.
pub(crate) type RenderedPages = Cache<String, Arc<Rendered>>;
/// Drawn pictures; `None` for a page that has none.
pub(crate) type Pictures = Cache<PictureKey, Option<Bytes>>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PictureKey {
    /// A picture drawn before a job was published or taken back has another key, and is never found again.
    pub(crate) publications: u64,
    pub(crate) path: String,
    pub(crate) lang: &'static str,
}

impl Rendered {
    pub(crate) fn new(status: StatusCode, html: String) -> Self {
        Self { status, html: html.into(), brotli: OnceLock::new() }
    }

    pub(crate) fn brotli(&self) -> Bytes {
        self.brotli.get_or_init(|| compress(&self.html)).clone()
    }
}

fn compress(html: &[u8]) -> Bytes {
    let parameters = brotli::enc::BrotliEncoderParams { quality: BROTLI_QUALITY, ..Default::default() };
    let mut packed = Vec::with_capacity(html.len() / 4);
    brotli::BrotliCompress(&mut &html[..], &mut packed, &parameters).expect("writing to memory should not fail");
    packed.into()
}

pub(crate) fn rendered_pages() -> RenderedPages {
    Cache::builder()
        .time_to_live(PAGE_LASTS)
        .max_capacity(PAGE_BYTES_MAX)
        .weigher(|key: &String, page: &Arc<Rendered>| to(key.len() + page.html.len() + page.html.len() / 4))
        .build()
}

pub(crate) fn pictures() -> Pictures {
    Cache::builder()
        .time_to_live(PICTURE_LASTS)
        .max_capacity(PICTURE_BYTES_MAX)
        .weigher(|_key: &PictureKey, picture: &Option<Bytes>| to(picture.as_ref().map_or(64, Bytes::len)))
        .build()
}
