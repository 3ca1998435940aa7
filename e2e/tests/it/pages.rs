//! What must be true of every page.

use std::time::Duration;

use e2e::browser::{Browser, Gpu, Look};
use e2e::stack::Stack;
use e2e::until::until;
use serde_json::{Value, json};

const AXE: &str = include_str!("../../vendor/axe.min.js");
const SOON: Duration = Duration::from_mins(1);
const PHONE: Look = Look { width: 390, height: 844, dark: false };
const DESK: Look = Look { width: 1280, height: 900, dark: true };

/// A network that has done something, and the addresses of all its pages.
struct World {
    stack: Stack,
    session: String,
    public: Vec<String>,
    own: Vec<String>,
}

async fn world() -> World {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &[]);
    let (client, key) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 1, None).await.unwrap();
    client.watch(job.id, |_| {}).await.unwrap();
    client.publish(job.id).await.unwrap();
    let device = client.public_devices().await.unwrap().rows[0].id;
    let receipt = client.public_receipts().await.unwrap().rows[0].lease;
    let session = stack.session(&key).await.unwrap();
    let public = vec![
        "/".to_owned(),
        "/calculator".to_owned(),
        "/status".to_owned(),
        "/explorer".to_owned(),
        "/explorer/devices".to_owned(),
        format!("/explorer/devices/{device}"),
        "/explorer/jobs".to_owned(),
        format!("/explorer/jobs/{}", job.id),
        "/explorer/receipts".to_owned(),
        format!("/explorer/receipts/{receipt}"),
        format!("/explorer/search?q={}", &job.id.to_string()[..6]),
        "/nowhere".to_owned(),
        "/lend".to_owned(),
        "/docs".to_owned(),
        "/docs/get-started".to_owned(),
        "/docs?q=lease".to_owned(),
        "/docs/api".to_owned(),
    ];
    let own =
        ["/jobs", "/jobs/new", "/account", "/lend"].map(str::to_owned).into_iter().chain([format!("/jobs/{}", job.id)]);
    World { session, public, own: own.collect(), stack }
}

/// What axe-core finds wrong, as lines that say what and where.
async fn violations(browser: &Browser) -> Vec<String> {
    let run = "const done = arguments[arguments.length - 1]; axe.run(document).then((found) => done(found.violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.target.join(' ') + ' ' + (n.any[0] ? n.any[0].message : '')))));";
    browser.script(AXE).await;
    let found = browser.page.execute_async(run, Vec::new()).await.unwrap();
    found.as_array().unwrap().iter().map(|line| line.as_str().unwrap_or_default().to_owned()).collect()
}

/// The sum of shifts since the page was opened, as the browser counted them.
async fn layout_shift(browser: &Browser) -> f64 {
    let script = "const done = arguments[arguments.length - 1]; let sum = 0; const observer = new PerformanceObserver((list) => { for (const e of list.getEntries()) if (!e.hadRecentInput) sum += e.value; }); observer.observe({ type: 'layout-shift', buffered: true }); requestAnimationFrame(() => requestAnimationFrame(() => done(sum)));";
    browser.page.execute_async(script, Vec::new()).await.unwrap().as_f64().unwrap()
}

