//! Explorer pages beside the same table by `SvelteKit` and Next.js, what a browser sees of each page,
//! and what it downloads. One JSON object a line.
//!
//! `as served` is what a reader gets; `drawn each time` asks with a fresh parameter, so that no page
//! that was drawn before is sent again.

#![expect(clippy::print_stdout, reason = "a benchmark's figures go to standard output")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use e2e::browser::{Browser, Gpu};
use e2e::stack::{Stack, free_port};
use e2e::until::until;
use serde_json::{Value, json};

const CONNECTIONS: usize = 16;
const TIME: Duration = Duration::from_secs(6);
const ROWS: i64 = 200;

fn print(figure: &str, value: f64, unit: &str, more: &Value) {
    let mut line = json!({ "figure": figure, "value": (value * 100.0).round() / 100.0, "unit": unit });
    if let (Some(line), Some(more)) = (line.as_object_mut(), more.as_object()) {
        line.extend(more.clone());
    }
    println!("{line}");
}

/// Pages a second and the times of each, at sixteen connections.
async fn load(figure: &str, url: &str, fresh: bool) -> f64 {
    let number = Arc::new(AtomicU64::new(0));
    let client = reqwest::Client::builder().pool_max_idle_per_host(CONNECTIONS).build().unwrap();
    let begun = Instant::now();
    let tasks = (0..CONNECTIONS).map(|_| {
        let (client, url, number) = (client.clone(), url.to_owned(), Arc::clone(&number));
        tokio::spawn(async move {
            let mut times = Vec::new();
            while begun.elapsed() < TIME {
                let n = number.fetch_add(1, Ordering::Relaxed);
                let target = if fresh { format!("{url}&n={n}") } else { url.clone() };
                let asked = Instant::now();
                let answer = client.get(target).send().await.unwrap().error_for_status().unwrap();
                assert!(answer.bytes().await.unwrap().len() > 10_000, "the page should hold its table");
                times.push(asked.elapsed());
            }
            times
        })
    });
    let mut times = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        times.extend(task.await.unwrap());
    }
    let spent = begun.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    let pages = f64::from(u32::try_from(times.len()).unwrap()) / spent;
    let more = json!({ "p50_ms": (at(50) * 100.0).round() / 100.0, "p99_ms": (at(99) * 100.0).round() / 100.0, "connections": CONNECTIONS });
    print(figure, pages, "pages/s", &more);
    pages
}

/// Two hundred devices that each did a part of one published job, one of them with two hundred receipts.
async fn fill(stack: &Stack) -> (String, String) {
    let (client, _) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 1, Some(1)).await.unwrap();
    client.publish(job.id).await.unwrap();
    let database = stack.database().await;
    let (account, slice): (String, String) = sqlx::query_as(
        "select job.account_id, slice.slice_id from job join slice on slice.job_id = job.job_id limit 1",
    )
    .fetch_one(&database)
    .await
    .unwrap();
    let device = |i: i64| format!("{i:064x}");
    for i in 0..ROWS {
        sqlx::query(
            "insert into device (device_id, account_id, class, name, backend, software, passed, failed,
                                suspended_until, created_at, seen_at, tiles, kflop, earned, flops_per_sec)
            values ($1, $2, 'native', 'NVIDIA GeForce RTX 4090', 'vulkan', 0, $3, 0, 0, 1, 1, $3, $3, $3, 5000000000)",
        )
        .bind(device(i))
        .bind(&account)
        .bind(i)
        .execute(&database)
        .await
        .unwrap();
    }
    for i in 0..2 * ROWS {
        // The first device has two hundred receipts; the job has two hundred devices.
        let whose = if i < ROWS { 0 } else { i - ROWS };
        sqlx::query(
            "insert into receipt (lease_id, job_id, slice_id, device_id, account_id, first_tile, tiles, root, output_hash,
                                  program, backend, device_time, signature, state, cost, fee, recomputed, matures_at,
                                  created_at, kflop)
            values ($1, $2, $3, $4, $5, $6, 1, $7, $7, 'infer/1', 'vulkan', 1, $8, 'matured', 0, 0, 1, 1, $6, 151)",
        )
        .bind(format!("{i:032x}"))
        .bind(job.id.to_string())
        .bind(&slice)
        .bind(device(whose))
        .bind(&account)
        .bind(i)
        .bind("0".repeat(64))
        .bind("0".repeat(128))
        .execute(&database)
        .await
        .unwrap();
    }
    (format!("/explorer/devices/{}?limit=200", device(0)), format!("/explorer/jobs/{}?", job.id))
}

/// A peer's server, built in the target folder from the sources beside this file.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn run(folder: &Path, arguments: &[&str]) -> bool {
    let mut npm = Command::new("npm");
    npm.args(arguments).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    npm.env("NEXT_TELEMETRY_DISABLED", "1").status().is_ok_and(|status| status.success())
}

fn prepare(name: &str) -> Option<PathBuf> {
    let sources = e2e::folder().join("benches/peers");
    let folder = e2e::folder().join("../target/peers").join(name);
    copy(&sources.join(name), &folder);
    std::fs::copy(sources.join("rows.mjs"), folder.join("rows.mjs")).unwrap();
    let ready = run(&folder, &["install", "--no-audit", "--no-fund"]) && run(&folder, &["run", "build"]);
    if !ready {
        eprintln!("SKIP {name}: npm could not install and build it");
    }
    ready.then_some(folder)
}

async fn peer(name: &str, arguments: &[&str]) -> Option<f64> {
    let folder = prepare(name)?;
    let port = free_port();
    let mut arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    if name == "nextjs" {
        arguments.extend(["-p".to_owned(), port.to_string()]);
    }
    let child = Command::new("node")
        .args(&arguments)
        .current_dir(&folder)
        .env("PORT", port.to_string())
        .env("NODE_ENV", "production")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _server = Peer(child);
    let url = format!("http://127.0.0.1:{port}/");
    until(name, Duration::from_secs(30), async || reqwest::get(&url).await.ok()).await;
    Some(load(&format!("web.{name}"), &url, false).await)
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
    let (device, job) = fill(&stack).await;
    let list = "/explorer/devices?limit=200".to_owned();
    let mut served = Vec::new();
    for (name, path) in [("device", &device), ("job", &job), ("devices", &list)] {
        let url = format!("{}{path}", stack.url());
        served.push(load(&format!("web.tessera.{name}.as_served"), &url, false).await);
        load(&format!("web.tessera.{name}.drawn_each_time"), &url, true).await;
    }
    let least = served.iter().copied().fold(f64::INFINITY, f64::min);
    let goals =
        [("sveltekit", ["build"].as_slice(), 3.0), ("nextjs", &["node_modules/next/dist/bin/next", "start"], 10.0)];
    for (name, arguments, goal) in goals {
        if let Some(theirs) = peer(name, arguments).await {
            print(&format!("web.times_{name}"), least / theirs, "times", &json!({ "goal": goal }));
        }
    }
    let pages = [
        ("landing", "/".to_owned()),
        ("devices", list),
        ("device", device),
        ("job", job),
        ("new_job", "/jobs/new".to_owned()),
        ("lend", "/lend".to_owned()),
    ];
    in_chromium(&stack, &pages).await;
}
