//! `tessera job`.

use std::path::{Path, PathBuf};

use client::ResultPart;
use wire::{Job, JobId, JobState};

use super::follow::{finish, follow};
use super::output::Output;
use super::print::{amount, print_job, print_json, print_lines};
use crate::context::Context;
use crate::failure::{Failure, Next};

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

impl JobCommand {
    /// The job that is meant.
    pub(crate) fn job(&self) -> Option<JobId> {
        match self {
            Self::Show(job) | Self::Cancel(job) | Self::Publish(job) | Self::Unpublish(job) => Some(job.id),
            Self::Watch { id, .. } | Self::Result { id, .. } => Some(*id),
            Self::List { .. } => None,
        }
    }
}

pub(crate) async fn run(context: &Context, command: &JobCommand) -> Result<(), Failure> {
    match command {
        JobCommand::Watch { id, output, no_result } => {
            let left = Failure::NotWatched { id: *id };
            let output = if *no_result { None } else { Some(context.open_output(output.as_deref(), left).await?) };
            watch(context, *id, output).await
        }
        JobCommand::Result { id, output, partial } => result(context, *id, output.as_deref(), *partial).await,
        command => context.unless_interrupted(Failure::Interrupted, at_once(context, command)).await,
    }
}

/// What ends by itself soon.
async fn at_once(context: &Context, command: &JobCommand) -> Result<(), Failure> {
    let Context { client, json, .. } = context;
    match command {
        JobCommand::Show(job) => print_job(client, &client.job(job.id).await?, *json),
        JobCommand::Cancel(job) => print_job(client, &client.cancel(job.id).await?, *json),
        JobCommand::Publish(job) => publish(context, job.id).await,
        JobCommand::Unpublish(job) => print_job(client, &client.unpublish(job.id).await?, *json),
        JobCommand::List { before } => list(context, *before).await,
        JobCommand::Watch { .. } | JobCommand::Result { .. } => Ok(()),
    }
}

pub(crate) async fn publish(context: &Context, id: JobId) -> Result<(), Failure> {
    print_job(&context.client, &context.client.publish(id).await?, context.json)
}

async fn list(context: &Context, before: Option<JobId>) -> Result<(), Failure> {
    let page = context.client.jobs(before).await?;
    if context.json {
        return print_json(&page);
    }
    let mut lines: Vec<String> = Vec::new();
    for job in &page.jobs {
        let (state, tiles) = (job.state.name(), format!("{:>8}/{:<8} tiles", job.verified_tiles, job.tiles));
        lines.push(format!("{}  {state:15}  {tiles}  {}  {}", job.id, amount(job.cost), job.name));
    }
    lines.extend(page.next.map(|next| format!("more: tessera job list --before {next}")));
    if lines.is_empty() {
        context.notes.remark(if before.is_none() { "No jobs yet." } else { "No older jobs." });
    }
    print_lines(&lines)
}

/// Follows a job that was submitted before, be it by another. `output` is where its result goes, if it goes anywhere.
async fn watch(context: &Context, id: JobId, output: Option<Output>) -> Result<(), Failure> {
    let client = context.patient("the job goes on meanwhile, if it has not ended");
    let job = context.unless_interrupted(Failure::NotWatched { id }, async { Ok(client.job(id).await?) }).await?;
    let ended = follow(context, &job).await?;
    finish(context, &ended, output).await
}

async fn result(context: &Context, id: JobId, path: Option<&Path>, partial: bool) -> Result<(), Failure> {
    let left = || Failure::NotFetched { id, option: if partial { " --partial" } else { "" } };
    let output = context.open_output(path, left()).await?;
    if partial && !output.takes_npz() {
        return Err(Failure::PartialEnding);
    }
    let part = if partial { ResultPart::Verified } else { output.part() };
    let client = context.patient("the server keeps what there is of the job");
    let job = context.unless_interrupted(left(), async { Ok(client.job(id).await?) }).await?;
    let (bar, on_bytes) = context.notes.downloading();
    let is_printed = output.is_stdout();
    let written = context.unless_interrupted(left(), output.write(&client, &job, part, on_bytes)).await;
    bar.finish_and_clear();
    let written = written.map_err(|failure| failure.of_job(id, next(&job, partial)))?;
    if is_printed {
        written.note(context, &job);
        return Ok(());
    }
    written.print(context, &job)
}

/// What there is of a job of which something else was wanted.
fn next(job: &Job, partial: bool) -> Next {
    match job.state {
        _ if partial => Next::Part,
        JobState::Done => Next::Result,
        JobState::Running => Next::WatchOrPart,
        JobState::Cancelled | JobState::Failed | JobState::Nondeterministic => Next::Part,
    }
}
