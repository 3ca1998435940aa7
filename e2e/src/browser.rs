//! Headless Chromium with real WebGPU, driven over `WebDriver`. Each browser has a fresh profile.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tempfile::TempDir;

use crate::stack::free_port;
use crate::until::{found, until};

const START_WITHIN: Duration = Duration::from_mins(2);
const FIND_WITHIN: Duration = Duration::from_mins(1);
const DOWNLOADED_WITHIN: Duration = Duration::from_mins(1);
/// What a page may take to load, and a script to say that it is done: axe reads a page for seconds.
const PAGE_WITHIN: Duration = Duration::from_mins(5);

/// What the browser can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gpu {
    /// The software adapter that Chromium ships.
    Swiftshader,
    None,
}

pub struct Browser {
    pub page: Client,
    driver: Child,
    profile: TempDir,
}

impl Browser {
    pub async fn start(gpu: Gpu) -> Self {
        client::install_tls();
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver should start: run make setup");
        let profile = TempDir::new().expect("a temporary folder should be made");
        let address = format!("http://127.0.0.1:{port}");
        until("chromedriver answers", START_WITHIN, async || reqwest::get(format!("{address}/status")).await.ok())
            .await;
        let page = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(gpu, profile.path()))
            .connect(&address)
            .await
            .expect("Chromium should start: run make setup");
        Self { page, driver, profile }
    }

    /// Opens a page and waits until its script has taken over.
    pub async fn open(&self, url: &str) {
        self.page.goto(url).await.expect("the page should open");
        self.find("html[data-ready]").await;
    }

    /// Lends on the lend page: by a `gpu`, by the `cpu`, or by a `software` GPU, which has to be asked for.
    pub async fn lend(&self, url: &str, with: &str) {
        self.open(&format!("{url}/lend")).await;
        self.click(&format!("#with option[value={with}]")).await;
        self.press("Start lending").await;
    }

    /// The processor, in a browser without a GPU.
    pub async fn lend_processor(&self, url: &str) {
        self.open(&format!("{url}/lend")).await;
        // With no interface at all it is offered at once; with one and no adapter, after pressing start.
        if self.page.find(Locator::Css("[role=alert] h2")).await.is_err() {
            self.press("Start lending").await;
        }
        self.press("Lend the processor instead").await;
    }

    /// The first element, once it is there.
    pub async fn find(&self, css: &str) -> fantoccini::elements::Element {
        until(css, FIND_WITHIN, async || self.page.find(Locator::Css(css)).await.ok()).await
    }

    /// Clicks the first element once it is there and can be clicked.
    pub async fn click(&self, css: &str) {
        until(css, FIND_WITHIN, async || {
            let element = self.page.find(Locator::Css(css)).await.ok()?;
            element.click().await.ok()
        })
        .await;
    }

    /// The button or link with this text, once it can be pressed.
    pub async fn press(&self, text: &str) {
        let path = format!("//*[self::button or self::a][normalize-space()='{text}' and not(@disabled)]");
        until(text, FIND_WITHIN, async || {
            let element = self.page.find(Locator::XPath(&path)).await.ok()?;
            element.click().await.ok()
        })
        .await;
    }

    /// Waits until an element's text satisfies `wanted`, and returns it; fails with what it said last.
    pub async fn text_where(&self, css: &str, within: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let mut last = None;
        let text = found(within, async || {
            let element = self.page.find(Locator::Css(css)).await.ok()?;
            let text = element.text().await.ok()?;
            let is_wanted = wanted(&text);
            last = Some(text.clone());
            is_wanted.then_some(text)
        })
        .await;
        text.unwrap_or_else(|| panic!("waited {within:?} in vain: {css} says {last:?}"))
    }

    /// Chooses a file in a file field, in place of what was chosen before.
    pub async fn choose(&self, css: &str, file: &Path) {
        let field = self.find(css).await;
        // WebDriver would add to it where several may be chosen.
        self.script(&format!("document.querySelector('{css}').value = '';")).await;
        field.send_keys(&file.display().to_string()).await.expect("the field should take a file");
    }

    /// The download whose name ends so, once it is whole: Chromium puts an empty file in its place first.
    pub async fn downloaded(&self, ending: &str) -> Vec<u8> {
        let folder = self.profile.path().join("downloads");
        until("the download", DOWNLOADED_WITHIN, async || {
            let paths: Vec<_> =
                std::fs::read_dir(&folder).ok()?.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
            let is = |path: &Path, ending: &str| path.extension().is_some_and(|found| found == ending);
            if paths.iter().any(|path| is(path, "crdownload")) {
                return None;
            }
            let found = paths.iter().find(|path| is(path, ending))?;
            std::fs::read(found).ok().filter(|bytes| !bytes.is_empty())
        })
        .await
    }

    /// What was downloaded, by name.
    pub fn download_names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.profile.path().join("downloads")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// A command of the `DevTools` protocol, for what `WebDriver` has no word for.
    pub async fn devtools(&self, method: &'static str, params: serde_json::Value) -> serde_json::Value {
        let command = DevTools { method, params };
        self.page.issue_cmd(command).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// A screen of this size and theme, as a phone or a desk has it.
    pub async fn look(&self, look: Look) {
        let mobile = look.width < 600;
        let metrics = json!({ "width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": mobile });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if look.dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// What a script in the page returns.
    pub async fn script(&self, script: &str) -> serde_json::Value {
        self.page.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Makes this browser's session that of an account, by its token.
    pub async fn sign_in(&self, url: &str, token: &str) {
        let cookie = json!({ "name": "tessera_session", "value": token, "url": url, "httpOnly": true });
        self.devtools("Network.setCookie", cookie).await;
    }

    /// Opens an account on this page, and keeps its key, as the page asks before it goes on.
    pub async fn open_account(&self) -> String {
        self.press("Open a development account").await;
        let key = self.text_where("[data-testid=key]", FIND_WITHIN, |key| key.starts_with("tsk_")).await;
        self.script("document.getElementById('key-kept').click()").await;
        self.press("Go on").await;
        key
    }

    pub async fn sign_out(&self) {
        self.devtools("Network.clearBrowserCookies", json!({})).await;
    }

    /// A key pressed and let go, wherever the focus is.
    pub async fn key(&self, key: &'static str, code: u32, text: &'static str) {
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
            self.devtools("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Goes from control to control with the Tab key until the focus is on the one with this name.
    pub async fn tab_to(&self, name: &str) {
        const CONTROLS_MAX: usize = 120;
        const NAME: &str = "const e = document.activeElement; if (!e || e === document.body) return ''; \
             const label = e.labels && e.labels[0] ? e.labels[0].textContent : ''; \
             return (e.getAttribute('aria-label') || label || e.textContent).trim();";
        for _ in 0..CONTROLS_MAX {
            self.key("Tab", 9, "").await;
            let focused = self.script(NAME).await;
            let rest = focused.as_str().and_then(|focused| focused.strip_prefix(name));
            if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '：'])) {
                return;
            }
        }
        panic!("the Tab key does not reach '{name}'");
    }

    /// Presses what has the focus.
    pub async fn enter(&self) {
        self.key("Enter", 13, "\r").await;
    }

    pub async fn space(&self) {
        self.key(" ", 32, " ").await;
    }

    /// Types where the focus is.
    pub async fn type_text(&self, text: &str) {
        self.devtools("Input.insertText", json!({ "text": text })).await;
    }

    /// Files or folders dragged from the desktop onto an element.
    pub async fn drop_files(&self, css: &str, paths: &[&Path]) {
        let place = format!(
            "const r = document.querySelector('{css}').getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2];"
        );
        self.script(&format!("document.querySelector('{css}').scrollIntoView({{ block: 'center' }});")).await;
        let place = self.script(&place).await;
        let data = json!({ "items": [], "files": paths, "dragOperationsMask": 1 });
        for kind in ["dragEnter", "dragOver", "drop"] {
            let event = json!({ "type": kind, "x": place[0], "y": place[1], "data": data });
            self.devtools("Input.dispatchDragEvent", event).await;
        }
    }

    /// One of the browser's own figures about the page. Durations are processor time: others may have the processor.
    pub async fn metric(&self, name: &str) -> f64 {
        self.devtools("Performance.enable", json!({ "timeDomain": "threadTicks" })).await;
        let answer = self.devtools("Performance.getMetrics", json!({})).await;
        let metrics = answer["metrics"].as_array().expect("metrics should be a list");
        let metric = metrics.iter().find(|metric| metric["name"] == name);
        metric.and_then(|metric| metric["value"].as_f64()).unwrap_or_else(|| panic!("no metric {name}"))
    }

    /// The whole page, not only what the window shows.
    pub async fn whole_page(&self, file: &Path) {
        let shot = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.devtools("Page.captureScreenshot", shot).await;
        let data = answer["data"].as_str().expect("a screenshot should have data");
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).expect("a screenshot should be base64");
        std::fs::write(file, bytes).expect("a screenshot should be written");
    }

    pub async fn resize(&self, width: u32, height: u32) {
        self.page.set_window_size(width, height).await.expect("the window should change");
    }

    pub async fn screenshot(&self, file: &Path) {
        let picture = self.page.screenshot().await.expect("a screenshot should be taken");
        std::fs::write(file, picture).expect("a screenshot should be written");
    }

    /// Ends the browser as a person would: the tab is closed.
    pub async fn close(self) {
        // The driver is killed in any case.
        self.page.clone().close().await.unwrap_or_default();
    }
}

