#![doc = include_str!("../README.md")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks to whoever started it")]

mod draw;
mod driver;
mod edge;
mod kept;
mod model;
mod mutate;
mod panics;
#[expect(unreachable_pub, reason = "the journeys share it")]
#[path = "../../src/postgres.rs"]
mod postgres;
mod process;
#[path = "../../../gpu-kernels/gate/tests/kernels/random.rs"]
mod random_kernel;
mod request;
mod schema;
mod target;
mod targets;
mod worker;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;

use driver::{Run, Tally, Until};
use target::Target;
use targets::TARGETS;

/// Makes up inputs of strangers and holds everything that reads them to what it promises.
#[derive(clap::Parser)]
struct Arguments {
    /// Seconds over all targets, after the kept seeds.
    #[arg(long, default_value_t = 60)]
    secs: u64,
    /// Inputs of each target, always the same ones, instead of seconds.
    #[arg(long, conflicts_with = "secs")]
    count: Option<u64>,
    /// One target alone.
    #[arg(long)]
    target: Option<String>,
    /// One input alone, which is printed.
    #[arg(long, requires = "target")]
    seed: Option<u64>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Reads seeds from standard input.
    #[command(hide = true)]
    Worker {
        target: String,
        #[arg(long)]
        show: bool,
    },
    /// What the server starts to read strangers' models and kernels.
    #[command(hide = true)]
    Compile { memory: u64, seconds: u32 },
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Worker { target, show }) => worker::run(find(&target)?, show).map(|()| ExitCode::SUCCESS),
        Some(Command::Compile { memory, seconds }) => {
            edge_api::compile::child::run(memory, seconds).map(|()| ExitCode::SUCCESS)
        }
        None => drive(&arguments),
    }
}

fn find(name: &str) -> anyhow::Result<&'static Target> {
    targets::find(name).with_context(|| {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        format!("there is no target '{name}'; there are {}", names.join(", "))
    })
}

#[tokio::main(flavor = "current_thread")]
async fn drive(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let chosen = match &arguments.target {
        Some(name) => std::slice::from_ref(find(name)?),
        None => TARGETS,
    };
    let postgres = server(chosen);
    let chosen: Vec<&Target> = chosen.iter().filter(|target| !target.needs_postgres || postgres.is_some()).collect();
    let reported = kept::reported()?;
    let run = |target| Run {
        target,
        postgres: postgres.as_deref(),
        keeps: arguments.seed.or(arguments.count).is_none(),
        reported: &reported,
    };
    let mut total = Tally::default();
    if let Some(seed) = arguments.seed {
        let found =
            run(chosen.first().context("the target should be one of this machine's")?).replay(seed, true).await?;
        println!("{}", found.as_deref().unwrap_or("nothing is wrong with it"));
        total.add(Tally { passed: u64::from(found.is_none()), failed: u64::from(found.is_some()), taken: 0 });
    } else {
        total.add(replay_kept(&chosen, run).await?);
        let share = Duration::from_secs(arguments.secs) / u32::try_from(chosen.len())?.max(1);
        for target in &chosen {
            let (first, until) = match arguments.count {
                Some(count) => (0, Until::Count(count)),
                None => (u64::from_le_bytes(edge_api::random::bytes()), Until::Elapsed(share)),
            };
            let tally = run(target).seeds(first, until).await?;
            let Tally { passed, failed, taken } = tally;
            println!("{}: {passed} passed, {failed} failed, {taken} taken, from seed {first}", target.name);
            total.add(tally);
        }
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A `PostgreSQL` server, if a target asks one and this machine has it.
fn server(chosen: &[Target]) -> Option<String> {
    let is_there =
        std::env::var_os("TEST_DATABASE_URL").is_some() || std::path::Path::new("/usr/lib/postgresql").is_dir();
    if !chosen.iter().any(|target| target.needs_postgres) {
        return None;
    }
    if !is_there {
        eprintln!("SKIP what asks PostgreSQL: there is none; make setup installs it");
        return None;
    }
    Some(postgres::server_url())
}

async fn replay_kept<'a>(chosen: &[&'a Target], run: impl Fn(&'a Target) -> Run<'a>) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    for kept in kept::read()? {
        let Some(target) = chosen.iter().find(|target| target.name == kept.target) else { continue };
        match run(target).replay(kept.seed, false).await? {
            None => tally.passed += 1,
            Some(found) => {
                eprintln!("{} {}, once '{}': {found}", kept.target, kept.seed, kept.found);
                tally.failed += 1;
            }
        }
    }
    Ok(tally)
}
