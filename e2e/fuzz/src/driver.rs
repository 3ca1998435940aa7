//! Workers at work: which seeds they are asked, for how long, and what comes of it.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::kept;
use crate::process::{Answer, Worker};
use crate::target::Target;
use crate::worker::Outcome;

/// A target that finds so much needs a person first.
const FINDINGS_MAX: u64 = 32;

/// When a target has had enough.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Elapsed(Duration),
    Count(u64),
}

/// Inputs, by what became of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Of those that passed, those of which something was taken.
    pub(crate) taken: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.taken += other.taken;
    }
}

/// One target's run.
pub(crate) struct Run<'a> {
    pub(crate) target: &'a Target,
    pub(crate) postgres: Option<&'a str>,
    /// New findings are added to the kept seeds.
    pub(crate) keeps: bool,
    /// Findings with one of these in them are known, and do not fail.
    pub(crate) reported: &'a [String],
}

struct Shared {
    next: AtomicU64,
    passed: AtomicU64,
    failed: AtomicU64,
    taken: AtomicU64,
    /// What was found, without its numbers: the first seed of each is kept.
    known: Mutex<HashSet<String>>,
}

impl Run<'_> {
    /// Asks `first` and the seeds after it, on every core.
    pub(crate) async fn seeds(&self, first: u64, until: Until) -> anyhow::Result<Tally> {
        let shared = Shared {
            next: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            known: Mutex::default(),
        };
        let begun = Instant::now();
        let lanes = std::thread::available_parallelism().map_or(1, usize::from);
        let lane = || {
            self.lane(&shared, first, |count| match until {
                Until::Elapsed(time) => begun.elapsed() >= time,
                Until::Count(most) => count >= most,
            })
        };
        futures::future::try_join_all((0..lanes).map(|_| lane())).await?;
        let Shared { passed, failed, taken, .. } = shared;
        Ok(Tally { passed: passed.into_inner(), failed: failed.into_inner(), taken: taken.into_inner() })
    }

    async fn lane(&self, shared: &Shared, first: u64, is_over: impl Fn(u64) -> bool) -> anyhow::Result<()> {
        let mut worker = None;
        loop {
            let count = shared.next.fetch_add(1, Ordering::Relaxed);
            if is_over(count) || shared.failed.load(Ordering::Relaxed) >= FINDINGS_MAX {
                return Ok(());
            }
            let seed = first.wrapping_add(count);
            let outcome = self.ask(&mut worker, seed, false).await?;
            match outcome.found {
                None => {
                    shared.taken.fetch_add(u64::from(outcome.is_taken), Ordering::Relaxed);
                    shared.passed.fetch_add(1, Ordering::Relaxed)
                }
                Some(found) => {
                    self.report(shared, seed, &found)?;
                    shared.failed.fetch_add(1, Ordering::Relaxed)
                }
            };
        }
    }

    async fn ask(&self, worker: &mut Option<Worker>, seed: u64, shows: bool) -> anyhow::Result<Outcome> {
        let mut asked = match worker.take() {
            Some(worker) => worker,
            None => Worker::start(self.target, self.postgres, shows)?,
        };
        let outcome = match asked.ask(seed).await? {
            Answer::Lives(outcome) => {
                *worker = Some(asked);
                outcome
            }
            Answer::Ended(found) => Outcome { found: Some(found), is_taken: false },
        };
        let is_new = |found: &String| !self.reported.iter().any(|part| found.contains(part.as_str()));
        // Whoever looks at one seed would see what it finds.
        Ok(Outcome { found: outcome.found.filter(|found| shows || is_new(found)), ..outcome })
    }

    fn report(&self, shared: &Shared, seed: u64, found: &str) -> anyhow::Result<()> {
        let name = self.target.name;
        eprintln!("{name} {seed}: {found}\n  again: cargo run --release -p fuzz -- --target {name} --seed {seed}");
        let kind: String = found.chars().filter(|c| !c.is_ascii_digit()).take(120).collect();
        let is_new = shared.known.lock().unwrap_or_else(PoisonError::into_inner).insert(kind);
        if self.keeps && is_new { kept::keep(name, seed, found) } else { Ok(()) }
    }

    /// One seed, with what it makes.
    pub(crate) async fn replay(&self, seed: u64, shows: bool) -> anyhow::Result<Option<String>> {
        Ok(self.ask(&mut None, seed, shows).await?.found)
    }
}