/// A screen.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
}

#[derive(Debug)]
struct DevTools {
    method: &'static str,
    params: serde_json::Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base_url: &url::Url, session_id: Option<&str>) -> Result<url::Url, url::ParseError> {
        base_url.join(&format!("session/{}/goog/cdp/execute", session_id.unwrap_or_default()))
    }

    fn method_and_body(&self, _request_url: &url::Url) -> (http::Method, Option<String>) {
        let body = json!({ "cmd": self.method, "params": self.params });
        (http::Method::POST, Some(body.to_string()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // chromedriver ends its browser when it is asked to stop, so it is asked first.
        if let Ok(mut asked) = Command::new("kill").arg(self.driver.id().to_string()).spawn() {
            asked.wait().map(drop).unwrap_or_default();
        }
        self.driver.wait().map(drop).unwrap_or_default();
    }
}

fn capabilities(gpu: Gpu, profile: &Path) -> serde_json::Map<String, serde_json::Value> {
    let mut arguments = vec![
        "--headless=new".to_owned(),
        "--no-sandbox".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--disable-quic".to_owned(),
        "--no-first-run".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-sync".to_owned(),
        "--lang=en".to_owned(),
        "--window-size=1280,900".to_owned(),
        format!("--user-data-dir={}", profile.join("profile").display()),
    ];
    match gpu {
        Gpu::Swiftshader => {
            arguments.extend(["--enable-unsafe-webgpu".to_owned(), "--use-webgpu-adapter=swiftshader".to_owned()]);
        }
        Gpu::None => arguments.push("--disable-features=WebGPU,WebGPUService".to_owned()),
    }
    let patience = PAGE_WITHIN.as_secs() * 1000;
    let options = json!({
        "timeouts": { "pageLoad": patience, "script": patience },
        "goog:chromeOptions": {
            "args": arguments,
            "binary": "/usr/bin/chromium",
            "prefs": { "download.default_directory": profile.join("downloads"), "download.prompt_for_download": false },
        },
    });
    match options {
        serde_json::Value::Object(map) => map,
        _ => serde_json::Map::new(),
    }
}
