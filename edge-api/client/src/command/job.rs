//! Jobs looked at and changed.

use std::path::PathBuf;

use client::Client;
use wire::JobId;

use super::output::check_output;
use super::print::{print_job, print_json};
use crate::failure::Failure;

#[derive(clap::Subcommand)]
pub(crate) enum JobCommand {
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
        /// In the format of its ending: `.npy`, `.csv` or `.json` for one output, `.npz` or `.bin` for all.
        #[arg(long)]
        output: PathBuf,
        /// What is verified so far, whatever became of the job, as `.npz`: its outputs with zeros for the rows that are
        /// missing, and `rows_present`, which says which are there.
        #[arg(long)]
        partial: bool,
    },
}

pub(crate) async fn run(client: &Client, command: &JobCommand, json: bool) -> Result<(), Failure> {
    match command {
        JobCommand::Show { id } => print_job(&client.job(*id).await?, json),
        JobCommand::Cancel { id } => print_job(&client.cancel(*id).await?, json),
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
        JobCommand::Result { id, output, partial } => {
            let size = if *partial {
                client.download_partial(*id, output).await?
            } else {
                client.download_as(*id, check_output(output)?, output).await?
            };
            if !json {
                println!("{} bytes written to {}", size, output.display());
            }
        }
    }
    Ok(())
}
