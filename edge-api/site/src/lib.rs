#![doc = include_str!("../README.md")]

mod api;
mod cache;
mod docs;
mod ending;
mod files;
mod page;
mod preview;
mod request;
mod state;
mod tables;

use std::path::PathBuf;

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue};
use axum::routing::{MethodRouter, get};
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;

pub use ending::Ending;
pub use files::prepare_site;
pub use request::cookie;
pub use state::Shared;
pub use web::route::Page;

use api::InProcessApi;
use state::Site;

/// Scripts are files of ours alone, and Wasm. Nobody may frame a page.
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self' ws: wss:; worker-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; \
     frame-ancestors 'none'";

/// Where the site's files lie, and how people reach it.
#[derive(Clone, Debug)]
pub struct SiteConfig {
    /// Folder with the built pages.
    pub folder: PathBuf,
    /// Folder with native workers to download. Left out, the worker beside this program is served.
    pub downloads: Option<PathBuf>,
    /// The address people reach this server at.
    pub public_url: String,
}

/// The folder of the bundles' addresses.
const BUNDLES: &str = "/pkg";

/// What is no page, by address.
fn routes() -> [(&'static str, MethodRouter<Site>); 5] {
    [
        ("/robots.txt", get(files::robots)),
        ("/sitemap.xml", get(files::sitemap)),
        ("/install.sh", get(files::install_script)),
        ("/downloads/{file}", get(files::download)),
        ("/index.png", get(page::landing_preview)),
    ]
}

/// The addresses of what is no page, with names in braces for what differs. The pages' are [`Page::ADDRESSES`], each
/// with every [`Ending`] besides.
pub fn file_addresses() -> Vec<String> {
    let routes = routes().into_iter().map(|(path, _)| path.to_owned());
    std::iter::once(format!("{BUNDLES}/{{file}}")).chain(routes).collect()
}

/// The router of everything that a browser shows, over the API's own.
pub fn router(config: SiteConfig, shared: Shared, api: Router) -> Router {
    let bundles = files::bundles(&config.folder);
    let site = Site {
        public_url: config.public_url.trim_end_matches('/').into(),
        assets: files::assets(&config.folder),
        downloads: config.downloads.map(Into::into),
        api: InProcessApi::new(api),
        rendered: cache::rendered_pages(),
        pictures: cache::pictures(),
        shared,
    };
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    let mut router = Router::new().nest_service(BUNDLES, bundles);
    for (path, handler) in routes() {
        router = router.route(path, handler);
    }
    router
        .fallback(get(page::page))
        .layer(
            ServiceBuilder::new()
                .layer(CompressionLayer::new())
                .layer(header(X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .layer(header(REFERRER_POLICY, "strict-origin-when-cross-origin"))
                .layer(header(CONTENT_SECURITY_POLICY, POLICY)),
        )
        .with_state(site)
}
