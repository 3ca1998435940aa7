//! Why the command ends without what was asked for.

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use client::{ClientError, ResultFormat};
use indicatif::HumanDuration;
use wire::{ErrorBody, ErrorCode, JobFault, JobId, JobState};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("job {id} ended as {}{}; nothing was written", state.name(), fault_ending(fault.as_ref()))]
    NoResult { id: JobId, state: JobState, fault: Option<JobFault> },
    /// Of a job that there is.
    #[error("{cause}")]
    OfJob { id: JobId, cause: Box<Failure>, next: Next },
    #[error("interrupted")]
    Interrupted,
    #[error("interrupted; nothing was submitted")]
    NothingSubmitted,
    /// While it was waited for.
    #[error("job {id} goes on and costs; `tessera job watch {id}`, `tessera job cancel {id}`")]
    JobLeft { id: JobId },
    /// Before it was known how the job stands.
    #[error("interrupted; job {id} is as it was: `tessera job watch {id}`")]
    NotWatched { id: JobId },
    /// While its result came down.
    #[error("interrupted; nothing was written. Job {id} is done: `tessera job result {id}`")]
    ResultLeft { id: JobId },
    /// Before it was known how the job stands, or while a part came down.
    #[error("interrupted; nothing was written: `tessera job result {id}{option}`")]
    NotFetched { id: JobId, option: &'static str },
    #[error(
        "it is not known whether there is a job: see `tessera job list`, or give the same order once more with \
         `--idempotency-key {key}`, which comes to one job"
    )]
    Unanswered {
        key: String,
        #[source]
        cause: Option<ClientError>,
    },
    #[error("signals cannot be listened for")]
    Signals(#[source] io::Error),
    #[error("the program cannot be started")]
    Start(#[source] io::Error),
    #[error("whoever read the output closed it")]
    OutputClosed,
    #[error("standard output cannot be written")]
    OutputFailed(#[source] io::Error),
    #[error("{message}")]
    Usage { message: String },
    #[error("the account's key is missing: set TESSERA_KEY, say --key, or write a profile into the configuration file")]
    NoKey,
    #[error("the profile '{name}' has no key: write one there, or say --key (a named profile goes before TESSERA_KEY)")]
    NoKeyInProfile { name: String },
    #[error("there is no key for {url}: the key {from} is another server's. Say --key with --url")]
    KeyOfAnother { url: String, from: &'static str },
    #[error("there is no profile '{name}': there is no configuration file")]
    NoProfile { name: String },
    #[error("the configuration file '{path}' cannot be read")]
    ConfigFile { path: String, source: io::Error },
    #[error("the configuration file '{path}': {message}")]
    Config { path: String, message: String },
    #[error("a result is no text for a terminal: name a file, or send it on with --output - | …")]
    BinaryToTerminal,
    #[error("a partial result is written as .npz, with 'rows_present' beside the outputs: end the name in that")]
    PartialEnding,
    #[error("no result is written as '{path}': end the name in {}", endings())]
    OutputEnding { path: String },
    #[error("'{path}' is a folder; name a file in it")]
    OutputFolder { path: String },
    #[error("there is no folder '{folder}' to write the result into")]
    OutputParent { folder: String },
    #[error("the outputs are {names}, and '{path}' would hold one: end its name in .npz or .bin")]
    SeveralOutputs { path: String, names: String },
    #[error("there are no pictures in '{folder}' (JPEG, PNG, WebP, GIF or BMP)")]
    NoPictures { folder: String },
    #[error("--input {name}=… is said twice")]
    InputTwice { name: String },
    #[error("--input {name}=: the file is missing behind '='")]
    InputMissing { name: String },
    #[error("two files without a name: say --input NAME=FILE for each of the model's inputs")]
    InputUnnamed,
}

/// What the user can do about a job, with which something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Nothing,
    /// It runs, or nobody knows.
    Watch,
    WatchOrPart,
    Result,
    Part,
}

impl Next {
    fn text(self, id: JobId) -> Option<String> {
        let part = format!("what is verified of it: tessera job result {id} --partial");
        match self {
            Self::Nothing => None,
            Self::Watch => Some(format!("the job is the server's, and goes on: tessera job watch {id}")),
            Self::WatchOrPart => Some(format!("until it is done: tessera job watch {id}; {part}")),
            Self::Result => Some(format!("its result: tessera job result {id}")),
            Self::Part => Some(part),
        }
    }
}

/// An error and its causes. Of those of a request its address and the last are enough.
pub(crate) fn reason(error: &(dyn Error + 'static)) -> String {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let Some(request) = cause.downcast_ref::<reqwest::Error>() else {
            reason = format!("{reason}: {cause}");
            source = cause.source();
            continue;
        };
        reason.extend(request.url().map(|url| format!(" ({url})")));
        let causes = std::iter::successors(cause.source(), |&cause: &&(dyn Error + 'static)| cause.source());
        reason.extend(causes.last().map(|last| format!(": {last}")));
        break;
    }
    reason
}

fn endings() -> String {
    let names = ResultFormat::ALL.map(|format| format!(".{}", format.name()));
    let (last, others) = names.split_last().expect("there should be formats");
    format!("{} or {last}", others.join(", "))
}

fn fault_ending(fault: Option<&JobFault>) -> String {
    fault.map_or_else(String::new, |fault| format!(": {}", fault_text(fault)))
}

/// What went wrong in the customer's program.
pub(crate) fn fault_text(fault: &JobFault) -> String {
    match fault {
        JobFault::OutOfFuel { line, turns: false, tile } => {
            format!(
                "out_of_fuel in tile {tile}, at the loop in line {line} (raise --fuel, or give a record less to do)"
            )
        }
        JobFault::OutOfFuel { line, turns: true, tile } => {
            format!("out_of_fuel in tile {tile}, the loop in line {line} turned more than 65,000 times (nest it)")
        }
        JobFault::CannotCompile { backend, message } => {
            format!("cannot_compile, devices refuse the kernel ({backend}: {message})")
        }
        JobFault::CannotCompute { tile, reason } => {
            format!(
                "cannot_compute, no device computes tile {tile} ({reason}; use fewer rows a tile, or look at the input)"
            )
        }
        JobFault::DeadlinePassed { .. } => {
            "deadline_passed, it was not done in time (what was verified is paid, the rest is free again)".to_owned()
        }
    }
}

impl Failure {
    /// Of standard output. Whoever read it may have had enough.
    pub(crate) fn of_output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::OutputFailed(error),
        }
    }

    /// Of a download into something that somebody reads.
    pub(crate) fn of_download(error: ClientError) -> Self {
        match error {
            ClientError::Unwritable { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => Self::OutputClosed,
            other => other.into(),
        }
    }

    /// The same, of a job that there is.
    pub(crate) fn of_job(self, id: JobId, next: Next) -> Self {
        if self.job().is_some() || matches!(self, Self::OutputClosed) {
            return self;
        }
        Self::OfJob { id, cause: Box::new(self), next }
    }

    /// What to branch on, and the exit code.
    fn kind(&self) -> (&'static str, u8) {
        match self {
            Self::Client(error) => client_kind(error),
            Self::NoResult { .. } => ("no_result", 4),
            Self::OfJob { cause, .. } => cause.kind(),
            Self::Unanswered { cause: Some(_), .. } => ("unanswered", 1),
            Self::Interrupted
            | Self::NothingSubmitted
            | Self::JobLeft { .. }
            | Self::NotWatched { .. }
            | Self::ResultLeft { .. }
            | Self::NotFetched { .. }
            | Self::Unanswered { cause: None, .. } => ("interrupted", 130),
            Self::Signals(_) | Self::Start(_) => ("system", 1),
            // As if by SIGPIPE.
            Self::OutputClosed => ("output", 141),
            Self::OutputFailed(_) => ("output", 1),
            Self::NoKey | Self::NoKeyInProfile { .. } | Self::KeyOfAnother { .. } => ("no_key", 2),
            Self::NoProfile { .. } | Self::ConfigFile { .. } | Self::Config { .. } => ("config", 2),
            Self::OutputEnding { .. }
            | Self::OutputFolder { .. }
            | Self::OutputParent { .. }
            | Self::SeveralOutputs { .. }
            | Self::BinaryToTerminal
            | Self::PartialEnding => ("output", 2),
            Self::NoPictures { .. } | Self::InputTwice { .. } | Self::InputMissing { .. } | Self::InputUnnamed => {
                ("input", 2)
            }
            Self::Usage { .. } => ("usage", 2),
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        self.kind().1.into()
    }

    /// The job that it is about.
    fn job(&self) -> Option<JobId> {
        match self {
            Self::NoResult { id, .. }
            | Self::OfJob { id, .. }
            | Self::JobLeft { id }
            | Self::NotWatched { id }
            | Self::ResultLeft { id }
            | Self::NotFetched { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// Says on standard error what went wrong, in the shape of the server's refusals where JSON was asked for.
    /// `called` is how the command is called once more, with the server that was said.
    pub(crate) fn report(&self, json: bool, called: &str) {
        if matches!(self, Self::OutputClosed) {
            return;
        }
        let with_flags = |text: String| text.replace("tessera job ", &format!("{called} job "));
        let next = if let Self::OfJob { id, next, .. } = self { next.text(*id).map(with_flags) } else { None };
        let reason = with_flags(self.reason());
        if !json {
            crate::say!("tessera: {reason}");
            if let Some(next) = next {
                crate::say!("  {next}");
            }
            return;
        }
        let mut body = serde_json::json!({ "code": self.kind().0, "message": reason });
        if let Some(Ok(refusal)) = self.refusal().map(serde_json::to_value) {
            body = refusal;
        }
        body["event"] = "error".into();
        if let Some(job) = self.job() {
            body["job"] = job.to_string().into();
        }
        if let Some(next) = next {
            body["next"] = next.into();
        }
        if let Self::Unanswered { key, .. } = self {
            body["idempotency_key"] = key.as_str().into();
        }
        if let Some(wait) = self.retry_after() {
            body["retry_after_seconds"] = wait.as_secs().into();
        }
        crate::say!("{body}");
    }

    fn client_error(&self) -> Option<&ClientError> {
        match self {
            Self::Client(error) | Self::Unanswered { cause: Some(error), .. } => Some(error),
            Self::OfJob { cause, .. } => cause.client_error(),
            _ => None,
        }
    }

    /// The server's words, where it said no.
    fn refusal(&self) -> Option<&ErrorBody> {
        match self {
            Self::Client(ClientError::Refused { body, .. }) => Some(body),
            Self::OfJob { cause, .. } => cause.refusal(),
            _ => None,
        }
    }

    /// When the server would be asked again.
    fn retry_after(&self) -> Option<Duration> {
        self.client_error()?.retry_after()
    }

    /// The failure and its causes.
    fn reason(&self) -> String {
        let said = match self {
            Self::OfJob { cause, .. } => return cause.reason(),
            // The server's words are for those who write requests by hand.
            Self::Client(ClientError::Refused { body, .. }) if body.code == ErrorCode::Unauthorized => {
                "the server does not know this key: check --key or TESSERA_KEY".to_owned()
            }
            other => reason(other),
        };
        self.retry_after().map_or(said.clone(), |wait| format!("{said}; come back in {}", HumanDuration(wait)))
    }
}

fn client_kind(error: &ClientError) -> (&'static str, u8) {
    match error {
        ClientError::Refused { status, body, .. } => (body.code.name(), if *status < 500 { 3 } else { 1 }),
        ClientError::Network(_) | ClientError::Elsewhere { .. } => ("unreachable", 1),
        ClientError::Silent { .. } => ("silent", 1),
        ClientError::Unanswered { .. } => ("unanswered", 1),
        ClientError::Unexpected { .. } | ClientError::Changed | ClientError::Damaged { .. } => ("unexpected_answer", 1),
        ClientError::Unreadable { .. }
        | ClientError::Unwritable { .. }
        | ClientError::Folder { .. }
        | ClientError::Device { .. }
        | ClientError::Empty { .. } => ("file", 2),
        ClientError::Url { .. } => ("url", 2),
        ClientError::Proxy { .. } => ("proxy", 2),
        ClientError::Key => ("no_key", 2),
    }
}
