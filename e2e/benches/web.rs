//! What a browser sees of each page, and what it downloads. One JSON object a line.

#![expect(clippy::print_stdout, reason = "a benchmark's figures go to standard output")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]

use std::time::Duration;

use e2e::browser::{Browser, Gpu};
use e2e::rows::{Tables, fill};
use e2e::stack::Stack;
use e2e::until::until;
use serde_json::{Value, json};

fn print(figure: &str, value: f64, unit: &str, more: &Value) {
    let mut line = json!({ "figure": figure, "value": (value * 100.0).round() / 100.0, "unit": unit });
    if let (Some(line), Some(more)) = (line.as_object_mut(), more.as_object()) {
        line.extend(more.clone());
    }
    println!("{line}");
}

/// What the browser measured of one page.
async fn timing(browser: &Browser, url: &str) -> Value {
    browser.open(url).await;
    let script = "const n = performance.getEntriesByType('navigation')[0]; const p = performance.getEntriesByName('first-contentful-paint')[0]; const r = performance.getEntriesByName('ready')[0]; return { first_byte_ms: n.responseStart, first_contentful_paint_ms: p ? p.startTime : null, interactive_ms: r ? r.startTime : null };";
    until("a painted page", Duration::from_secs(10), async || {
        let read = browser.script(script).await;
        (!read["first_contentful_paint_ms"].is_null()).then_some(read)
    })
    .await
}

async fn in_chromium(stack: &Stack, pages: &[(&str, String)]) {
    for (name, path) in pages {
        let browser = Browser::start(Gpu::Swiftshader).await;
        let url = format!("{}{path}", stack.url());
        let cold = timing(&browser, &url).await;
        let warm = timing(&browser, &url).await;
        for (kind, read) in [("cold", cold), ("warm", warm)] {
            let interactive = read["interactive_ms"].as_f64().unwrap();
            print(&format!("web.interactive.{name}.{kind}"), interactive, "ms", &read);
        }
        browser.close().await;
    }
    for (name, path) in pages {
        let request = reqwest::Client::new().get(format!("{}{path}", stack.url())).header("accept-encoding", "br");
        let answer = request.send().await.unwrap();
        let packed = answer.headers().get("content-encoding").is_some_and(|encoding| encoding == "br");
        let bytes = answer.bytes().await.unwrap().len();
        let kilobytes = f64::from(u32::try_from(bytes).unwrap()) / 1000.0;
        print(&format!("web.page_size.{name}"), kilobytes, if packed { "kB Brotli" } else { "kB" }, &json!({}));
    }
}

#[tokio::main]
async fn main() {
    let stack = Stack::start().await;
    let Tables { device, job } = fill(&stack).await.unwrap();
    let pages = [
        ("landing", "/".to_owned()),
        ("devices", "/explorer/devices?limit=200".to_owned()),
        ("device", format!("/explorer/devices/{device}?limit=200")),
        ("job", format!("/explorer/jobs/{job}")),
        ("new_job", "/jobs/new".to_owned()),
        ("lend", "/lend".to_owned()),
    ];
    in_chromium(&stack, &pages).await;
}
