//! What an operator does beside running a server.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use edge_api::clock::Clock;
use edge_api::doctor::examine;
use edge_api::doctor::finding::{Finding, State, lines};
use edge_api::doctor::place::Place;

/// Look after a Tessera server.
#[derive(Debug, clap::Parser)]
#[command(name = "tessera-admin", version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Look at the database, the blobs, the clocks, a server and its checkers, and say what is wrong and what to do. Ends with 1
    /// where something failed.
    Doctor {
        #[command(flatten)]
        place: Place,
        /// Answer as JSON.
        #[arg(long)]
        json: bool,
        /// This machine's time in microseconds, in place of its clock.
        #[arg(long, hide = true)]
        now: Option<wire::Micros>,
    },
}

#[derive(serde::Serialize)]
struct Report<'a> {
    state: State,
    findings: &'a [Finding],
}

fn main() -> anyhow::Result<ExitCode> {
    let Command::Doctor { place, json, now } = Options::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let findings = runtime.block_on(examine(&place, now.unwrap_or_else(|| Clock::System.now())));
    let state = findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok);
    let text = if json {
        format!("{}\n", serde_json::to_string(&Report { state, findings: &findings })?)
    } else {
        lines(&findings)
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(if state == State::Failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
