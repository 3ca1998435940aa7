//! Ten thousand devices that wait at one server, over `SQLite`: how much memory each takes, how soon a new job reaches all of
//! them, and how long they take to come back after the server was killed. One JSON object a line.
//!
//! The devices' own end shares this machine's cores. They come from an address each, by the word of a proxy that the server
//! trusts, and come back when `tessera-worker` would.

#![expect(clippy::print_stdout, reason = "a benchmark's figures go to standard output")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]
#![expect(clippy::cast_precision_loss, reason = "bytes and counts of a benchmark are far below 2^52")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::digits;
use e2e::scripted::Scripted;
use e2e::stack::Stack;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Error;
use wire::{ErrorCode, FromDevice, Infer, Nonce, Program, SubmitJob, ToDevice};
use worker::identity::Identity;
use worker::reconnect::{Backoff, Ended};

const DEVICES: u32 = 10_000;
/// One for each device, and some more for those that are lent two.
const TILES: u32 = 12_000;
/// That connect at once, at first.
const AT_ONCE: usize = 128;
const WITHIN: Duration = Duration::from_mins(4);

/// What a device tells of.
enum Event {
    Waits,
    Leased(Instant),
    /// It was sent away, and not told to come back.
    Refused(String),
}

struct Device {
    url: String,
    /// By the word of the proxy.
    address: String,
    secret: [u8; 32],
    events: mpsc::Sender<Event>,
    backoff: Backoff,
}

impl Device {
    /// Waits for work, and comes back as often as it is cut off.
    async fn wait(mut self, places: Arc<Semaphore>) {
        loop {
            let since = Instant::now();
            let error = self.connection(&places).await.unwrap_err();
            let wait = match turned_away(&error) {
                Some(Ok(retry_after)) => retry_after,
                Some(Err(refusal)) => {
                    self.events.send(Event::Refused(refusal)).await.unwrap();
                    self.backoff.next_wait(since.elapsed(), Ended::TurnedAway)
                }
                None => self.backoff.next_wait(since.elapsed(), Ended::Lost),
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn connection(&self, places: &Semaphore) -> anyhow::Result<std::convert::Infallible> {
        let place = places.acquire().await?;
        let identity = Identity::from_secret(&self.secret);
        let (mut device, nonce) = Scripted::open_from(&self.address, &self.url, identity).await?;
        device.say(&FromDevice::Hello(Box::new(device.hello(nonce)))).await?;
        loop {
            match device.hear().await? {
                ToDevice::Welcome(_) => break,
                ToDevice::Close { code, message } => return Err(Closed(code, message).into()),
                _ => {}
            }
        }
        drop(place);
        device.say(&FromDevice::Ready).await?;
        self.events.send(Event::Waits).await?;
        loop {
            match device.hear().await? {
                ToDevice::Lease(_) => self.events.send(Event::Leased(Instant::now())).await?,
                ToDevice::Close { code, message } => return Err(Closed(code, message).into()),
                _ => {}
            }
        }
    }
}

#[derive(Debug)]
struct Closed(ErrorCode, String);

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "closed with {:?}: {}", self.0, self.1)
    }
}

impl std::error::Error for Closed {}

/// When a server that sent a device away says to come back, or what it said instead. `None`: nobody was there.
fn turned_away(error: &anyhow::Error) -> Option<Result<Duration, String>> {
    if let Some(closed) = error.downcast_ref::<Closed>() {
        return Some(Err(closed.to_string()));
    }
    let Some(Error::Http(response)) = error.downcast_ref::<Error>() else { return None };
    let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    Some(asked.map(Duration::from_secs).ok_or_else(|| format!("refused with {}", response.status())))
}

/// Counts events until so many devices have told of one; the others are counted too.
async fn until(events: &mut mpsc::Receiver<Event>, count: u32, is_it: impl Fn(&Event) -> bool) -> Vec<Event> {
    let (mut all, mut left) = (Vec::new(), count);
    let waited = tokio::time::timeout(WITHIN, async {
        while left > 0 {
            let event = events.recv().await.unwrap();
            left -= u32::from(is_it(&event));
            all.push(event);
        }
    });
    assert!(waited.await.is_ok(), "{left} devices of {count} are missing; of {} events", all.len());
    all
}

