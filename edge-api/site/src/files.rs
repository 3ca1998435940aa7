//! The site's own files, and what robots and installers ask for.

use std::path::Path;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::services::ServeDir;
use web::route::Page;
use web::text::Lang;
use web::visit::Assets;

use crate::docs;
use crate::state::Site;

/// Published jobs and devices that the site map names.
const MAP_ROWS: &str = "?limit=500";

/// The files that Trunk built, with those packed beforehand where `prepare-site` has run.
pub(crate) fn bundles(site: &Path) -> Router {
    Router::new().fallback_service(ServeDir::new(site).precompressed_br()).layer(middleware::from_fn(cache))
}

/// What has a version in its address never changes; the rest is asked for again.
async fn cache(request: Request, next: Next) -> Response {
    let versioned = request.uri().query().is_some_and(|query| query.starts_with("v="));
    let mut response = next.run(request).await;
    let cache = if versioned && response.status().is_success() {
        "public, max-age=31536000, immutable"
    } else {
        "public, no-cache"
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

/// Addresses of the files with the beginning of their hash in each.
pub(crate) fn assets(site: &Path) -> Assets {
    let address = |name: &str| {
        let bytes = std::fs::read(site.join(name)).unwrap_or_else(|error| {
            tracing::warn!(%error, name, "a file of the site is missing: build it with 'make site'");
            Vec::new()
        });
        let hash = blake3::hash(&bytes).to_hex();
        format!("/pkg/{name}?v={}", &hash[..12]).into()
    };
    Assets {
        style: address("main.css"),
        theme_script: address("theme.js"),
        page_script: address("page.js"),
        web_script: address("web.js"),
        web_wasm: address("web_bg.wasm"),
        icon: address("icon.svg"),
    }
}

/// Packs the site's files as small as Brotli can, beside themselves. Done once, after a build.
pub fn prepare_site(site: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(site)? {
        let path = entry?.path();
        let packable =
            path.extension().is_some_and(|ending| ["wasm", "js", "css", "svg"].iter().any(|one| ending == *one));
        if !packable {
            continue;
        }
        let bytes = std::fs::read(&path)?;
        let parameters = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 24, ..Default::default() };
        let mut packed = Vec::new();
        brotli::BrotliCompress(&mut &bytes[..], &mut packed, &parameters)?;
        let mut name = path.into_os_string();
        name.push(".br");
        std::fs::write(name, packed)?;
    }
    Ok(())
}

pub(crate) async fn robots(State(site): State<Site>) -> impl IntoResponse {
    let text = format!(
        "User-agent: *\nDisallow: /v1/\nDisallow: /jobs\nDisallow: /account\nDisallow: /explorer/search\nSitemap: {}/sitemap.xml\n",
        site.public_url
    );
    ([(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "public, max-age=3600")], text)
}

/// Every public page in the languages that it is written in: the documentation, the lists, the published jobs, the devices with most work.
pub(crate) async fn sitemap(State(site): State<Site>) -> Response {
    let mut found = vec![
        Page::Landing,
        Page::Calculator,
        Page::Explorer,
        Page::Devices,
        Page::PublicJobs,
        Page::Receipts,
        Page::Status,
    ];
    let Some((jobs, devices)) = rows(&site).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    found.extend(jobs.into_iter().map(Page::PublicJob));
    found.extend(devices.into_iter().map(Page::Device));
    let found = found.into_iter().map(|page| (page, true)).chain(docs::pages());
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    for (page, is_translated) in found {
        for lang in [Lang::En, Lang::Zh].into_iter().filter(|lang| is_translated || *lang == Lang::En) {
            let query = if lang == Lang::En { "" } else { "?lang=zh" };
            for part in ["<url><loc>", &site.public_url, &page.path(), query, "</loc></url>\n"] {
                xml.push_str(part);
            }
        }
    }
    xml.push_str("</urlset>\n");
    ([(CONTENT_TYPE, "application/xml"), (CACHE_CONTROL, "public, max-age=300")], xml).into_response()
}

async fn rows(site: &Site) -> Option<(Vec<wire::JobId>, Vec<wire::DeviceId>)> {
    use wire::explorer::{Page as TablePage, PublicDevice, PublicJobRow};
    let jobs = site.api.get(&format!("/v1/public/jobs{MAP_ROWS}"), None).await?;
    let devices = site.api.get(&format!("/v1/public/devices{MAP_ROWS}"), None).await?;
    let jobs: TablePage<PublicJobRow> = serde_json::from_slice(&jobs.body).ok()?;
    let devices: TablePage<PublicDevice> = serde_json::from_slice(&devices.body).ok()?;
    Some((jobs.rows.iter().map(|job| job.id).collect(), devices.rows.iter().map(|device| device.id).collect()))
}

/// Fetches the native worker from here and starts it; arguments go to `tessera-worker run`.
pub(crate) async fn install_script(State(site): State<Site>) -> impl IntoResponse {
    let text = include_str!("install.sh").replace("@URL@", &site.public_url);
    ([(CONTENT_TYPE, "text/x-shellscript; charset=utf-8"), (CACHE_CONTROL, "public, max-age=300")], text)
}
