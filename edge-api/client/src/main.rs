//! The `tessera` command.
//!
//! Exit codes: 0 done, 1 the server or network failed, 2 wrong usage, 3 the request was refused,
//! 4 the job ended without a result.

#![expect(clippy::print_stdout, reason = "a command's answer goes to standard output")]

mod command;
mod failure;

use std::process::ExitCode;

use clap::Parser;
use client::Client;

use self::command::{ProgramCommand, account, job};
use self::failure::Failure;

/// Runs jobs on the Tessera network.
#[derive(clap::Parser)]
#[command(name = "tessera", version)]
struct Arguments {
    /// The server's address.
    #[arg(long, env = "TESSERA_URL", default_value = "http://127.0.0.1:8080", global = true)]
    url: String,
    /// The account's key.
    #[arg(long, env = "TESSERA_KEY", hide_env_values = true, default_value = "", global = true)]
    key: String,
    /// Answer in JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    #[command(flatten)]
    Program(ProgramCommand),
    /// Look at jobs and change them.
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Show the account, or open one on a development server.
    Account(account::AccountCommand),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(arguments.json);
            failure.exit_code()
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { url, key, json, command } = arguments;
    if let Command::Account(account) = command
        && account.open
    {
        return account::open(url, *json).await;
    }
    if key.is_empty() {
        return Err(Failure::NoKey);
    }
    let client = Client::new(url, key)?;
    match command {
        Command::Program(program) => program.run(&client, *json).await,
        Command::Job(command) => job::run(&client, command, *json).await,
        Command::Account(_) => account::show(&client, *json).await,
    }
}
