//! The `tessera` command.
//!
//! Exit codes: 0 done, 1 the server or network failed, 2 wrong usage, 3 the request was refused,
//! 4 the job ended without a result.

#![expect(clippy::print_stdout, reason = "a command's answer goes to standard output")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use client::{Client, ClientError};
use indicatif::{ProgressBar, ProgressStyle};
use wire::{Credits, Job, JobId, JobState, NewAccount, Privacy, Program, SubmitJob};

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
    /// Run a model over the rows of an array and wait for the result.
    Infer(Infer),
    /// Look at jobs and change them.
    #[command(subcommand)]
    Job(JobCommand),
    /// Show the account, or open one on a development server.
    Account {
        /// Open a new account with faucet credits.
        #[arg(long)]
        open: bool,
    },
}

#[derive(clap::Args)]
struct Infer {
    /// The model, as ONNX.
    #[arg(long)]
    model: PathBuf,
    /// The rows, as a float32 `.npy`.
    #[arg(long)]
    input: PathBuf,
    /// Where the result goes, as `.npy`.
    #[arg(long)]
    output: PathBuf,
    /// What to call the job.
    #[arg(long, default_value = "")]
    name: String,
    /// Who may see the inputs: open (any device), known (verified accounts' devices), own (yours).
    #[arg(long, default_value = "open", value_parser = parse_privacy)]
    privacy: Privacy,
    /// Rows a tile; left out, the server chooses.
    #[arg(long)]
    tile_rows: Option<u32>,
    /// Refuse to pay more than this, in micro-credits.
    #[arg(long)]
    limit: Option<i64>,
    /// Submit and print the job instead of waiting.
    #[arg(long)]
    detach: bool,
}

#[derive(clap::Subcommand)]
enum JobCommand {
    /// Show a job.
    Show { id: JobId },
    /// List jobs, newest first.
    List {
        /// Jobs older than this one.
        #[arg(long)]
        before: Option<JobId>,
    },
    /// Cancel a job; what is verified is paid, the rest of the hold is free again.
    Cancel { id: JobId },
    /// Write a done job's result to a file.
    Result {
        id: JobId,
        #[arg(long)]
        output: PathBuf,
    },
}

fn parse_privacy(text: &str) -> Result<Privacy, String> {
    let known = Privacy::ALL.into_iter().find(|privacy| privacy.name() == text);
    known.ok_or_else(|| "it must be open, known or own".to_owned())
}

/// Why the command ends without what was asked for.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("job {id} ended as {}; nothing was written", state.name())]
    NoResult { id: JobId, state: JobState },
    #[error("the account's key is missing: set TESSERA_KEY or say --key")]
    NoKey,
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
        Command::Infer(infer) => run_infer(&client, infer, arguments.json).await,
        Command::Job(command) => run_job(&client, command, arguments.json).await,
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

async fn run_infer(client: &Client, infer: &Infer, json: bool) -> Result<(), Failure> {
    let model = client.upload(&infer.model).await?;
    let input = client.upload(&infer.input).await?;
    let request = SubmitJob {
        program: Program::Infer { model: model.hash, input: input.hash, tile_rows: infer.tile_rows },
        privacy: infer.privacy,
        name: if infer.name.is_empty() { file_name(&infer.model) } else { infer.name.clone() },
        limit: infer.limit.map(Credits::from_micros),
    };
    let job = client.submit(&request, &fresh_key()).await?;
    if infer.detach {
        show(&job, json);
        return Ok(());
    }
    let bar = if json { ProgressBar::hidden() } else { progress_bar(&job) };
    let ended = client
        .watch(job.id, |progress| {
            bar.set_position(progress.job.verified_tiles);
            bar.set_message(format!("{} at work, {} credits", progress.devices_at_work, progress.job.cost));
        })
        .await?;
    bar.finish();
    if ended.state != JobState::Done {
        return Err(Failure::NoResult { id: ended.id, state: ended.state });
    }
    client.download(ended.id, &infer.output).await?;
    show(&ended, json);
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().chars().filter(|c| !c.is_control()).take(128).collect())
        .unwrap_or_default()
}

/// Random by the address of the stack, the process and the time: unlike any earlier one of this account.
fn fresh_key() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}{:016x}", RandomState::new().hash_one(0), RandomState::new().hash_one(1))
}

fn progress_bar(job: &Job) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40.green} {pos}/{len} tiles  {elapsed_precise}  {msg}");
    let bar = ProgressBar::new(job.tiles).with_style(style.unwrap_or_else(|_malformed| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

async fn run_job(client: &Client, command: &JobCommand, json: bool) -> Result<(), Failure> {
    match command {
        JobCommand::Show { id } => show(&client.job(*id).await?, json),
        JobCommand::Cancel { id } => show(&client.cancel(*id).await?, json),
        JobCommand::List { before } => {
            let page = client.jobs(*before).await?;
            if json {
                print_json(&page);
            } else {
                for job in &page.jobs {
                    println!(
                        "{}  {:15}  {:>8}/{:<8} tiles  {} credits  {}",
                        job.id,
                        job.state.name(),
                        job.verified_tiles,
                        job.tiles,
                        job.cost,
                        job.name
                    );
                }
                if let Some(next) = page.next {
                    println!("more: tessera job list --before {next}");
                }
            }
        }
        JobCommand::Result { id, output } => {
            let size = client.download(*id, output).await?;
            if !json {
                println!("{} bytes written to {}", size, output.display());
            }
        }
    }
    Ok(())
}

fn show(job: &Job, json: bool) {
    if json {
        return print_json(job);
    }
    println!("job       {}  {}", job.id, job.name);
    println!("state     {}", job.state.name());
    println!("tiles     {} of {} verified, {} recomputed", job.verified_tiles, job.tiles, job.recomputed_tiles);
    println!("devices   {}", job.devices);
    println!("cost      {} of {} credits held", job.cost, job.hold);
    println!("privacy   {}{}", job.privacy.name(), if job.published { ", published" } else { "" });
}

fn print_json(value: &impl serde::Serialize) {
    println!("{}", serde_json::to_string(value).expect("an answer should serialise"));
}
