//! A job submitted, followed to its end, and its result written.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use client::{Client, ClientError};
use serde_json::json;
use wire::{Credits, Job, Privacy, Program, Quote, QuoteRequest, SubmitJob};

use super::follow::{finish, follow};
use super::output::Output;
use super::overwriting::refuse_overwriting;
use super::print::{JobAnswer, print_job};
use crate::context::Context;
use crate::failure::{Failure, Next};
use crate::notes::Notes;

/// What is to run, once its files are uploaded.
pub(crate) struct Uploaded {
    pub program: Program,
    /// By the order's fields, what files are called that are others than those that were given.
    pub names: BTreeMap<String, String>,
}

impl From<Program> for Uploaded {
    fn from(program: Program) -> Self {
        Self { program, names: BTreeMap::new() }
    }
}

/// What a program's subcommand was given.
pub(crate) trait ProgramArguments {
    /// Uploads files, and says what to run over them.
    async fn upload(&self, client: &Client, notes: &Notes) -> Result<Uploaded, Failure>;
    /// The file that a job without a name is named after.
    fn code(&self) -> &Path;
    /// Where the result goes; `None` where nobody said.
    fn output(&self) -> Option<&Path>;
    /// The files by the order's fields that name them.
    fn files(&self) -> BTreeMap<String, &Path> {
        BTreeMap::new()
    }
    /// The files that it writes, by the options that named them.
    fn written(&self) -> Vec<(&'static str, &Path)> {
        self.output().map(|path| ("--output", path)).into_iter().collect()
    }
    fn options(&self) -> &JobOptions;

    /// Refuses to write over a file that it reads or writes besides.
    fn check_files(&self) -> Result<(), Failure> {
        refuse_overwriting(&self.written(), self.files().into_values())
    }
}

/// What every job may be given.
#[derive(clap::Args)]
pub(crate) struct JobOptions {
    /// What to call the job; left out, it is called after the model or kernel.
    #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    name: String,
    /// Who may see the inputs: open (any device), known (verified accounts' devices), own (yours).
    #[arg(long, default_value = "open", value_parser = parse_privacy)]
    pub privacy: Privacy,
    /// Refuse to pay more than this.
    #[arg(long, value_name = "CREDITS", value_parser = parse_credits)]
    limit: Option<Credits>,
    /// End the job by itself where it is not done by then, like 90s, 30m, 12h or 2d. What is verified is paid.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    deadline: Option<Duration>,
    /// Submit and print the job instead of waiting.
    #[arg(long, conflicts_with = "output")]
    detach: bool,
    /// A text of your own that names this order: given twice, it is one job.
    #[arg(long, value_name = "TEXT", value_parser = parse_idempotency_key, allow_hyphen_values = true)]
    idempotency_key: Option<String>,
}

impl JobOptions {
    /// The first that is for submitting alone.
    pub(crate) fn of_submission(&self) -> Option<&'static str> {
        let said = [
            ("--name", !self.name.is_empty()),
            ("--limit", self.limit.is_some()),
            ("--deadline", self.deadline.is_some()),
            ("--detach", self.detach),
            ("--idempotency-key", self.idempotency_key.is_some()),
        ];
        said.into_iter().find_map(|(option, is_said)| is_said.then_some(option))
    }
}

/// Of what is for submitting alone, a quote's help shows nothing.
pub(crate) const OF_SUBMISSION: [&str; 6] = ["name", "limit", "deadline", "detach", "idempotency_key", "output"];

fn parse_privacy(text: &str) -> Result<Privacy, String> {
    let known = Privacy::ALL.into_iter().find(|privacy| privacy.name() == text);
    known.ok_or_else(|| "it must be open, known or own".to_owned())
}

pub(crate) async fn run(context: &Context, arguments: &impl ProgramArguments) -> Result<(), Failure> {
    let options = arguments.options();
    arguments.check_files()?;
    let output = if options.detach {
        None
    } else {
        Some(context.open_output(arguments.output(), Failure::NothingSubmitted).await?)
    };
    let ordered = order(context, arguments, output.as_ref());
    let request = context.unless_interrupted(Failure::NothingSubmitted, ordered).await?;
    let job = submit(context, &request, options.idempotency_key.clone()).await?;
    let printed = announce(context, &job, output.as_ref(), options.detach);
    if context.interrupts.is_any() {
        return Err(Failure::JobLeft { id: job.id });
    }
    if !options.detach {
        let ended = follow(context, &job).await?;
        finish(context, &ended, output).await?;
    }
    // Whoever reads no answer has a result none the less.
    printed.map_err(|failure| failure.of_job(job.id, Next::Watch))
}

