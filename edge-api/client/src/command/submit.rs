//! A job submitted, followed to its end, and its result written.

use std::path::Path;
use std::time::Duration;

use client::{Client, ClientError};
use indicatif::{ProgressBar, ProgressStyle};
use wire::{Credits, Job, JobState, Privacy, Program, Quote, QuoteRequest, SubmitJob};

use super::output::check_output;
use super::print::print_job;
use crate::failure::Failure;

/// What a program's subcommand was given.
pub(crate) trait ProgramArguments {
    /// Uploads files, and says what to run over them.
    async fn upload(&self, client: &Client) -> Result<Program, Failure>;
    /// The file that a job without a name is named after.
    fn code(&self) -> &Path;
    /// Where the result goes.
    fn output(&self) -> &Path;
    fn options(&self) -> &JobOptions;
}

/// What every job may be given.
#[derive(clap::Args)]
pub(crate) struct JobOptions {
    /// What to call the job.
    #[arg(long, default_value = "")]
    name: String,
    /// Who may see the inputs: open (any device), known (verified accounts' devices), own (yours).
    #[arg(long, default_value = "open", value_parser = parse_privacy)]
    privacy: Privacy,
    /// Refuse to pay more than this, in micro-credits.
    #[arg(long)]
    limit: Option<i64>,
    /// Submit and print the job instead of waiting.
    #[arg(long)]
    detach: bool,
}

fn parse_privacy(text: &str) -> Result<Privacy, String> {
    let known = Privacy::ALL.into_iter().find(|privacy| privacy.name() == text);
    known.ok_or_else(|| "it must be open, known or own".to_owned())
}

pub(crate) async fn run(client: &Client, arguments: &impl ProgramArguments, json: bool) -> Result<(), Failure> {
    let format = check_output(arguments.output())?;
    let program = arguments.upload(client).await?;
    let options = arguments.options();
    if format.holds_one_output() {
        let order = QuoteRequest { program: program.clone(), privacy: options.privacy };
        check_outputs(&client.quote(&order).await?, arguments.output())?;
    }
    let request = SubmitJob {
        program,
        privacy: options.privacy,
        name: if options.name.is_empty() { file_name(arguments.code()) } else { options.name.clone() },
        limit: options.limit.map(Credits::from_micros),
    };
    let job = client.submit(&request, &idempotency_key()).await?;
    if options.detach {
        print_job(&job, json);
        return Ok(());
    }
    let ended = follow(client, &job, json).await?;
    if ended.state != JobState::Done {
        return Err(Failure::NoResult { id: ended.id, state: ended.state, fault: ended.fault });
    }
    client.download_as(ended.id, format, arguments.output()).await?;
    print_job(&ended, json);
    Ok(())
}

/// Refuses a file for one output where there are several, before they are paid for.
fn check_outputs(quote: &Quote, path: &Path) -> Result<(), Failure> {
    if quote.outputs.len() <= 1 {
        return Ok(());
    }
    let names: Vec<&str> = quote.outputs.iter().map(|output| output.name.as_str()).collect();
    Err(Failure::SeveralOutputs { path: path.display().to_string(), names: names.join(", ") })
}

/// Waits for the job's end, with a bar for whoever waits along.
async fn follow(client: &Client, job: &Job, json: bool) -> Result<Job, ClientError> {
    let bar = if json { ProgressBar::hidden() } else { progress_bar(job) };
    let ended = client
        .watch(job.id, |progress| {
            bar.set_position(progress.job.verified_tiles);
            bar.set_message(format!("{} at work, {} credits", progress.devices_at_work, progress.job.cost));
        })
        .await?;
    bar.finish();
    Ok(ended)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().chars().filter(|c| !c.is_control()).take(128).collect())
        .unwrap_or_default()
}

/// Unlike any earlier one of this account: `RandomState` is keyed by the system's randomness.
fn idempotency_key() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}{:016x}", RandomState::new().hash_one(0), RandomState::new().hash_one(1))
}

fn progress_bar(job: &Job) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40.green} {pos}/{len} tiles  {elapsed_precise}  {msg}");
    let bar = ProgressBar::new(job.tiles).with_style(style.unwrap_or_else(|_malformed| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
