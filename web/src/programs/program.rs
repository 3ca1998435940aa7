use std::collections::BTreeMap;
use std::sync::Arc;

use leptos::prelude::*;
use wire::Job;

use super::draft::JobDraft;
use super::file_slot::FileSlot;
use super::order_file::OrderFile;
use crate::browser::backend::Backend;
use crate::text::Text;

/// A program as the portal shows it.
pub trait Program: Sync {
    /// In addresses (`/jobs/new?program=map`) and in the form's ids.
    fn name(&self) -> &'static str;

    /// What the form calls it, and a hint.
    fn label(&self, t: &'static Text) -> (&'static str, &'static str);

    /// Whether a job's operations are only known to be no more than said until it has run.
    fn work_is_bound(&self) -> bool {
        false
    }

    /// What a browser can compute its tiles with, best first.
    fn backends(&self) -> &'static [Backend];

    /// A form of its own over what all forms share. It begins with an earlier job's files and numbers if
    /// that job ran this program.
    fn form(&self, draft: JobDraft, earlier: Option<&Job>) -> Arc<dyn ProgramForm>;

    /// The links that download a done job's result.
    fn result(&self, job: &Job) -> AnyView;

    /// The files of a job of it.
    fn order_files(&self, program: &wire::Program, t: &'static Text) -> Vec<OrderFile>;

    /// The command's subcommand, and what it is told besides files, name and privacy class.
    fn arguments(&self, program: &wire::Program) -> Vec<String>;

    /// The format that all of a result comes in.
    fn format(&self, job: &Job) -> &'static str;
}

/// What a customer has chosen and typed for one program. It stays while the form shows another program.
pub trait ProgramForm: Send + Sync {
    fn fields(&self) -> AnyView;

    /// What would run, once all of it is there.
    fn program(&self) -> Option<wire::Program>;

    /// Why it is not there yet, where it is more than a file that was not chosen.
    fn waits(&self) -> Option<&'static str> {
        None
    }

    /// What the customer calls its files, by the fields of [`ProgramForm::program`].
    fn file_names(&self) -> BTreeMap<String, String>;

    /// What has to be uploaded before it can run, besides the draft's input.
    fn files(&self) -> Vec<RwSignal<FileSlot>>;

    /// What was typed, each with a name of its own among all programs'.
    fn typed(&self) -> Vec<(&'static str, RwSignal<String>)>;

    /// Takes up what was typed before the page was loaded anew.
    fn on_put_back(&self) {}

    /// Fields whose refusals the form shows beside them, by their names in the API.
    fn refusable_fields(&self) -> &'static [&'static str];

    /// Whether its output words are floats, where the output itself does not name a type.
    fn has_float_outputs(&self) -> bool;
}