/// Names a job, before it is waited for: to people on standard error, to programs in the answer.
fn announce(context: &Context, job: &Job, output: Option<&Output>, is_all: bool) -> Result<(), Failure> {
    let page = context.client.page(job.id);
    let message = format!("job {} at {page}", job.id);
    if context.json && output.is_some_and(Output::is_stdout) {
        let job = serde_json::to_value(JobAnswer::new(&context.client, job)).unwrap_or_default();
        context.notes.say("submitted", &message, job);
        return Ok(());
    }
    context.notes.say("submitted", &message, json!({ "job": job.id, "page": page }));
    if is_all || context.json { print_job(&context.client, job, context.json) } else { Ok(()) }
}

/// What is to be submitted, with its files uploaded.
async fn order(
    context: &Context,
    arguments: &impl ProgramArguments,
    output: Option<&Output>,
) -> Result<SubmitJob, Failure> {
    let client = context.ordering();
    let Uploaded { program, names } = arguments.upload(&client, &context.notes).await?;
    let options = arguments.options();
    if output.is_some_and(Output::holds_one_output) {
        let order = QuoteRequest { program: program.clone(), privacy: options.privacy };
        check_outputs(&client.quote(&order).await?, arguments.output())?;
    }
    let name = if options.name.is_empty() { file_name(arguments.code()) } else { options.name.clone() };
    let given = arguments.files().into_iter().map(|(field, path)| (field, file_name(path)));
    let made = names.into_iter().map(|(field, name)| (field, file_name(Path::new(&name))));
    // The latter take the place of the former.
    let file_names = given.chain(made);
    Ok(SubmitJob {
        privacy: options.privacy,
        name,
        limit: options.limit,
        deadline_seconds: options.deadline.and_then(|deadline| deadline.as_secs().try_into().ok()),
        file_names: file_names.filter(|(_, name)| !name.is_empty()).collect(),
        ..SubmitJob::new(program)
    })
}

/// The answer is waited for though the user wants to stop, since there may be a job then; a second time is heeded at once.
async fn submit(context: &Context, request: &SubmitJob, key: Option<String>) -> Result<Job, Failure> {
    let patient = context.patient("it is not known yet whether there is a job");
    let key = key.unwrap_or_else(idempotency_key);
    let unanswered = |error: ClientError| match error {
        ClientError::Unanswered { last } => Failure::Unanswered { key: key.clone(), cause: Some(*last) },
        error => error.into(),
    };
    let mut submitted = pin!(patient.submit(request, &key));
    let (mut first, mut second) = (context.interrupts.clone(), context.interrupts.clone());
    tokio::select! {
        job = &mut submitted => return job.map_err(unanswered),
        () = first.first() => context.notes.warn("waiting for the server to say whether there is a job now"),
    }
    tokio::select! {
        job = submitted => job.map_err(unanswered),
        () = second.second() => Err(Failure::Unanswered { key: key.clone(), cause: None }),
    }
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

/// What the server takes as such.
fn parse_idempotency_key(text: &str) -> Result<String, String> {
    let fits = (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(text.to_owned()) } else { Err("it has 1 to 128 visible characters without spaces".to_owned()) }
}

/// A number of seconds, minutes, hours or days.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("'{text}' is no time like 90s, 30m, 12h or 2d");
    let (number, unit) = text.split_at(text.trim_end_matches(|c: char| !c.is_ascii_digit()).len());
    let seconds = match unit {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(expected()),
    };
    let number: u32 = number.parse().map_err(|_malformed| expected())?;
    number
        .checked_mul(seconds)
        .filter(|seconds| *seconds > 0)
        .map(|seconds| Duration::from_secs(seconds.into()))
        .ok_or_else(expected)
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
    fn a_deadline_is_said_with_its_unit() {
        let seconds = |text| parse_duration(text).map(|time| time.as_secs()).ok();

        assert_eq!(
            [seconds("90"), seconds("90s"), seconds("2m"), seconds("1h"), seconds("2d")].map(Option::unwrap),
            [90, 90, 120, 3600, 172_800]
        );
        for text in ["", "0", "m", "1.5h", "-1s", "1 week", "99999999d"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

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
