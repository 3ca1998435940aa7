//! `make sim`: the real rules in virtual time, and whether cheating pays.

#![expect(clippy::print_stdout, reason = "the report goes to standard output")]

mod books;
mod case;
mod cases;
mod cheat;
mod check;
mod close;
mod fault;
mod invariants;
mod judges;
mod link;
mod networks;
mod pay;
mod report;
mod run;
mod settings;
mod settle;
mod tally;
#[cfg(test)]
mod tests;
mod work;
mod world;

use std::process::ExitCode;

use clap::Parser;

use self::networks::{collusion_threshold, networks, simulate};
use self::report::Promise;

#[derive(Parser)]
struct Arguments {
    /// Everything random derives from it.
    #[arg(long, default_value = "1")]
    seed: u64,
    /// Runs these networks alone, by the beginning of their name.
    #[arg(long)]
    only: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut wanted = networks(arguments.seed);
    wanted.retain(|settings| arguments.only.as_ref().is_none_or(|only| settings.name.starts_with(only.as_str())));
    let reports = simulate(&wanted);
    for report in &reports {
        print!("{}", report.text);
    }
    let threshold = collusion_threshold(&reports);
    let promises: Vec<Promise> = reports.into_iter().flat_map(|report| report.promises).chain(threshold).collect();
    println!();
    for promise in &promises {
        println!("{} {}", if promise.is_kept { "passed" } else { "FAILED" }, promise.text);
    }
    let failed = promises.iter().filter(|promise| !promise.is_kept).count();
    if failed > 0 {
        println!("played again by --seed {}", arguments.seed);
    }
    println!("{} passed, {failed} failed", promises.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
