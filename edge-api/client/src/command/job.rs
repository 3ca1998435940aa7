//! `tessera job`.

use std::path::PathBuf;

use client::{Client, ResultPart};
use wire::{JobId, JobState};

use super::follow::{finish, follow};
use super::output::{Output, Written};
use super::print::{amount, print_job, print_json, print_lines};
use crate::failure::Failure;
use crate::interrupt::Interrupts;

#[derive(clap::Args)]
pub(crate) struct JobArgument {
    /// The job.
    pub id: JobId,
}

#[derive(clap::Subcommand)]
pub(crate) enum JobCommand {
    /// Show a job.
    Show(JobArgument),
    /// List jobs, newest first.
    List {
        /// Jobs older than this one.
        #[arg(long)]
        before: Option<JobId>,
    },
    /// Follow a job to its end, and write its result.
    Watch {
        /// The job.
        id: JobId,
        /// Where the result goes; left out, beside you, under the job's name.
        #[arg(long, allow_hyphen_values = true)]
        output: Option<PathBuf>,
        /// Write no result.
        #[arg(long, conflicts_with = "output")]
        no_result: bool,
    },
    /// Cancel a job; what is verified is paid, the rest of the hold is free again.
    Cancel(JobArgument),
    /// Give a job a public page, where anybody can compute its tiles again.
    Publish(JobArgument),
    /// Take its public page away.
    Unpublish(JobArgument),
    /// Write a done job's result to a file.
    Result {
        /// The job.
        id: JobId,
        /// In the format of its ending: `.npy`, `.csv` or `.json` for one output, `.npz` or `.bin` for all. `-` is
        /// standard output; left out, it goes beside you, under the job's name.
        #[arg(long, allow_hyphen_values = true)]
        output: Option<PathBuf>,
        /// What is verified so far, whatever became of the job, as `.npz`: its outputs with zeros for the rows that are
        /// missing, and `rows_present`, which says which are there.
        #[arg(long)]
        partial: bool,
    },
}

pub(crate) async fn run(client: &Client, command: &JobCommand, json: bool) -> Result<(), Failure> {
    match command {
        JobCommand::Show(job) => print_job(&client.job(job.id).await?, &client.page(job.id), json),
        JobCommand::Cancel(job) => print_job(&client.cancel(job.id).await?, &client.page(job.id), json),
        JobCommand::Publish(job) => publish(client, job.id, json).await,
        JobCommand::Unpublish(job) => print_job(&client.unpublish(job.id).await?, &client.page(job.id), json),
        JobCommand::List { before } => list(client, *before, json).await,
        JobCommand::Watch { id, output, no_result } => {
            let output = if *no_result { None } else { Some(Output::open(output.as_deref())?) };
            watch(client, *id, output, json).await
        }
        JobCommand::Result { id, output, partial } => {
            let output = Output::open(output.as_deref())?;
            let part = if *partial { ResultPart::Verified } else { output.part() };
            if *partial && !output.takes_npz() {
                return Err(Failure::PartialEnding);
            }
            let job = client.job(*id).await?;
            match output.write(client, &job, part).await? {
                Some(Written { path, bytes }) if json => {
                    print_json(&serde_json::json!({ "path": path.display().to_string(), "bytes": bytes }))
                }
                Some(Written { path, bytes }) => print_lines(&[format!("{bytes} bytes written to {}", path.display())]),
                None => Ok(()),
            }
        }
    }
}

pub(crate) async fn publish(client: &Client, id: JobId, json: bool) -> Result<(), Failure> {
    print_job(&client.publish(id).await?, &client.page(id), json)
}

async fn list(client: &Client, before: Option<JobId>, json: bool) -> Result<(), Failure> {
    let page = client.jobs(before).await?;
    if json {
        return print_json(&page);
    }
    let mut lines: Vec<String> = Vec::new();
    for job in &page.jobs {
        let (state, tiles) = (job.state.name(), format!("{:>8}/{:<8} tiles", job.verified_tiles, job.tiles));
        lines.push(format!("{}  {state:15}  {tiles}  {}  {}", job.id, amount(job.cost), job.name));
    }
    lines.extend(page.next.map(|next| format!("more: tessera job list --before {next}")));
    print_lines(&lines)
}

/// Follows a job that was submitted before, be it by another.
async fn watch(client: &Client, id: JobId, output: Option<Output>, json: bool) -> Result<(), Failure> {
    let mut interrupts = Interrupts::listen().map_err(Failure::Signals)?;
    let job = client.job(id).await?;
    let ended = if job.state.has_ended() { job } else { follow(client, &job, &mut interrupts).await? };
    if ended.state != JobState::Done {
        return Err(Failure::NoResult { id: ended.id, state: ended.state, fault: ended.fault });
    }
    finish(client, &ended, output, &mut interrupts, json).await
}
