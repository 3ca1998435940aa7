#![doc = include_str!("../README.md")]

mod api;
mod cache;
mod docs;
mod downloads;
mod ending;
mod files;
mod handover;
mod page;
mod preview;
mod programs;
mod request;
mod state;
mod tables;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue};
use axum::routing::{MethodRouter, get};
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::set_header::SetResponseHeaderLayer;

pub use ending::Ending;
pub use files::prepare_site;
pub use handover::Handover;
pub use page::page_address;
pub use request::cookie;
pub use state::Shared;
pub use web::route::Page;

use api::InProcessApi;
use programs::Programs;
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
    /// Folder with programs to download. Left out, those beside this program are served.
    pub downloads: Option<PathBuf>,
    /// The address people reach this server at.
    pub public_url: String,
}

/// The folder of the bundles' addresses.
const BUNDLES: &str = "/pkg";

/// What is no page, by address.
fn routes() -> [(&'static str, MethodRouter<Site>); 6] {
    [
        ("/robots.txt", get(files::robots)),
        ("/sitemap.xml", get(files::sitemap)),
        ("/install.sh", get(files::install_script)),
        ("/downloads", get(downloads::show_page)),
        ("/downloads/{file}", get(downloads::download)),
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
        programs: Arc::new(Programs::new(config.downloads)),
        api: InProcessApi::new(api),
        rendered: cache::rendered_pages(),
        pictures: cache::pictures(),
        shared,
    };
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    // A program is sent as it is: a part of it can be asked for, and packing it would take seconds each time.
    let but_programs = DefaultPredicate::new().and(NotForContentType::const_new("application/octet-stream"));
    let mut router = Router::new().nest_service(BUNDLES, bundles);
    for (path, handler) in routes() {
        router = router.route(path, handler);
    }
    router
        .fallback(get(page::page))
        .layer(
            ServiceBuilder::new()
                .layer(CompressionLayer::new().compress_when(but_programs))
                .layer(header(X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .layer(header(REFERRER_POLICY, "strict-origin-when-cross-origin"))
                .layer(header(CONTENT_SECURITY_POLICY, POLICY)),
        )
        .with_state(site)
}
