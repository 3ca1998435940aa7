//! A job submitted, followed to its end, and its result written.

use std::path::Path;
use std::pin::pin;

use client::{Client, ClientError};
use indicatif::ProgressBar;
use wire::{Credits, Job, JobState, Privacy, Program, Quote, QuoteRequest, SubmitJob};

use super::follow::{announce, finish, follow, patience};
use super::output::Output;
use super::print::print_job;
use crate::failure::Failure;
use crate::interrupt::Interrupts;

/// What a program's subcommand was given.
pub(crate) trait ProgramArguments {
    /// Uploads files, and says what to run over them.
    async fn upload(&self, client: &Client) -> Result<Program, Failure>;
    /// The file that a job without a name is named after.
    fn code(&self) -> &Path;
    /// Where the result goes; `None` where nobody said.
    fn output(&self) -> Option<&Path>;
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
    pub privacy: Privacy,
    /// Refuse to pay more than this.
    #[arg(long, value_name = "CREDITS", value_parser = parse_credits)]
    limit: Option<Credits>,
    /// Submit and print the job instead of waiting.
    #[arg(long)]
    detach: bool,
}

fn parse_privacy(text: &str) -> Result<Privacy, String> {
    let known = Privacy::ALL.into_iter().find(|privacy| privacy.name() == text);
    known.ok_or_else(|| "it must be open, known or own".to_owned())
}

pub(crate) async fn run(client: &Client, arguments: &impl ProgramArguments, json: bool) -> Result<(), Failure> {
    let mut interrupts = Interrupts::listen().map_err(Failure::Signals)?;
    let options = arguments.options();
    let output = if options.detach { None } else { Some(Output::open(arguments.output())?) };
    let request = tokio::select! {
        request = order(client, arguments, output.as_ref()) => request?,
        () = interrupts.first() => return Err(Failure::Interrupted { id: None }),
    };
    let job = submit(client, &request, &mut interrupts).await?;
    announce(client, &job);
    if interrupts.is_any() {
        return Err(Failure::Interrupted { id: Some(job.id) });
    }
    if options.detach {
        return print_job(&job, &client.page(job.id), json);
    }
    if json {
        print_job(&job, &client.page(job.id), json)?;
    }
    let ended = follow(client, &job, &mut interrupts).await?;
    if ended.state != JobState::Done {
        return Err(Failure::NoResult { id: ended.id, state: ended.state, fault: ended.fault });
    }
    finish(client, &ended, output, &mut interrupts, json).await
}

/// What is to be submitted, with its files uploaded.
async fn order(
    client: &Client,
    arguments: &impl ProgramArguments,
    output: Option<&Output>,
) -> Result<SubmitJob, Failure> {
    let program = arguments.upload(client).await?;
    let options = arguments.options();
    if output.is_some_and(Output::holds_one_output) {
        let order = QuoteRequest { program: program.clone(), privacy: options.privacy };
        check_outputs(&client.quote(&order).await?, arguments.output())?;
    }
    Ok(SubmitJob {
        program,
        privacy: options.privacy,
        name: if options.name.is_empty() { file_name(arguments.code()) } else { options.name.clone() },
        limit: options.limit,
    })
}

/// The answer is waited for though the user wants to stop, since there may be a job then; a second time is heeded at once.
async fn submit(client: &Client, request: &SubmitJob, interrupts: &mut Interrupts) -> Result<Job, Failure> {
    let patient =
        client.clone().with_patience(patience(&ProgressBar::hidden(), "it is not known yet whether there is a job"));
    let key = idempotency_key();
    let mut submitted = pin!(patient.submit(request, &key));
    let mut again = interrupts.clone();
    tokio::select! {
        job = &mut submitted => return job.map_err(may_be_submitted),
        () = interrupts.first() => crate::say!("tessera: waiting for the server to say whether there is a job now"),
    }
    tokio::select! {
        job = submitted => job.map_err(may_be_submitted),
        () = again.second() => Err(Failure::Unanswered { cause: None }),
    }
}

/// An order that was not answered may have been taken.
fn may_be_submitted(error: ClientError) -> Failure {
    if error.is_passing() { Failure::Unanswered { cause: Some(error) } } else { error.into() }
}

/// Refuses a file for one output where there are several, before they are paid for.
fn check_outputs(quote: &Quote, path: Option<&Path>) -> Result<(), Failure> {
    if quote.outputs.len() <= 1 {
        return Ok(());
    }
    let names: Vec<&str> = quote.outputs.iter().map(|output| output.name.as_str()).collect();
    let path = path.map(|path| path.display().to_string()).unwrap_or_default();
    Err(Failure::SeveralOutputs { path, names: names.join(", ") })
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

/// Credits with at most six decimals.
fn parse_credits(text: &str) -> Result<Credits, String> {
    let expected = || format!("'{text}' is no amount of credits, which looks like 0.25");
    let (whole, decimals) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && decimals.is_empty() || !is_number(whole) || !is_number(decimals) || decimals.len() > 6 {
        return Err(expected());
    }
    format!("{whole}{decimals:0<6}").parse().map(Credits::from_micros).map_err(|_too_large| expected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_said_in_credits() {
        let micros = |text| parse_credits(text).map(Credits::micros).ok();

        assert_eq!(
            [micros("1"), micros("0.25"), micros(".000001"), micros("12.")].map(Option::unwrap),
            [1_000_000, 250_000, 1, 12_000_000]
        );
        for text in ["", ".", "-1", "1e3", "0.0000001", "99999999999999", "1,5", "+1"] {
            assert_eq!(micros(text), None, "{text}");
        }
    }
}
