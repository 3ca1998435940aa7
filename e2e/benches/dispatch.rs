//! Durable tiles a second, from submit to the verified result on record: tiles of the smallest model there is, computed by
//! scripted devices and checked by the edge, on both databases (each commit waits for the disk), beside Ray and
//! `HyperQueue`. One JSON object a line.
//!
//! `dispatch.no_op` lends as many tiles at once as devices are good for, `dispatch.one_a_lease` one: there each tile is
//! signed, checked and paid by itself. `dispatch.of_1_ms` is of tiles that a device takes a millisecond for.
//! `dispatch.one_by_one` is the round trip of a lease, from asking for it to being paid, with nothing else under way, beside
//! that of the database file's write to the disk. `dispatch.cost` is the server's processor time a tile, and its memory after
//! a job, `dispatch.held_snapshot` what is left of `one_a_lease` while another program holds an old snapshot.
//! Devices ask for a lease more as soon as they have handed one in, as workers do. Their own work (their sockets, their
//! signatures) shares this machine's cores.

#![expect(clippy::print_stdout, reason = "a benchmark's figures go to standard output")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::digits;
use e2e::page::tools;
use e2e::postgres;
use e2e::scripted::Scripted;
use e2e::stack::Stack;
use serde_json::{Value, json};
use sqlx::Executor;
use sqlx::any::AnyPoolOptions;
use sqlx::pool::PoolConnection;
use wire::frame::SMALL_BYTES_MAX;
use wire::{FromDevice, Infer, LeaseGrant, LeaseId, Nonce, Program, SubmitJob, ToDevice};

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
            Self::Postgres => {
                let cluster = tokio::task::spawn_blocking(|| postgres::start("on")).await.unwrap();
                Stack::start_on_cluster(&cluster).await
            }
        }
    }
}

/// What is measured, in which figures.
#[derive(Clone, Copy)]
struct Load {
    figure: &'static str,
    devices: usize,
    tiles: u32,
    /// Tiles of a lease at most.
    at_once: Option<u64>,
    /// Leases that a device asks for before it has done the first.
    asked_ahead: usize,
    /// What a tile takes.
    tile: Duration,
}

const LOADS: [Load; 6] = {
    let no_op =
        Load { figure: "no_op", devices: 8, tiles: 100_000, at_once: None, asked_ahead: 2, tile: Duration::ZERO };
    let one = Load { figure: "one_a_lease", tiles: 20_000, at_once: Some(1), ..no_op };
    [
        no_op,
        Load { devices: 256, ..no_op },
        Load { figure: "of_1_ms", tiles: 50_000, tile: Duration::from_millis(1), ..no_op },
        one,
        Load { devices: 256, ..one },
        Load { figure: "one_by_one", devices: 1, tiles: 1_000, asked_ahead: 1, ..one },
    ]
};

/// What is measured while somebody holds an old snapshot.
const HELD: Load = Load { tiles: 10_000, ..LOADS[3] };

/// Linux counts processor time in these, and memory in those.
const TICKS_A_SECOND: f64 = 100.0;
const PAGE_BYTES: f64 = 4096.0;
/// How many tiles the jobs have whose cost is compared.
const COSTS: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];

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

