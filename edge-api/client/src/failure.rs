//! Why the command ends without what was asked for.

use std::error::Error;
use std::process::ExitCode;

use client::{ClientError, ResultFormat};
use wire::{ErrorCode, JobFault, JobId, JobState};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("job {id} ended as {}{}; nothing was written", state.name(), fault_text(fault.as_ref()))]
    NoResult { id: JobId, state: JobState, fault: Option<JobFault> },
    #[error("the account's key is missing: set TESSERA_KEY or say --key")]
    NoKey,
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

/// What went wrong in the customer's program, where something did.
fn fault_text(fault: Option<&JobFault>) -> String {
    match fault {
        None => String::new(),
        Some(JobFault::OutOfFuel { line, turns: false, tile }) => {
            format!(
                ": out_of_fuel in tile {tile}, at the loop in line {line} (raise --fuel, or give a record less to do)"
            )
        }
        Some(JobFault::CannotCompile { backend, message }) => {
            format!(": cannot_compile, devices refuse the kernel ({backend}: {message})")
        }
        Some(JobFault::CannotCompute { tile, reason }) => {
            format!(
                ": cannot_compute, no device computes tile {tile} ({reason}; use fewer rows a tile, or look at the input)"
            )
        }
        Some(JobFault::OutOfFuel { line, turns: true, tile }) => {
            format!(": out_of_fuel in tile {tile}, the loop in line {line} turned more than 65,000 times (nest it)")
        }
    }
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Client(ClientError::Refused { status, .. }) if *status < 500 => 3.into(),
            Self::Client(ClientError::Refused { .. } | ClientError::Network(_) | ClientError::Unexpected { .. }) => {
                1.into()
            }
            Self::Client(ClientError::File { .. } | ClientError::Folder { .. } | ClientError::Url { .. })
            | Self::NoKey
            | Self::OutputEnding { .. }
            | Self::OutputFolder { .. }
            | Self::OutputParent { .. }
            | Self::SeveralOutputs { .. }
            | Self::InputTwice { .. }
            | Self::InputUnnamed => 2.into(),
            Self::NoResult { .. } => 4.into(),
        }
    }

    /// The failure and its causes, or the server's own words where JSON was asked for.
    pub(crate) fn report(&self, json: bool) {
        if json
            && let Self::Client(ClientError::Refused { body, .. }) = self
            && let Ok(body) = serde_json::to_string(body)
        {
            eprintln!("{body}");
            return;
        }
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
        eprintln!("tessera: {reason}");
    }
}
