//! Explorer pages with a table of two hundred rows beside the same table by `SvelteKit` and Next.js. One JSON object a
//! line.
//!
//! `drawn_anew` asks each time for a page that nobody has asked for: a list that goes on after a place past its
//! beginning, from another address each time, since one address may not have so many drawn. `as_served` is what many
//! readers of one page get. The peers have their rows in memory, ours come from the database.

#![expect(clippy::print_stdout, reason = "a benchmark's figures go to standard output")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use e2e::rows::{Tables, fill};
use e2e::stack::{Stack, free_port};
use e2e::until::until;
use serde_json::{Value, json};

const CONNECTIONS: usize = 16;
const TIME: Duration = Duration::from_secs(4);
/// Ours and the peers' in turns, so that whatever else the machine does meets all of them.
const ROUNDS: usize = 3;
/// Where a page's number goes in its address.
const NUMBER: &str = "@";
/// How many times `SvelteKit`'s and Next.js's pages a second ours should be, drawn anew.
const GOALS: [(&str, &[&str], f64); 2] =
    [("sveltekit", &["build"], 3.0), ("nextjs", &["node_modules/next/dist/bin/next", "start"], 10.0)];
const P99_GOAL_MS: f64 = 20.0;

/// One run, or the middle one of several.
#[derive(Clone, Copy)]
struct Load {
    pages_per_sec: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// Asks at sixteen connections.
async fn load(url: &str, number: &Arc<AtomicU32>) -> Load {
    let client = reqwest::Client::builder().pool_max_idle_per_host(CONNECTIONS).build().unwrap();
    let begun = Instant::now();
    let tasks = (0..CONNECTIONS).map(|_| {
        let (client, url, number) = (client.clone(), url.to_owned(), Arc::clone(number));
        tokio::spawn(async move {
            let mut times = Vec::new();
            while begun.elapsed() < TIME {
                let n = number.fetch_add(1, Ordering::Relaxed);
                let address = Ipv4Addr::from_bits(0x0a00_0000 | (n & 0x00ff_ffff));
                let request = client.get(url.replace(NUMBER, &n.to_string()));
                let asked = Instant::now();
                let answer = request.header("x-forwarded-for", address.to_string()).send().await.unwrap();
                let page = answer.error_for_status().unwrap().bytes().await.unwrap();
                times.push(asked.elapsed());
                assert!(page.len() > 40_000, "the page should hold its table");
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
    Load { pages_per_sec: f64::from(u32::try_from(times.len()).unwrap()) / spent, p50_ms: at(50), p99_ms: at(99) }
}

/// A figure's name, where it is asked for, and what its runs gave.
struct Figure {
    name: String,
    url: String,
    runs: Vec<Load>,
}

impl Figure {
    fn new(name: impl Into<String>, url: String) -> Self {
        Self { name: name.into(), url, runs: Vec::new() }
    }

    async fn run(&mut self, number: &Arc<AtomicU32>) {
        self.runs.push(load(&self.url, number).await);
    }

    fn middle(&self) -> Load {
        let mut runs = self.runs.clone();
        runs.sort_by(|one, other| one.pages_per_sec.total_cmp(&other.pages_per_sec));
        runs[runs.len() / 2]
    }
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn print(figure: &Figure, more: &Value) {
    let Load { pages_per_sec, p50_ms, p99_ms } = figure.middle();
    let mut line = json!({
        "figure": format!("pages.{}", figure.name), "value": rounded(pages_per_sec), "unit": "pages/s",
        "p50_ms": rounded(p50_ms), "p99_ms": rounded(p99_ms), "connections": CONNECTIONS, "rounds": figure.runs.len(),
    });
    if let (Some(line), Some(more)) = (line.as_object_mut(), more.as_object()) {
        line.extend(more.clone());
    }
    println!("{line}");
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

/// Starts a peer's server; `None` where it cannot be had.
async fn start_peer(name: &str, arguments: &[&str]) -> Option<(Peer, Figure)> {
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
    let server = Peer(child);
    let url = format!("http://127.0.0.1:{port}/");
    until(name, Duration::from_secs(30), async || reqwest::get(&url).await.ok()).await;
    Some((server, Figure::new(name, url)))
}

#[tokio::main]
async fn main() {
    let mut stack = Stack::start().await;
    stack.trust_proxy().await;
    let Tables { device, job } = fill(&stack).await.unwrap();
    let (list, one, receipts) = (
        "/explorer/devices?limit=200",
        format!("/explorer/devices/{device}?limit=200"),
        "/explorer/receipts?limit=200",
    );
    let at = |path: &str| format!("{}{path}", stack.url());
    let lease = "f".repeat(32);
    // Past the beginning of each list, so that all of it comes after.
    let mut anew = [
        Figure::new("devices.drawn_anew", at(&format!("{list}&after=8{NUMBER}000000000.{device}"))),
        Figure::new("device.drawn_anew", at(&format!("{one}&after=8{NUMBER}000000000.{lease}"))),
        Figure::new("receipts.drawn_anew", at(&format!("{receipts}&after=8{NUMBER}000000000.{lease}"))),
    ];
    let mut served = [
        Figure::new("devices.as_served", at(list)),
        Figure::new("device.as_served", at(&one)),
        Figure::new("receipts.as_served", at(receipts)),
        Figure::new("job.as_served", at(&format!("/explorer/jobs/{job}"))),
    ];
    let mut peers = Vec::new();
    for (name, arguments, goal) in GOALS {
        peers.extend(start_peer(name, arguments).await.map(|(server, figure)| (server, figure, goal)));
    }
    let number = Arc::new(AtomicU32::new(0));
    for _ in 0..ROUNDS {
        for figure in &mut anew {
            figure.run(&number).await;
        }
        for (_, figure, _) in &mut peers {
            figure.run(&number).await;
        }
    }
    for figure in &mut served {
        figure.run(&number).await;
    }
    for (_, peer, _) in &peers {
        print(peer, &json!({}));
    }
    for figure in &anew {
        for (_, peer, goal) in &peers {
            let theirs = peer.middle();
            let ratio = rounded(figure.middle().pages_per_sec / theirs.pages_per_sec);
            let more = json!({
                "peer": peer.name, "peer_value": rounded(theirs.pages_per_sec), "peer_p99_ms": rounded(theirs.p99_ms),
                "ratio": ratio, "goal": goal, "p99_goal_ms": P99_GOAL_MS,
            });
            print(figure, &more);
        }
        if peers.is_empty() {
            print(figure, &json!({ "p99_goal_ms": P99_GOAL_MS }));
        }
    }
    for figure in &served {
        print(figure, &json!({}));
    }
}