/// Serves the leases that one device gets until the job is over; how long each took. A device that asks for one at a time
/// waits for its pay before the next.
async fn work(mut device: Scripted, load: Load, mut stop: tokio::sync::watch::Receiver<bool>) -> Vec<Duration> {
    let (mut took, mut asked) = (Vec::new(), std::collections::VecDeque::new());
    let mut begun: BTreeMap<LeaseId, Instant> = BTreeMap::new();
    for _ in 0..load.asked_ahead {
        asked.push_back(Instant::now());
        device.say(&FromDevice::Ready).await.unwrap();
    }
    loop {
        let heard = tokio::select! {
            heard = device.hear() => heard.unwrap(),
            _ = stop.changed() => return took,
        };
        let asks_again = match heard {
            ToDevice::Lease(grant) => {
                begun.insert(grant.lease, asked.pop_front().unwrap());
                if !load.tile.is_zero() {
                    tokio::time::sleep(load.tile * grant.tiles).await;
                }
                serve(&mut device, &grant).await;
                load.asked_ahead > 1
            }
            ToDevice::Settled { lease, .. } => {
                took.push(begun.remove(&lease).unwrap().elapsed());
                load.asked_ahead == 1
            }
            ToDevice::Refused { message, .. } => panic!("a lease was refused: {message}"),
            _ => false,
        };
        if asks_again {
            asked.push_back(Instant::now());
            device.say(&FromDevice::Ready).await.unwrap();
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

/// A job from submit to its end.
async fn run(stack: &Stack, load: Load) -> Run {
    let Load { devices, tiles, .. } = load;
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
        working.push(tokio::spawn(work(device, load, stop.clone())));
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

/// The server's processor time so far, in seconds, and its resident memory, in bytes.
fn usage(stack: &Stack) -> (f64, f64) {
    let file = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", stack.edge_pid())).unwrap();
    let stat = file("stat");
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: f64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<f64>().unwrap()).sum();
    let pages: f64 = file("statm").split(' ').nth(1).unwrap().parse().unwrap();
    (ticks / TICKS_A_SECOND, pages * PAGE_BYTES)
}

/// How long this disk takes to write a little, as a database's log does; the median, in milliseconds.
fn disk_write(stack: &Stack) -> f64 {
    let mut file = std::fs::File::create(stack.folder().join("written")).unwrap();
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            let begun = Instant::now();
            file.write_all(&[1; 4096]).and_then(|()| file.sync_data()).unwrap();
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

async fn start(engine: Engine, at_once: Option<u64>) -> Stack {
    let mut stack = engine.stack().await;
    // Connections of one address are few, but for a proxy's.
    stack.trust_proxy().await;
    if let Some(most) = at_once {
        stack.lend_at_most(most).await;
    }
    stack
}

/// The figures of a load.
async fn measure(peers: &Peers, engine: Engine, load: Load) {
    let figure = format!("dispatch.{}.{}.{}", load.figure, engine.name(), load.devices);
    let stack = start(engine, load.at_once).await;
    let run = run(&stack, load).await;
    let about = json!({ "devices": load.devices, "tiles": load.tiles, "leases": run.leases });
    if load.asked_ahead > 1 {
        peers.print(&figure, run.tiles_per_sec, "tiles/s", "ray_async", &about);
    }
    if load.tile.is_zero() {
        peers.print(&format!("{figure}.round_trip_p50"), run.at(50), "ms", "ray_sync_p50", &json!({}));
        peers.print(&format!("{figure}.round_trip_p99"), run.at(99), "ms", "ray_sync_p99", &json!({}));
    }
    if load.asked_ahead == 1 {
        peers.print(&format!("{figure}.disk_write_p50"), disk_write(&stack), "ms", "", &json!({}));
    }
}

/// A transaction of another program that sees the database as it is now for as long as it lives, so that no row that is
/// written meanwhile can be forgotten.
async fn hold_snapshot(stack: &Stack) -> PoolConnection<sqlx::Any> {
    let pool = AnyPoolOptions::new().max_connections(1).connect(stack.database_url()).await.unwrap();
    let mut conn = pool.acquire().await.unwrap();
    let begin =
        if stack.database_url().starts_with("sqlite") { "begin" } else { "begin isolation level repeatable read" };
    conn.execute(begin).await.unwrap();
    conn.execute("select count(*) from receipt").await.unwrap();
    conn
}

/// The same load before, and while somebody holds an old snapshot.
async fn measure_held_snapshot(peers: &Peers, engine: Engine) {
    let stack = start(engine, HELD.at_once).await;
    // The first job of a server is slower.
    run(&stack, Load { tiles: 2_000, ..HELD }).await;
    let before = run(&stack, HELD).await;
    let held = hold_snapshot(&stack).await;
    let during = run(&stack, HELD).await;
    drop(held);
    let figure = format!("dispatch.held_snapshot.{}", engine.name());
    let about =
        json!({ "without": before.tiles_per_sec.round(), "share": during.tiles_per_sec / before.tiles_per_sec });
    peers.print(&figure, during.tiles_per_sec, "tiles/s", "", &about);
}

/// What a tile costs the server in jobs of a thousand to a million.
async fn measure_cost(peers: &Peers, engine: Engine) {
    let stack = start(engine, None).await;
    for tiles in COSTS {
        let (before, _) = usage(&stack);
        let run = run(&stack, Load { tiles, ..LOADS[0] }).await;
        let (after, memory) = usage(&stack);
        let about = json!({ "tiles": tiles, "leases": run.leases, "tiles_per_sec": run.tiles_per_sec.round() });
        let figure = format!("dispatch.cost.{}.{tiles}", engine.name());
        peers.print(&figure, (after - before) / f64::from(tiles) * 1e6, "µs/tile", "", &about);
        peers.print(&format!("{figure}.memory"), memory / 1e6, "MB", "", &json!({}));
    }
}

#[tokio::main]
async fn main() {
    // Some of the figures, by a part of their names, come alone.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |figure: &str| wanted.is_empty() || wanted.iter().any(|part| figure.contains(part));
    let peers = if wanted.is_empty() { Peers::measure() } else { Peers(BTreeMap::new()) };
    for (peer, value) in &peers.0 {
        println!("{}", json!({ "figure": format!("peer.{peer}"), "value": value }));
    }
    for engine in [Engine::Sqlite, Engine::Postgres] {
        for load in LOADS {
            if is_wanted(&format!("dispatch.{}.{}.{}", load.figure, engine.name(), load.devices)) {
                measure(&peers, engine, load).await;
            }
        }
        if is_wanted(&format!("dispatch.held_snapshot.{}", engine.name())) {
            measure_held_snapshot(&peers, engine).await;
        }
        if is_wanted(&format!("dispatch.cost.{}", engine.name())) {
            measure_cost(&peers, engine).await;
        }
    }
}