/// What a process has in memory.
fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    1024 * line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
}

fn print(figure: &str, value: f64, unit: &str, goal: f64) {
    let round = (value * 1000.0).round() / 1000.0;
    let figure = format!("sockets.{figure}");
    println!("{}", json!({ "figure": figure, "value": round, "unit": unit, "goal": goal, "devices": DEVICES }));
}

/// Submits a job with a tile for each device; when it was answered.
async fn submit(stack: &Stack) -> Instant {
    let (client, _) = stack.customer().await.unwrap();
    let input = stack.folder().join("column.npy");
    std::fs::write(&input, digits::column(TILES)).unwrap();
    let model = client.upload(&digits::relu()).await.unwrap().hash;
    let input = client.upload(&input).await.unwrap().hash;
    let program = Program::Infer(Infer { model, input: Some(input), inputs: BTreeMap::new(), tile_rows: Some(1) });
    client.submit(&SubmitJob::new(program), &Nonce([7; 16]).to_string()).await.unwrap();
    Instant::now()
}

/// As many as the system lets this process have, which are enough for its ends of the sockets.
fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

#[tokio::main]
async fn main() {
    raise_file_limit();
    let mut stack = Stack::start().await;
    // Connections of one address are few, but for a proxy's.
    stack.trust_proxy().await;
    stack.lend_at_most(1).await;
    let (sender, mut events) = mpsc::channel(2 * usize::try_from(DEVICES).unwrap());
    let (places, mut devices) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    let (before, begun) = (resident_bytes(stack.edges()[0].pid().unwrap()), Instant::now());
    for n in 0..DEVICES {
        let [_, a, b, c] = n.to_be_bytes();
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).unwrap();
        let address = format!("10.{a}.{b}.{c}");
        let (url, events) = (stack.url(), sender.clone());
        let device = Device { url, address, secret, events, backoff: Backoff::default() };
        devices.spawn(device.wait(Arc::clone(&places)));
    }
    let come = until(&mut events, DEVICES, |event| matches!(event, Event::Waits)).await;
    let joined = begun.elapsed();
    let resident = resident_bytes(stack.edges()[0].pid().unwrap()).saturating_sub(before);
    print("resident", resident as f64 / f64::from(DEVICES), "bytes a device", 8192.0);
    print("first_join", joined.as_secs_f64(), "s", 30.0);

    let submitted = submit(&stack).await;
    let leased = until(&mut events, DEVICES, |event| matches!(event, Event::Leased(_))).await;
    let mut reached: Vec<f64> = leased
        .iter()
        .filter_map(|event| match event {
            Event::Leased(at) => Some(at.saturating_duration_since(submitted).as_secs_f64() * 1e3),
            Event::Waits | Event::Refused(_) => None,
        })
        .collect();
    reached.sort_unstable_by(f64::total_cmp);
    for (name, share) in [("p50", 50), ("p99", 99)] {
        print(&format!("reached_{name}"), reached[(reached.len() - 1) * share / 100], "ms", 100.0);
    }

    places.add_permits(usize::try_from(DEVICES).unwrap());
    stack.kill_edge();
    stack.start_edge().await;
    let begun = Instant::now();
    let back = until(&mut events, DEVICES, |event| matches!(event, Event::Waits)).await;
    print("reconnect", begun.elapsed().as_secs_f64(), "s", 30.0);
    let refusals = come.iter().chain(&leased).chain(&back).filter_map(|event| match event {
        Event::Refused(refusal) => Some(refusal),
        Event::Waits | Event::Leased(_) => None,
    });
    let refusals: Vec<&String> = refusals.collect();
    print("refusals", refusals.len() as f64, "without Retry-After", 0.0);
    refusals.iter().take(5).for_each(|refusal| eprintln!("{refusal}"));
    devices.shutdown().await;
}
