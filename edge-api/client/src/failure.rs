//! Why the command ends without what was asked for.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use client::{ClientError, ResultFormat};
use wire::{ErrorBody, ErrorCode, JobFault, JobId, JobState};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("job {id} ended as {}{}; nothing was written", state.name(), fault_ending(fault.as_ref()))]
    NoResult { id: JobId, state: JobState, fault: Option<JobFault> },
    /// After the job was submitted.
    #[error("{cause}\n  its result: tessera job result {id}")]
    Later { id: JobId, cause: Box<Failure> },
    #[error("{}", interrupted_text(.id.as_ref()))]
    Interrupted { id: Option<JobId> },
    #[error("it is not known whether there is a job: see `tessera job list`")]
    Unanswered {
        #[source]
        cause: Option<ClientError>,
    },
    #[error("signals cannot be listened for")]
    Signals(#[source] io::Error),
    #[error("standard output is closed")]
    OutputClosed,
    #[error("standard output cannot be written")]
    OutputFailed(#[source] io::Error),
    #[error("{message}")]
    Usage { message: String },
    #[error("the account's key is missing: set TESSERA_KEY, say --key, or write a profile into the configuration file")]
    NoKey,
    #[error("there is no profile '{name}': there is no configuration file")]
    NoProfile { name: String },
    #[error("'{path}' cannot be read")]
    ConfigFile { path: String, source: io::Error },
    #[error("'{path}': {message}")]
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
    #[error("--input {name}=… is said twice")]
    InputTwice { name: String },
    #[error("two files without a name: say --input NAME=FILE for each of the model's inputs")]
    InputUnnamed,
}

fn endings() -> String {
    let names = ResultFormat::ALL.map(|format| format!(".{}", format.name()));
    let (last, others) = names.split_last().expect("there should be formats");
    format!("{} or {last}", others.join(", "))
}

fn interrupted_text(id: Option<&JobId>) -> String {
    match id {
        None => "interrupted; nothing was submitted".to_owned(),
        Some(id) => format!("job {id} goes on and costs; `tessera job watch {id}`, `tessera job cancel {id}`"),
    }
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

    /// Of a download into standard output.
    pub(crate) fn of_download(error: ClientError) -> Self {
        match error {
            ClientError::File { source, .. } => Self::of_output(source),
            other => other.into(),
        }
    }

    /// What to branch on, and the exit code.
    fn kind(&self) -> (&'static str, u8) {
        match self {
            Self::Client(ClientError::Refused { status, body, .. }) => {
                (body.code.name(), if *status < 500 { 3 } else { 1 })
            }
            Self::Client(ClientError::Network(_)) => ("unreachable", 1),
            Self::Client(ClientError::Unexpected { .. } | ClientError::Changed) => ("unexpected_answer", 1),
            Self::Client(ClientError::File { .. } | ClientError::Folder { .. } | ClientError::Empty { .. }) => {
                ("file", 2)
            }
            Self::Client(ClientError::Url { .. }) => ("url", 2),
            Self::NoResult { .. } => ("no_result", 4),
            Self::Later { cause, .. } => cause.kind(),
            Self::Unanswered { cause: Some(_) } => ("unanswered", 1),
            Self::Interrupted { .. } | Self::Unanswered { cause: None } => ("interrupted", 130),
            Self::Signals(_) => ("signals", 1),
            // As if by SIGPIPE.
            Self::OutputClosed => ("output", 141),
            Self::OutputFailed(_) => ("output", 1),
            Self::NoKey => ("no_key", 2),
            Self::NoProfile { .. } | Self::ConfigFile { .. } | Self::Config { .. } => ("config", 2),
            Self::OutputEnding { .. }
            | Self::OutputFolder { .. }
            | Self::OutputParent { .. }
            | Self::SeveralOutputs { .. }
            | Self::BinaryToTerminal
            | Self::PartialEnding => ("output", 2),
            Self::InputTwice { .. } | Self::InputUnnamed => ("input", 2),
            Self::Usage { .. } => ("usage", 2),
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        self.kind().1.into()
    }

    /// The job that was submitted before it.
    fn job(&self) -> Option<JobId> {
        match self {
            Self::NoResult { id, .. } | Self::Later { id, .. } => Some(*id),
            Self::Interrupted { id } => *id,
            _ => None,
        }
    }

    /// Says on standard error what went wrong, in the shape of the server's refusals where JSON was asked for.
    pub(crate) fn report(&self, json: bool) {
        if matches!(self, Self::OutputClosed) {
            return;
        }
        if !json {
            crate::say!("tessera: {}", self.reason());
            return;
        }
        let mut body = serde_json::json!({ "code": self.kind().0, "message": self.reason() });
        if let Some(Ok(refusal)) = self.refusal().map(serde_json::to_value) {
            body = refusal;
        }
        if let Some(job) = self.job() {
            body["job"] = job.to_string().into();
        }
        crate::say!("{body}");
    }

    /// The server's words, where it said no.
    fn refusal(&self) -> Option<&ErrorBody> {
        match self {
            Self::Client(ClientError::Refused { body, .. }) => Some(body),
            Self::Later { cause, .. } => cause.refusal(),
            _ => None,
        }
    }

    /// The failure and its causes.
    fn reason(&self) -> String {
        let mut reason = match self {
            // The server's words are for those who write requests by hand.
            Self::Client(ClientError::Refused { body, .. }) if body.code == ErrorCode::Unauthorized => {
                "the server does not know this key: check --key or TESSERA_KEY".to_owned()
            }
            other => other.to_string(),
        };
        let mut source = self.source();
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        reason
    }
}
