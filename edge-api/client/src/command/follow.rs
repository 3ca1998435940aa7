//! A job that was submitted, followed to its end, and its result written. The job goes on without whoever follows it.

use std::cell::RefCell;
use std::pin::pin;

use wire::{Job, JobProgress, JobState};

use super::obstacle::obstacle_text;
use super::output::Output;
use super::print::{JobAnswer, amount};
use crate::context::Context;
use crate::failure::{Failure, Next};
use crate::notes::LINE_EACH;

/// Waits for the job's end, with a bar for whoever waits along. One that ended without a result is a failure.
pub(crate) async fn follow(context: &Context, job: &Job) -> Result<Job, Failure> {
    let ended = if job.state.has_ended() { job.clone() } else { wait(context, job).await? };
    let Job { id, state, fault, verified_tiles, .. } = ended.clone();
    match state {
        JobState::Done => Ok(ended),
        _ if verified_tiles > 0 => {
            Err(Failure::OfJob { id, cause: Box::new(Failure::NoResult { id, state, fault }), next: Next::Part })
        }
        _ => Err(Failure::NoResult { id, state, fault }),
    }
}

async fn wait(context: &Context, job: &Job) -> Result<Job, Failure> {
    let Context { notes, .. } = context;
    let bar = notes.tiles_bar(job.tiles);
    let latest = RefCell::new(None);
    let client = context.patient("the job goes on meanwhile");
    let watch = client.watch(job.id, |progress: &JobProgress| {
        bar.set_position(progress.job.verified_tiles);
        let waits = progress.obstacle.map_or_else(String::new, |obstacle| format!(", {}", obstacle_text(&obstacle)));
        bar.set_message(format!("{} at work, {}{waits}", progress.devices_at_work, amount(progress.job.cost)));
        latest.replace(Some(progress.clone()));
    });
    let (mut watch, mut interrupts) = (pin!(watch), context.interrupts.clone());
    let mut lines = tokio::time::interval_at(tokio::time::Instant::now() + LINE_EACH, LINE_EACH);
    loop {
        tokio::select! {
            ended = &mut watch => {
                bar.finish();
                return ended.map_err(|error| Failure::from(error).of_job(job.id, Next::Watch));
            }
            () = interrupts.first() => {
                bar.abandon();
                return Err(Failure::JobLeft { id: job.id });
            }
            _ = lines.tick(), if bar.is_hidden() => {
                if let Some(progress) = &*latest.borrow() {
                    notes.progress(progress);
                }
            }
        }
    }
}

/// Writes a done job's result, and prints the job.
pub(crate) async fn finish(context: &Context, job: &Job, output: Option<Output>) -> Result<(), Failure> {
    let mut answer = JobAnswer::new(&context.client, job);
    if let Some(output) = output {
        let (part, is_printed) = (output.part(), output.is_stdout());
        let client = context.patient("the job is done, and its result is kept");
        let (bar, on_bytes) = context.notes.downloading();
        let write = output.write(&client, job, part, on_bytes);
        let written = context.unless_interrupted(Failure::ResultLeft { id: job.id }, write).await;
        bar.finish_and_clear();
        let written = written.map_err(|failure| failure.of_job(job.id, Next::Result))?;
        written.note(context, job);
        (answer.path, answer.bytes) = (written.shown_path(), Some(written.bytes));
        if is_printed {
            if context.json {
                let job = serde_json::to_value(&answer).unwrap_or_default();
                context.notes.say("ended", "the job is done", job);
            }
            return Ok(());
        }
    }
    answer.print(context.json).map_err(|failure| failure.of_job(job.id, Next::Nothing))
}
