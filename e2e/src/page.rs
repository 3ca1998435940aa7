//! The engine alone in a page of Chromium, beside its peers where they are installed.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use serde_json::Value;
use tower_http::services::{ServeDir, ServeFile};

use crate::browser::{Browser, Gpu};
use crate::until::until;

/// A page whose script is `engine/page/engine.js`.
pub struct EnginePage {
    pub browser: Browser,
    url: String,
}

/// Where `make setup` puts tools.
pub fn tools() -> Option<PathBuf> {
    std::env::var_os("TESSERA_TOOLS").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))?;
        Some(cache.join("tessera/tools"))
    })
}

/// Where npm put what the engine is compared with.
pub fn peers() -> Option<PathBuf> {
    tools().map(|tools| tools.join("kernels/node_modules")).filter(|peers| peers.exists())
}

/// The engine's bundle, as `make` built it.
pub fn bundle() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| crate::folder().join("../target")).join("engine")
}

impl EnginePage {
    /// Serves the bundle, the peers and `files`, and opens the page.
    pub async fn start(files: &Path) -> Self {
        let page = crate::folder().join("engine/page");
        let mut router = Router::new()
            .nest_service("/pkg", ServeDir::new(bundle()))
            .nest_service("/files", ServeDir::new(files))
            .route_service("/engine.js", ServeFile::new(page.join("engine.js")))
            .fallback_service(ServeFile::new(page.join("index.html")));
        if let Some(peers) = peers() {
            router = router.nest_service("/peers", ServeDir::new(peers));
        }
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port should be free");
        let url = format!("http://{}", listener.local_addr().expect("a listener has an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let browser = Browser::start(Gpu::Swiftshader).await;
        let page = Self { browser, url };
        page.reload().await;
        page
    }

    /// The page anew, nothing in a cache.
    pub async fn reload(&self) {
        self.browser.devtools("Network.enable", serde_json::json!({})).await;
        self.browser.devtools("Network.setCacheDisabled", serde_json::json!({ "cacheDisabled": true })).await;
        self.browser.open(&self.url).await;
    }

    /// What an asynchronous expression of the page's script comes to; its error's text where it fails.
    pub async fn ask(&self, expression: &str, within: Duration) -> Result<Value, String> {
        let script = format!(
            "window.answer = null; (async () => {expression})().then(\
             value => {{ window.answer = {{ value }} }}, error => {{ window.answer = {{ error: String(error) }} }})"
        );
        self.browser.script(&script).await;
        let answer = until(expression, within, async || {
            let answer = self.browser.script("return window.answer").await;
            (!answer.is_null()).then_some(answer)
        })
        .await;
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer.get("value").cloned().unwrap_or_default()),
        }
    }
}