#[tokio::test]
async fn every_page_is_accessible_fits_its_screen_and_stands_still() {
    let world = world().await;
    let browser = Browser::start(Gpu::Swiftshader).await;
    let mut faults = Vec::new();
    for signed_in in [false, true] {
        browser.open(&world.stack.url()).await;
        if signed_in {
            browser.sign_in(&world.stack.url(), &world.session).await;
        }
        for path in if signed_in { &world.own } else { &world.public } {
            for look in [PHONE, DESK] {
                browser.look(look).await;
                browser.open(&format!("{}{path}", world.stack.url())).await;
                let place = format!("{path} at {}", look.width);
                let shift = layout_shift(&browser).await;
                if shift > 0.05 {
                    faults.push(format!("{place}: shifts by {shift}"));
                }
                let wide = browser.script("return document.documentElement.scrollWidth - innerWidth").await;
                if wide.as_f64().unwrap() > 0.0 {
                    faults.push(format!("{place}: {wide} pixels too wide"));
                }
                faults.extend(violations(&browser).await.into_iter().map(|fault| format!("{place}: {fault}")));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    browser.close().await;
}

#[tokio::test]
async fn explorer_pages_are_whole_with_javascript_off() {
    let world = world().await;
    let browser = Browser::start(Gpu::None).await;
    browser.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    for path in world.public.iter().filter(|path| path.starts_with("/explorer")) {
        browser.page.goto(&format!("{}{path}", world.stack.url())).await.unwrap();

        let text = browser.find("main").await.text().await.unwrap();
        assert!(text.len() > 80, "{path}: {text}");
        assert!(browser.page.find(fantoccini::Locator::Css("h1")).await.is_ok(), "{path}");
    }
    browser.page.goto(&format!("{}/explorer/receipts", world.stack.url())).await.unwrap();
    assert!(browser.page.find_all(fantoccini::Locator::Css("tbody tr")).await.unwrap().len() > 5);
    browser.close().await;
}

#[tokio::test]
async fn the_documentation_can_be_read_and_searched_with_javascript_off() {
    let world = world().await;
    let browser = Browser::start(Gpu::None).await;
    browser.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;

    browser.page.goto(&format!("{}/docs", world.stack.url())).await.unwrap();
    browser.find("#docs-search").await.send_keys("get started").await.unwrap();
    browser.click(".docs-pages form button").await;
    browser.click(".hits a").await;
    browser.text_where("h1", SOON, |title| title == "Get started").await;
    browser.text_where("article pre", SOON, |code| code.contains("make demo")).await;

    browser.page.goto(&format!("{}/docs/api?lang=en", world.stack.url())).await.unwrap();
    let operation = browser.find("#submit_job").await;
    assert!(operation.text().await.unwrap().contains("/v1/jobs"));
    let refusals = operation.find(fantoccini::Locator::Css("details:has(.refusals) summary")).await.unwrap();
    refusals.click().await.unwrap();
    assert!(operation.text().await.unwrap().contains("insufficient_funds"));
    browser.close().await;
}

#[tokio::test]
async fn times_are_the_readers_own_with_utc_on_hover() {
    let world = world().await;
    let browser = Browser::start(Gpu::None).await;
    browser.devtools("Emulation.setTimezoneOverride", json!({ "timezoneId": "Asia/Shanghai" })).await;
    browser.open(&format!("{}{}", world.stack.url(), world.public[6])).await;

    let times = browser
        .script("return [...document.querySelectorAll('time')].map((t) => [t.dateTime, t.textContent, t.title])")
        .await;

    let first = &times[0];
    let (machine, shown) = (first[0].as_str().unwrap(), first[1].as_str().unwrap());
    let hour = |text: &str| text[11..13].parse::<u32>().unwrap();
    assert_eq!(hour(shown), (hour(machine) + 8) % 24, "{times}");
    assert_eq!(first[2].as_str().unwrap(), machine.replace('T', " ").replace('Z', " UTC"));
    browser.close().await;
}

#[tokio::test]
async fn a_chosen_theme_and_language_stay_chosen() {
    let world = world().await;
    let browser = Browser::start(Gpu::None).await;
    browser.look(Look { dark: false, ..DESK }).await;
    browser.open(&format!("{}/explorer", world.stack.url())).await;
    let ground = "return getComputedStyle(document.body).backgroundColor";
    let light = browser.script(ground).await;

    browser.click("[data-theme-button]").await;
    let dark = browser.script(ground).await;
    browser.press("中文").await;
    browser.text_where("h1", SOON, |title| title == "网络数据").await;
    browser.open(&format!("{}/jobs/new", world.stack.url())).await;

    assert_ne!(light, dark);
    assert_eq!(browser.script(ground).await, dark);
    assert_eq!(browser.find("h1").await.text().await.unwrap(), "新建任务");
    browser.close().await;
}

#[tokio::test]
async fn a_page_left_open_does_not_grow() {
    let world = world().await;
    let browser = Browser::start(Gpu::None).await;
    // A day of looking every three seconds, a hundred times as fast, and each look once the last one is answered.
    let hurry = "const [slow, ask] = [window.setInterval, window.fetch]; \
         [window.looks, window.asked, window.rests] = [0, 0, false]; \
         window.fetch = (...request) => { window.asked += 1; \
           return ask.apply(window, request).finally(() => { window.asked -= 1; }); }; \
         window.setInterval = (f, ms) => slow(() => { \
           if (!window.rests && window.asked === 0) { window.looks += 1; f(); } }, ms / 100);";
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": hurry })).await;
    browser.open(&world.stack.url()).await;
    let after = async |count: u64| {
        let is_after = format!("return window.looks >= {count}");
        until("looks", Duration::from_mins(5), async || (browser.script(&is_after).await == true).then_some(())).await;
        browser.script("window.rests = true").await;
        let is_idle = "return window.asked === 0";
        until("the last answer", SOON, async || (browser.script(is_idle).await == true).then_some(())).await;
        // It is drawn by then.
        let drawn = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()));";
        browser.page.execute_async(drawn, Vec::new()).await.unwrap();
        browser.devtools("HeapProfiler.collectGarbage", json!({})).await;
        let memory = browser.script("return performance.memory.usedJSHeapSize").await.as_f64().unwrap();
        let counts = (browser.metric("Nodes").await, browser.metric("JSEventListeners").await);
        browser.script("window.rests = false").await;
        (counts.0, counts.1, memory)
    };

    let early = after(100).await;
    let late = after(500).await;

    assert!(late.0 <= early.0 + 20.0, "nodes: {early:?} {late:?}");
    assert!(late.1 <= early.1 + 5.0, "listeners: {early:?} {late:?}");
    assert!(late.2 <= early.2 + 1_000_000.0, "heap: {early:?} {late:?}");
    browser.close().await;
}

#[tokio::test]
async fn a_server_that_fails_says_so_and_the_page_can_be_tried_again() {
    let world = world().await;
    let database = world.stack.database().await;
    let browser = Browser::start(Gpu::None).await;
    browser.open(&world.stack.url()).await;
    browser.sign_in(&world.stack.url(), &world.session).await;
    browser.open(&format!("{}/lend", world.stack.url())).await;
    sqlx::query("alter table device_code rename to gone").execute(&database).await.unwrap();
    sqlx::query("alter table account_key rename to gone_too").execute(&database).await.unwrap();

    browser.press("Put a device code into the command").await;
    let says_so = |text: &str| text == "something went wrong on the server; try again";
    browser.text_where("[aria-labelledby=native-title] .error", SOON, says_so).await;
    let page = reqwest::Client::new()
        .get(format!("{}/account", world.stack.url()))
        .header("cookie", format!("tessera_session={}", world.session))
        .send()
        .await
        .unwrap();

    assert_eq!(page.status(), 502);
    assert!(page.text().await.unwrap().contains("Try again"));
    sqlx::query("alter table gone rename to device_code").execute(&database).await.unwrap();
    browser.press("Put a device code into the command").await;
    browser.text_where("[data-testid=native-command]", SOON, |command| command.contains("--code ")).await;
    browser.close().await;
}

#[tokio::test]
async fn a_clock_that_is_wrong_changes_no_figure() {
    let world = world().await;
    let browser = Browser::start(Gpu::None).await;
    browser.open(&world.stack.url()).await;
    browser.sign_in(&world.stack.url(), &world.session).await;
    let page = format!("{}{}", world.stack.url(), world.own.last().unwrap());
    let figures = "return [...document.querySelectorAll('dl.facts')].map((f) => { const copy = f.cloneNode(true); for (const ago of copy.querySelectorAll('.ago')) ago.remove(); return copy.textContent; })";
    browser.open(&page).await;
    let right: Value = browser.script(figures).await;

    let wrong = "const now = Date.now; Date.now = () => now() + 3 * 365 * 86400000;";
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": wrong })).await;
    browser.open(&page).await;

    assert_eq!(browser.script(figures).await, right);
    // How long ago goes by the server's clock, and on with time.
    browser.text_where(".ago", SOON, |ago| ago.contains("second") || ago.contains("minute")).await;
    browser.close().await;
}
