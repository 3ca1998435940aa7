//! What is said of a result that was written.

use serde_json::{Value, json};
use wire::Job;

use super::output::Written;
use super::print::{print_json, print_lines};
use crate::context::Context;
use crate::failure::{Failure, Next};

impl Written {
    /// `None` where it is standard output.
    pub(crate) fn shown_path(&self) -> Option<String> {
        self.path.as_ref().map(|path| path.display().to_string())
    }

    /// On standard error.
    pub(crate) fn note(&self, context: &Context, job: &Job) {
        context.notes.say("written", &self.text(), self.fields(job));
    }

    /// As the answer.
    pub(crate) fn print(&self, context: &Context, job: &Job) -> Result<(), Failure> {
        let printed = if context.json { print_json(&self.fields(job)) } else { print_lines(&[self.text()]) };
        printed.map_err(|failure| failure.of_job(job.id, Next::Nothing))
    }

    fn text(&self) -> String {
        let place = self.shown_path().unwrap_or_else(|| "standard output".to_owned());
        format!("{} bytes written to {place}", self.bytes)
    }

    fn fields(&self, job: &Job) -> Value {
        json!({ "job": job.id, "path": self.shown_path(), "bytes": self.bytes })
    }
}
