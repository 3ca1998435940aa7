//! Challenges: all devices here are asked at one instant how fast they are. Each says how far it got and binds itself to
//! its answer; then, a few at a time, they show drawn rows of it over the line that this measures.

use std::time::Duration;

use gpu_kernels::challenge::Chain;
use rules::scheduling::challenge::{Next, Purpose, STOP_AFTER_MILLIS, Size, Times, next_instant};
use rules::scheduling::speed::Proof;
use tokio::time::Instant;
use wire::{ChallengeId, DeviceId, Micros, SpeedChallenge, TileHash, ToDevice};

use super::open_challenges::{Answer, HASH_BYTES, Open, Shown, Stage};
use super::scheduler::State;
use crate::app::App;
use crate::random;
use crate::retry::retry;

/// Random bytes that measure a line.
const PROBE_BYTES: u32 = 4 << 20;
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Challenges all devices here now and then, until the server stops.
pub async fn run(app: App) {
    let every = Micros::from(app.config.challenge_seconds) * 1_000_000;
    if every == 0 {
        return;
    }
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut next = next_instant(&app.secret, every, app.clock.now());
    loop {
        let wait = Duration::from_micros(u64::try_from(next - app.clock.now()).unwrap_or(0));
        tokio::select! {
            () = app.stop.cancelled() => return,
            _ = look.tick() => look_after(&app).await,
            () = tokio::time::sleep(wait) => {
                challenge_all(&app);
                next = next_instant(&app.secret, every, next);
            }
        }
    }
}

/// Puts all devices here that take work to a challenge, each to one of its own, unless it has not ended its last.
pub fn challenge_all(app: &App) {
    let now = app.clock.now();
    let mut state = app.scheduler.lock();
    for (device, size) in state.core.challenged(now) {
        if state.challenges.open.get(&device).is_some_and(|open| open.purpose == Purpose::Proof) {
            continue;
        }
        // Nobody puts off a proof by a benchmark.
        state.challenges.withdraw(device);
        ask(&mut state, device, size, Round::first(Purpose::Proof));
    }
}

/// Asks a device that has come, and of which nothing is known, how fast it is.
pub fn benchmark(app: &App, device: DeviceId) {
    if app.config.challenge_seconds == 0 {
        return;
    }
    let now = app.clock.now();
    let mut state = app.scheduler.lock();
    if let Some(size) = state.core.take_benchmark(device, now)
        && !state.challenges.open.contains_key(&device)
    {
        ask(&mut state, device, size, Round::first(Purpose::Benchmark));
    }
}

/// What came before a challenge of growing size.
#[derive(Clone, Copy)]
struct Round {
    purpose: Purpose,
    /// From one.
    number: u32,
    first_at: Instant,
}

impl Round {
    fn first(purpose: Purpose) -> Self {
        Self { purpose, number: 1, first_at: Instant::now() }
    }
}

fn ask(state: &mut State, device: DeviceId, size: Size, round: Round) {
    let words = random::bytes::<16>();
    let (words, _) = words.as_chunks::<4>();
    let seed = std::array::from_fn(|at| u32::from_le_bytes(words[at]));
    let (id, chain) = (ChallengeId(random::bytes()), Chain { seed, side: size.side });
    let Size { side, steps } = size;
    let millis = STOP_AFTER_MILLIS;
    state.send(device, ToDevice::Prove(SpeedChallenge { challenge: id, seed, side, steps, millis }));
    let Round { purpose, number: round, first_at } = round;
    let (since, stage, network) = (Instant::now(), Stage::Asked, state.core.network_of(device));
    state.challenges.open.insert(device, Open { id, purpose, chain, size, round, first_at, network, since, stage });
}

