//! What every subcommand works with.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use client::{Client, Patience};
use serde_json::json;

use crate::command::output::Output;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::notes::Notes;

/// For how long a server that is away is waited for where nothing is lost by giving up.
const BRIEFLY: Duration = Duration::from_secs(5);
/// The same while an order is made ready.
const WHILE_ORDERING: Duration = Duration::from_secs(30);
/// The same where there is a job.
const WITH_A_JOB: Duration = Duration::from_mins(15);

/// A pipe that has no reader by then is said to wait for one.
const SAY_AFTER: Duration = Duration::from_secs(2);

pub(crate) struct Context {
    /// For what may be given up soon.
    pub client: Client,
    pub notes: Notes,
    /// Answers are JSON.
    pub json: bool,
    pub interrupts: Interrupts,
}

/// Of commands that ask and answer.
pub(crate) fn brief(notes: &Notes) -> Patience {
    notes.patience(BRIEFLY, "")
}

impl Context {
    /// The client that makes an order ready.
    pub(crate) fn ordering(&self) -> Client {
        self.client.clone().with_patience(self.notes.patience(WHILE_ORDERING, "nothing is submitted yet"))
    }

    /// The client that has a job to lose. `meanwhile` says how that stands.
    pub(crate) fn patient(&self, meanwhile: &'static str) -> Client {
        self.client.clone().with_patience(self.notes.patience(WITH_A_JOB, meanwhile))
    }

    /// Opens where a result goes. A pipe may have no reader yet.
    pub(crate) async fn open_output(&self, path: Option<&Path>, left: Failure) -> Result<Output, Failure> {
        let opened = async {
            let mut opened = pin!(Output::open(path));
            if let Ok(opened) = tokio::time::timeout(SAY_AFTER, &mut opened).await {
                return opened;
            }
            let shown = path.map(|path| path.display().to_string()).unwrap_or_default();
            let message = format!("waiting for somebody to read '{shown}'");
            self.notes.tell("waiting", &message, json!({ "path": shown }));
            opened.await
        };
        self.unless_interrupted(left, opened).await
    }

    /// Does something to its end, or to the first word that it shall stop.
    pub(crate) async fn unless_interrupted<T>(
        &self,
        left: Failure,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut interrupts = self.interrupts.clone();
        tokio::select! {
            ended = work => ended,
            () = interrupts.first() => Err(left),
        }
    }
}
