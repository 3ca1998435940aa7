//! The form's state: what all programs share, a form each program, and the quote that follows from both.

use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{Account, Job, QuoteRequest};

use crate::api::{self, Failure};
use crate::programs::draft::{JobDraft, QuoteState};
use crate::programs::file_slot::upload;
use crate::programs::{PROGRAMS, Program, ProgramForm, program_of};

#[derive(Clone, Copy)]
pub(super) struct JobForm {
    pub(super) draft: JobDraft,
    /// Of the program that is shown and would run.
    pub(super) program_name: RwSignal<String>,
    /// One for each of [`PROGRAMS`].
    forms: StoredValue<Vec<Arc<dyn ProgramForm>>>,
    /// Counts quotes, so that an old answer does not overwrite a new one.
    quote_number: StoredValue<u32>,
    /// One key a quote: pressing twice, or a lost answer, submits once.
    pub(super) idempotency_key: StoredValue<String>,
}

fn position(name: &str) -> Option<usize> {
    PROGRAMS.iter().position(|program| program.name() == name)
}

impl JobForm {
    /// An empty form, or one that begins as an earlier job was. A program's name chooses that program.
    pub(super) fn new(account: Option<Account>, earlier: Option<Job>, program: Option<&str>) -> Self {
        let draft = JobDraft::new(account, earlier.as_ref());
        let of_earlier = || earlier.as_ref().and_then(|job| position(program_of(&job.program).name()));
        let chosen = program.and_then(position).or_else(of_earlier).unwrap_or_default();
        let forms = PROGRAMS.iter().map(|program| program.form(draft, earlier.as_ref())).collect();
        Self {
            draft,
            program_name: RwSignal::new(PROGRAMS[chosen].name().to_owned()),
            forms: StoredValue::new(forms),
            quote_number: StoredValue::new(0),
            idempotency_key: StoredValue::new(String::new()),
        }
    }

    /// Where the chosen program stands in [`PROGRAMS`].
    fn index(self) -> usize {
        self.program_name.with(|name| position(name)).unwrap_or_default()
    }

    pub(super) fn program(self) -> &'static dyn Program {
        PROGRAMS[self.index()]
    }

    /// The chosen program's.
    pub(super) fn form(self) -> Arc<dyn ProgramForm> {
        let index = self.index();
        self.forms.with_value(|forms| Arc::clone(&forms[index]))
    }

    /// What was typed, in all programs' forms.
    pub(super) fn typed(self) -> Vec<(&'static str, RwSignal<String>)> {
        let JobDraft { name, limit, deadline, .. } = self.draft;
        let shared = [("program", self.program_name), ("name", name), ("limit", limit), ("deadline", deadline)];
        let of_programs = self.forms.with_value(|forms| forms.iter().flat_map(|form| form.typed()).collect::<Vec<_>>());
        shared.into_iter().chain(of_programs).collect()
    }

    /// Takes up what was typed before the page was loaded anew.
    pub(super) fn on_put_back(self) {
        self.forms.with_value(|forms| forms.iter().for_each(|form| form.on_put_back()));
    }

    /// Whether the chosen program's form says it in place.
    pub(super) fn shows_beside_field(self, failure: &Failure) -> bool {
        untrack(|| self.form()).refusable_fields().iter().any(|field| failure.is_field(field))
    }

    /// Keeps files on their way to the server, and the quote up to date.
    pub(super) fn follow(self) {
        let account = self.draft.account;
        Effect::new(move || upload(self.draft.input, account));
        for form in self.forms.get_value() {
            Effect::new(move || form.files().into_iter().for_each(|slot| upload(slot, account)));
        }
        Effect::new(move || self.ask_quote());
    }

    /// Asks for a quote when everything is there, and whenever something changes.
    pub(super) fn ask_quote(self) {
        let Self { draft, quote_number, .. } = self;
        // A quote that is on its way is of what was there before.
        quote_number.update_value(|number| *number += 1);
        let (Some(program), true) = (self.form().program(), draft.account.with(Option::is_some)) else {
            draft.quote.set(QuoteState::Incomplete);
            return;
        };
        let request = QuoteRequest { program, privacy: draft.privacy.get() };
        let number = quote_number.get_value();
        self.idempotency_key.set_value(format!("{number}-{}-{}", js_sys::Math::random(), js_sys::Math::random()));
        draft.quote.set(QuoteState::Asking);
        spawn_local(async move {
            let answer = api::quote(&request).await;
            if quote_number.get_value() != number {
                return;
            }
            draft.quote.set(match answer {
                Ok(quote) => QuoteState::Quoted(Box::new((request.program, quote))),
                Err(failure) => {
                    if failure.is_unauthorized() {
                        draft.account.set(None);
                    }
                    QuoteState::Refused(failure)
                }
            });
        });
    }
}