/// The device says how far it got. Late answers, and those to another question, are no answers.
pub fn on_proved(app: &App, device: DeviceId, challenge: ChallengeId, steps: u32, root: TileHash) {
    let now = app.clock.now();
    let mut state = app.scheduler.lock();
    let Some(purpose) = state.challenges.open.get(&device).map(|open| open.purpose) else { return };
    let Some(known) = state.core.known_of(device, purpose) else { return };
    let Some(open) = state.challenges.open.get_mut(&device) else { return };
    let is_asked = open.id == challenge && matches!(open.stage, Stage::Asked);
    if !is_asked || steps == 0 || steps > open.size.steps {
        return;
    }
    let times = Times { of_round: micros(open.since.elapsed()), of_all: micros(open.first_at.elapsed()) };
    match open.size.next((open.round, steps), times, known) {
        Next::Again(larger) => {
            let round = Round { purpose, number: open.round + 1, first_at: open.first_at };
            ask(&mut state, device, larger, round);
        }
        Next::Judge { ops_per_sec } => {
            open.stage = Stage::Answered(Answer { steps, root, ops_per_sec });
            state.challenges.waiting.push_back(device);
            reveal_next(&mut state, now);
        }
    }
}

fn micros(time: Duration) -> Micros {
    Micros::try_from(time.as_micros()).unwrap_or(Micros::MAX)
}

/// Has those show rows whose turn it is.
fn reveal_next(state: &mut State, now: Micros) {
    while let Some(device) = state.challenges.take_next() {
        // A line is measured of a device that has passed a challenge before: who has only said something takes no megabytes.
        let has_proved = state.core.known_of(device, Purpose::Proof).is_some_and(|known| known.proved_ops_per_sec > 0);
        let wants_probe = has_proved && state.core.wants_probe(device, now);
        let probe_bytes = if wants_probe { PROBE_BYTES } else { 0 };
        let Some(open) = state.challenges.open.get_mut(&device) else { continue };
        let Stage::Answered(answer) = open.stage else { continue };
        let rows = draw_rows(open.size);
        open.since = Instant::now();
        open.stage = Stage::Revealing { answer, rows: rows.clone(), probe_bytes };
        let challenge = open.id;
        state.send(device, ToDevice::Reveal { challenge, rows, probe_bytes });
    }
}

/// Different rows, in no order.
fn draw_rows(size: Size) -> Vec<u32> {
    let mut rows: Vec<u32> = (0..size.side).collect();
    let drawn: usize = wire::number::to(size.rows_drawn());
    for at in 0..drawn {
        let left = wire::number::to::<u64>(rows.len() - at);
        rows.swap(at, at + wire::number::to::<usize>(random::below(left)));
    }
    rows.truncate(drawn);
    rows
}

/// The device has shown rows: they are held against its answer, and that against the chain.
pub fn on_shown(app: &App, device: DeviceId, shown: Shown) {
    let task = app.clone();
    app.tasks.spawn(async move {
        if let Err(error) = judge(&task, device, shown).await {
            tracing::error!(error = format!("{error:#}"), %device, "a challenge could not be judged");
        }
    });
}

async fn judge(app: &App, device: DeviceId, shown: Shown) -> anyhow::Result<()> {
    let (purpose, chain, answer, rows) = {
        let mut state = app.scheduler.lock();
        let open = state.challenges.open.get_mut(&device).filter(|open| open.id == shown.challenge);
        let Some(open) = open else { return Ok(()) };
        let Stage::Revealing { answer, rows, .. } = std::mem::replace(&mut open.stage, Stage::Judging) else {
            return Ok(());
        };
        (open.purpose, open.chain, answer, rows)
    };
    let (id, line) = (shown.challenge, shown.line);
    // One at a time: what devices say of their speed holds up no lease's check and no page.
    let seat = app.challenge_seat.acquire().await?;
    let is_right =
        tokio::task::spawn_blocking(move || shown.is_probe_right && holds(chain, answer, &rows, &shown.bytes)).await;
    drop(seat);
    {
        let mut state = app.scheduler.lock();
        // A proof may have been asked for meanwhile, in the place of a benchmark.
        if state.challenges.open.get(&device).is_some_and(|open| open.id == id) {
            state.challenges.withdraw(device);
        }
        reveal_next(&mut state, app.clock.now());
    }
    let is_right = is_right?;
    if purpose == Purpose::Benchmark {
        if is_right {
            let mut state = app.scheduler.lock();
            state.core.on_benchmarked(device, answer.ops_per_sec);
            state.send(device, ToDevice::Speed { ops_per_sec: answer.ops_per_sec });
        }
        return Ok(());
    }
    if !is_right {
        tracing::warn!(%device, "a device's answer to a challenge is wrong");
        return prove(app, device, 0).await;
    }
    if let Some(line) = line {
        let now = app.clock.now();
        let mut state = app.scheduler.lock();
        for (direction, bytes, took) in line {
            state.core.on_transfer(device, direction, bytes, took);
        }
        state.core.on_line_probed(now, device);
    }
    prove(app, device, answer.ops_per_sec).await
}

