//! A job that was submitted, followed to its end, and its result written. The job goes on without whoever follows it.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use client::{Client, ClientError, Patience};
use indicatif::{ProgressBar, ProgressStyle};
use wire::{Job, JobProgress};

use super::output::{Output, Written};
use super::print::{amount, print_job};
use crate::failure::Failure;
use crate::interrupt::Interrupts;

/// For how long a server that is away is waited for.
const SERVER_AWAY_MAX: Duration = Duration::from_mins(15);
/// Between two lines where there is no terminal for a bar.
const LINE_EACH: Duration = Duration::from_secs(10);

const GOES_ON: &str = "the job goes on meanwhile";

/// Says on standard error what a job is called, before it is waited for.
pub(crate) fn announce(client: &Client, job: &Job) {
    crate::say!("job {} at {}", job.id, client.page(job.id));
}

/// Waits for the job's end, with a bar for whoever waits along.
pub(crate) async fn follow(client: &Client, job: &Job, interrupts: &mut Interrupts) -> Result<Job, Failure> {
    let bar = if std::io::stderr().is_terminal() { progress_bar(job) } else { ProgressBar::hidden() };
    let latest = RefCell::new(None);
    let patient = client.clone().with_patience(patience(&bar, GOES_ON));
    let watch = patient.watch(job.id, |progress: &JobProgress| {
        bar.set_position(progress.job.verified_tiles);
        bar.set_message(format!("{} at work, {}", progress.devices_at_work, amount(progress.job.cost)));
        latest.replace(Some(progress.clone()));
    });
    let mut watch = pin!(watch);
    let mut lines = tokio::time::interval_at(tokio::time::Instant::now() + LINE_EACH, LINE_EACH);
    loop {
        tokio::select! {
            ended = &mut watch => {
                bar.finish();
                return ended.map_err(|error| Failure::Later { id: job.id, cause: Box::new(error.into()) });
            }
            () = interrupts.first() => {
                bar.abandon();
                return Err(Failure::Interrupted { id: Some(job.id) });
            }
            _ = lines.tick(), if bar.is_hidden() => {
                if let Some(progress) = &*latest.borrow() {
                    crate::say!("{}", line(progress));
                }
            }
        }
    }
}

fn line(progress: &JobProgress) -> String {
    let JobProgress { job, devices_at_work, .. } = progress;
    let cost = amount(job.cost);
    format!("{} of {} tiles, {devices_at_work} devices at work, {cost}", job.verified_tiles, job.tiles)
}

/// A server that is away is waited for, and that is said.
pub(crate) fn patience(bar: &ProgressBar, meanwhile: &'static str) -> Patience {
    let bar = bar.clone();
    let say = move |error: &ClientError, wait: Duration| {
        let wait = wait.as_secs_f64();
        bar.suspend(|| crate::say!("tessera: {error}; trying again in {wait:.1} s ({meanwhile})"));
    };
    Patience { within: SERVER_AWAY_MAX, on_wait: Arc::new(say) }
}

/// Writes a done job's result, and prints the job.
pub(crate) async fn finish(
    client: &Client,
    job: &Job,
    output: Option<Output>,
    interrupts: &mut Interrupts,
    json: bool,
) -> Result<(), Failure> {
    if let Some(output) = output {
        let part = output.part();
        let goes_to_stdout = matches!(output, Output::Stdout);
        let patient = client.clone().with_patience(patience(&ProgressBar::hidden(), GOES_ON));
        let written = tokio::select! {
            written = output.write(&patient, job, part) => {
                written.map_err(|cause| Failure::Later { id: job.id, cause: Box::new(cause) })?
            }
            () = interrupts.first() => return Err(Failure::Interrupted { id: Some(job.id) }),
        };
        if let Some(Written { path, bytes }) = written {
            crate::say!("{bytes} bytes written to {}", path.display());
        }
        if goes_to_stdout {
            return Ok(());
        }
    }
    print_job(job, &client.page(job.id), json)
}

fn progress_bar(job: &Job) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40.green} {pos}/{len} tiles  {elapsed_precise}  {msg}");
    let bar = ProgressBar::new(job.tiles).with_style(style.unwrap_or_else(|_malformed| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
