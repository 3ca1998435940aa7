//! Durable tiles a second, from submit to the verified result on record: tiles of the smallest model there is, computed by
//! scripted devices and checked by the edge, on both databases, beside Ray and
//! `HyperQueue`. One JSON object a line.
//!
//! `dispatch.no_op` lends as many tiles at once as devices are good for, `dispatch.one_a_lease` one: there each tile is
//! signed, checked and paid by itself. `round_trip` is a lease's, from asking for it to being paid. The
//! devices' own work (their sockets, their signatures) shares this machine's cores.

#![expect(clippy::print_stdout, reason = "a benchmark's figures go to standard output")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::digits;
use e2e::page::tools;
use e2e::scripted::Scripted;
use e2e::stack::Stack;
use serde_json::{Value, json};
use wire::frame::SMALL_BYTES_MAX;
use wire::{FromDevice, Infer, LeaseGrant, LeaseId, Nonce, Program, SubmitJob, ToDevice};

/// Leases that a device asks for before it has done the first.
const ASKED_AHEAD: usize = 2;

#[derive(Clone, Copy)]
enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    async fn stack(self) -> Stack {
        match self {
            Self::Sqlite => Stack::start().await,
            Self::Postgres => Stack::start_on_postgres().await,
        }
    }
}

/// What peers on this machine did in this run, tasks a second and milliseconds; nothing of those that are not there.
struct Peers(BTreeMap<String, f64>);

impl Peers {
    fn measure() -> Self {
        let script = e2e::folder().join("benches/peers/dispatch.py");
        let python = tools().map(|tools| tools.join("dispatch/bin/python"));
        let ran = python.and_then(|python| Command::new(python).arg(script).output().ok());
        let figures = ran.filter(|ran| ran.status.success());
        // HyperQueue says something of its own first.
        let last = |ran: std::process::Output| {
            ran.stdout.trim_ascii().rsplit(|byte| *byte == b'\n').next().map(<[u8]>::to_vec)
        };
        let figures = figures.and_then(last).and_then(|line| serde_json::from_slice(&line).ok());
        if figures.is_none() {
            eprintln!("SKIP the peers of dispatch: make setup's step 'dispatch' has not been run");
        }
        Self(figures.unwrap_or_default())
    }

    /// A figure beside a peer's; `more_is_better` says which way the ratio goes.
    fn print(&self, figure: &str, value: f64, unit: &str, peer: &str, more: &Value) {
        let round = |value: f64| (value * 1000.0).round() / 1000.0;
        let mut line = json!({ "figure": figure, "value": round(value), "unit": unit });
        if let Some(peer_value) = self.0.get(peer) {
            let ratio = round(value / peer_value);
            let beside = json!({ "peer": peer, "peer_value": round(*peer_value), "ratio": ratio });
            extend(&mut line, &beside);
        }
        extend(&mut line, more);
        println!("{line}");
    }
}

fn extend(line: &mut Value, more: &Value) {
    if let (Some(line), Some(more)) = (line.as_object_mut(), more.as_object()) {
        line.extend(more.clone());
    }
}

/// Serves the leases that one device gets until the job is over; how long each took.
async fn work(mut device: Scripted, mut stop: tokio::sync::watch::Receiver<bool>) -> Vec<Duration> {
    let (mut took, mut asked) = (Vec::new(), std::collections::VecDeque::new());
    let mut begun: BTreeMap<LeaseId, Instant> = BTreeMap::new();
    for _ in 0..ASKED_AHEAD {
        asked.push_back(Instant::now());
        device.say(&FromDevice::Ready).await.unwrap();
    }
    loop {
        let heard = tokio::select! {
            heard = device.hear() => heard.unwrap(),
            _ = stop.changed() => return took,
        };
        match heard {
            ToDevice::Lease(grant) => {
                begun.insert(grant.lease, asked.pop_front().unwrap());
                serve(&mut device, &grant).await;
            }
            ToDevice::Settled { lease, .. } => {
                took.push(begun.remove(&lease).unwrap().elapsed());
                asked.push_back(Instant::now());
                device.say(&FromDevice::Ready).await.unwrap();
            }
            ToDevice::Refused { message, .. } => panic!("a lease was refused: {message}"),
            _ => {}
        }
    }
}