/// `bytes`: BLAKE3 of each row, then the rows that were drawn.
fn holds(chain: Chain, answer: Answer, drawn: &[u32], bytes: &[u8]) -> bool {
    let side: usize = wire::number::to(chain.side);
    let Some((hashes, rows)) = bytes.split_at_checked(side * HASH_BYTES) else { return false };
    let (row_hashes, _) = hashes.as_chunks::<HASH_BYTES>();
    let is_bound = |(row, bytes): (&u32, &[u8])| {
        row_hashes.get(wire::number::to::<usize>(*row)) == Some(blake3::hash(bytes).as_bytes())
    };
    let rows: Vec<&[u8]> = rows.chunks(side * 4).collect();
    if *blake3::hash(hashes).as_bytes() != answer.root.0
        || rows.len() != drawn.len()
        || !drawn.iter().zip(rows.iter().copied()).all(is_bound)
    {
        return false;
    }
    let entries = |row: &[u8]| row.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let rows: Vec<(u32, Vec<u32>)> = drawn.iter().copied().zip(rows.into_iter().map(entries)).collect();
    let coefficients: Vec<u32> = drawn.iter().map(|_row| u32::from_le_bytes(random::bytes())).collect();
    chain.holds(answer.steps, &rows, &coefficients)
}

/// Takes what a challenge showed for the device's speed, here and in the database.
async fn prove(app: &App, device: DeviceId, ops_per_sec: u64) -> anyhow::Result<()> {
    let proof = Proof { ops_per_sec, at: app.clock.now() };
    let (line, flops_per_sec) = {
        let mut state = app.scheduler.lock();
        state.core.on_proved(device, proof);
        state.send(device, ToDevice::Speed { ops_per_sec });
        // One that has left is shown with what it proved last: nothing.
        (state.core.line(device), state.core.flops_per_sec(device))
    };
    retry(async || {
        let mut tx = app.db.begin_write().await?;
        store::devices::record_proof(&mut tx, device, proof, flops_per_sec).await?;
        if let Some(line) = line {
            store::devices::record_line(&mut tx, device, line).await?;
        }
        Ok::<(), anyhow::Error>(tx.commit().await?)
    })
    .await
}

/// Those that did not answer in time have failed.
async fn look_after(app: &App) {
    let overdue: Vec<DeviceId> = {
        let mut state = app.scheduler.lock();
        let overdue = state.challenges.overdue();
        let owed: Vec<DeviceId> = overdue.into_iter().filter(|device| state.challenges.withdraw(*device)).collect();
        reveal_next(&mut state, app.clock.now());
        owed
    };
    for device in overdue {
        fail(app, device).await;
    }
}

/// A device that leaves instead of answering has failed, unless it is the server that stops.
pub async fn on_left(app: &App, device: DeviceId) {
    if !app.draining.is_cancelled() {
        fail(app, device).await;
    }
}

async fn fail(app: &App, device: DeviceId) {
    if let Err(error) = prove(app, device, 0).await {
        tracing::error!(error = format!("{error:#}"), %device, "what a challenge showed could not be written");
    }
}
