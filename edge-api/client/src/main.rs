//! The `tessera` command.
//!
//! Exit codes: 0 done, 1 the server or network failed, 2 wrong usage, 3 the request was refused,
//! 4 the job ended without a result.

#![expect(clippy::print_stdout, reason = "a command's answer goes to standard output")]

mod command;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use client::{Client, ClientError};
use wire::{JobFault, JobId, JobState, NewAccount};

use self::command::{job, print_json, run};

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
    /// Run a model over the rows of arrays and wait for the result.
    Infer(run::Infer),
    /// Run a WGSL kernel of your own over the records of a file and wait for the result.
    Map(run::Map),
    /// Look at jobs and change them.
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Show the account, or open one on a development server.
    Account {
        /// Open a new account with faucet credits.
        #[arg(long)]
        open: bool,
    },
}

/// Why the command ends without what was asked for.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("job {id} ended as {}{}; nothing was written", state.name(), told(*fault))]
    NoResult { id: JobId, state: JobState, fault: Option<JobFault> },
    #[error("the account's key is missing: set TESSERA_KEY or say --key")]
    NoKey,
}

/// What went wrong in the program, where something did.
fn told(fault: Option<JobFault>) -> String {
    match fault {
        None => String::new(),
        Some(JobFault::OutOfFuel { line, turns: false, tile }) => {
            format!(
                ": out_of_fuel in tile {tile}, at the loop in line {line} (raise --fuel, or give a record less to do)"
            )
        }
        Some(JobFault::OutOfFuel { line, turns: true, tile }) => {
            format!(": out_of_fuel in tile {tile}, the loop in line {line} turned more than 65,000 times (nest it)")
        }
    }
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Client(ClientError::Refused { status, .. }) if *status < 500 => 3.into(),
            Self::Client(ClientError::Refused { .. } | ClientError::Network(_) | ClientError::Unexpected { .. }) => {
                1.into()
            }
            Self::Client(ClientError::File { .. }) | Self::NoKey => 2.into(),
            Self::NoResult { .. } => 4.into(),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let mut reason = failure.to_string();
            let mut source = failure.source();
            while let Some(cause) = source {
                reason = format!("{reason}: {cause}");
                source = cause.source();
            }
            if arguments.json
                && let Failure::Client(ClientError::Refused { body, .. }) = &failure
                && let Ok(body) = serde_json::to_string(body)
            {
                eprintln!("{body}");
            } else {
                eprintln!("tessera: {reason}");
            }
            failure.exit_code()
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Command::Account { open: true } = &arguments.command {
        let opened = Client::open_account(&arguments.url, &NewAccount::default()).await?;
        if arguments.json {
            print_json(&opened);
        } else {
            println!(
                "account   {}\navailable {} credits\nkey       {}",
                opened.account.id, opened.account.available, opened.key
            );
        }
        return Ok(());
    }
    if arguments.key.is_empty() {
        return Err(Failure::NoKey);
    }
    let client = Client::new(&arguments.url, &arguments.key)?;
    match &arguments.command {
        Command::Infer(infer) => run::infer(&client, infer, arguments.json).await,
        Command::Map(map) => run::map(&client, map, arguments.json).await,
        Command::Job(command) => job::run(&client, command, arguments.json).await,
        Command::Account { .. } => {
            let account = client.account().await?;
            if arguments.json {
                print_json(&account);
            } else {
                println!("account   {}  {}", account.id, account.name);
                println!(
                    "available {} credits\nheld      {}\npending   {}",
                    account.available, account.held, account.pending
                );
                if account.development {
                    println!("This is a development server: its credits are worth nothing.");
                }
            }
            Ok(())
        }
    }
}