/// Hands in the output: no value is below zero, so it is the input.
async fn serve(device: &mut Scripted, grant: &LeaseGrant) {
    let input = device.input(grant).await.unwrap();
    let receipt = device.receipt(grant, &input).unwrap();
    let commit = if u64::try_from(input.len()).unwrap() <= SMALL_BYTES_MAX {
        device.commit_with_output(&receipt, input)
    } else {
        device.upload_bytes(grant, &input).await.unwrap();
        device.commit(&receipt)
    };
    device.say(&commit).await.unwrap();
}

struct Run {
    tiles_per_sec: f64,
    round_trips: Vec<Duration>,
    leases: usize,
}

/// A job of so many tiles on so many devices, from submit to its end.
async fn run(stack: &Stack, devices: usize, tiles: u32) -> Run {
    let (client, _) = stack.customer().await.unwrap();
    let input = stack.folder().join(format!("column-{tiles}.npy"));
    std::fs::write(&input, digits::column(tiles)).unwrap();
    let model = client.upload(&digits::relu()).await.unwrap().hash;
    let input = client.upload(&input).await.unwrap().hash;
    let program = Program::Infer(Infer { model, input: Some(input), inputs: BTreeMap::new(), tile_rows: Some(1) });
    let (stopped, stop) = tokio::sync::watch::channel(false);
    let (provider, provider_key) = stack.customer().await.unwrap();
    let mut working = Vec::new();
    for _ in 0..devices {
        let device = stack.established_of(&provider, &provider_key, "127.0.0.1").await;
        working.push(tokio::spawn(work(device, stop.clone())));
    }
    let mut key = [0; 16];
    getrandom::fill(&mut key).unwrap();
    let begun = Instant::now();
    let job = client.submit(&SubmitJob::new(program), &Nonce(key).to_string()).await.unwrap();
    let ended = client.watch(job.id, |_| {}).await.unwrap();
    let secs = begun.elapsed().as_secs_f64();
    assert_eq!((ended.state, ended.verified_tiles), (wire::JobState::Done, u64::from(tiles)));
    stopped.send(true).unwrap();
    let mut round_trips = Vec::new();
    for device in working {
        round_trips.extend(device.await.unwrap());
    }
    round_trips.sort_unstable();
    stack.check_settled_once(&ended).await;
    stack.check_ledger().await;
    Run { tiles_per_sec: f64::from(tiles) / secs, leases: round_trips.len(), round_trips }
}

impl Run {
    fn at(&self, share: usize) -> f64 {
        let at = self.round_trips.len().saturating_sub(1) * share / 100;
        self.round_trips.get(at).map_or(0.0, Duration::as_secs_f64) * 1e3
    }
}

#[tokio::main]
async fn main() {
    // Some of the figures, by a part of their names, come alone.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let peers = if wanted.is_empty() { Peers::measure() } else { Peers(BTreeMap::new()) };
    for (peer, value) in &peers.0 {
        println!("{}", json!({ "figure": format!("peer.{peer}"), "value": value }));
    }
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let name = engine.name();
        for (figure, devices, tiles, at_once) in [
            ("no_op", 8, 100_000, None),
            ("no_op", 256, 100_000, None),
            ("one_a_lease", 8, 4_000, Some(1)),
            ("one_a_lease", 256, 8_000, Some(1)),
        ] {
            let figure = format!("dispatch.{figure}.{name}.{devices}");
            if !wanted.is_empty() && !wanted.iter().any(|part| figure.contains(part)) {
                continue;
            }
            let mut stack = engine.stack().await;
            // Connections of one address are few, but for a proxy's.
            stack.trust_proxy().await;
            if let Some(most) = at_once {
                stack.lend_at_most(most).await;
            }
            let run = run(&stack, devices, tiles).await;
            let about = json!({ "devices": devices, "tiles": tiles, "leases": run.leases });
            peers.print(&figure, run.tiles_per_sec, "tiles/s", "ray_async", &about);
            peers.print(&format!("{figure}.round_trip_p50"), run.at(50), "ms", "ray_sync_p50", &json!({}));
            peers.print(&format!("{figure}.round_trip_p99"), run.at(99), "ms", "ray_sync_p99", &json!({}));
        }
    }
}
