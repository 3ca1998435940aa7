//! The child's side: one seed after another, within limits that it sets on itself before the first.

use std::io::{BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::Context;
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use serde::{Deserialize, Serialize};

use crate::draw::Draw;
use crate::panics;
use crate::target::Target;

/// What became of a seed.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Outcome {
    /// What is wrong, if anything is.
    pub(crate) found: Option<String>,
    /// Something of the input was taken, and not all refused: a target that never gets so far finds little.
    pub(crate) is_taken: bool,
}

/// Answers each line, a seed, with a line: its outcome as JSON.
pub(crate) fn run(target: &Target, shows: bool) -> anyhow::Result<()> {
    let most = |value| Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(Resource::As, most(target.limits.memory_mib << 20)).context("memory should be limited")?;
    setrlimit(Resource::Core, most(0)).context("dumps should be limited")?;
    panics::watch();
    if shows {
        // What a server says of a fault of its own, which it tells nobody else.
        tracing_subscriber::fmt().with_env_filter("error").with_ansi(false).with_writer(std::io::stderr).init();
    }
    for line in std::io::stdin().lock().lines() {
        let seed: u64 = line?.parse().context("a line should be a seed")?;
        limit_processor(target.limits.seconds)?;
        let outcome = on_a_stack_of(target.limits.stack_mib << 20, || run_seed(target, seed, shows))?;
        let mut output = std::io::stdout().lock();
        writeln!(output, "{}", serde_json::to_string(&outcome)?)?;
        output.flush()?;
    }
    Ok(())
}

fn run_seed(target: &Target, seed: u64, shows: bool) -> Outcome {
    drop(panics::take());
    let mut draw = Draw::new(seed, shows);
    let ended = catch_unwind(AssertUnwindSafe(|| (target.run)(&mut draw)));
    let mut found = panics::take();
    if let Ok(Err(error)) = ended {
        found.push(format!("{error:#}"));
    }
    Outcome { found: (!found.is_empty()).then(|| found.join("; ")), is_taken: draw.is_taken }
}

/// Where a server's task or a child's first thread has so much, an input must do with it too.
fn on_a_stack_of<T: Send>(bytes: usize, work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(bytes).spawn_scoped(scope, work)?;
        thread.join().map_err(|panic| anyhow::anyhow!("the worker itself panicked: {}", panics::said(panic.as_ref())))
    })
}

/// Counted from here, over all threads. Whoever goes beyond is ended by the system.
fn limit_processor(seconds: u32) -> anyhow::Result<()> {
    let used = u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec)?;
    let until = used + 1 + u64::from(seconds);
    setrlimit(Resource::Cpu, Rlimit { current: Some(until), maximum: None }).context("time should be limited")
}
