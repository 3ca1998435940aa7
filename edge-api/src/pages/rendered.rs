//! Public pages as they were drawn last, for two seconds.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use moka::future::Cache;

/// How long a page may be behind: what the network does shows after this.
const LASTS: Duration = Duration::from_secs(2);
const BYTES_MAX: u64 = 64 << 20;
/// A page is compressed once for everyone who reads it; beyond this level that is slower than drawing it.
const BROTLI_QUALITY: i32 = 5;

pub struct Rendered {
    pub status: StatusCode,
    pub html: Bytes,
    brotli: OnceLock<Bytes>,
}

/// By address and language.
pub type RenderedPages = Cache<String, Arc<Rendered>>;

impl Rendered {
    pub fn new(status: StatusCode, html: String) -> Self {
        Self { status, html: html.into(), brotli: OnceLock::new() }
    }

    pub fn brotli(&self) -> Bytes {
        self.brotli.get_or_init(|| compress(&self.html)).clone()
    }
}

fn compress(html: &[u8]) -> Bytes {
    let parameters = brotli::enc::BrotliEncoderParams { quality: BROTLI_QUALITY, ..Default::default() };
    let mut packed = Vec::with_capacity(html.len() / 4);
    brotli::BrotliCompress(&mut &html[..], &mut packed, &parameters).expect("writing to memory should not fail");
    packed.into()
}

pub fn rendered_pages() -> RenderedPages {
    Cache::builder()
        .time_to_live(LASTS)
        .max_capacity(BYTES_MAX)
        .weigher(|key: &String, page: &Arc<Rendered>| {
            u32::try_from(key.len() + page.html.len() + page.html.len() / 4).unwrap_or(u32::MAX)
        })
        .build()
}
