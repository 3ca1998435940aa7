//! What a customer is writing before there is a job: what the forms of all programs share.

use leptos::prelude::*;
use wire::{Account, Job, Privacy, Quote};

use super::file_slot::FileSlot;
use crate::api::Failure;

/// What was typed or chosen stays, whatever fails.
#[derive(Clone, Copy)]
pub struct JobDraft {
    pub account: RwSignal<Option<Account>>,
    /// What the program runs over. It stays when another program is chosen.
    pub input: RwSignal<FileSlot>,
    pub privacy: RwSignal<Privacy>,
    pub name: RwSignal<String>,
    pub quote: RwSignal<QuoteState>,
}

/// What is known of the price.
#[derive(Clone, Debug, PartialEq)]
pub enum QuoteState {
    /// Something is still missing.
    Incomplete,
    Asking,
    Quoted(Box<(wire::Program, Quote)>),
    Refused(Failure),
}

impl JobDraft {
    /// An empty one, or one with an earlier job's name and privacy class.
    pub fn new(account: Option<Account>, earlier: Option<&Job>) -> Self {
        Self {
            account: RwSignal::new(account),
            input: RwSignal::new(FileSlot::Missing),
            privacy: RwSignal::new(earlier.map(|job| job.privacy).unwrap_or_default()),
            name: RwSignal::new(earlier.map(|job| job.name.clone()).unwrap_or_default()),
            quote: RwSignal::new(QuoteState::Incomplete),
        }
    }

    /// Why no quote was given, if one of these fields is the reason.
    pub fn refusal_of(self, fields: &[&str]) -> Option<Failure> {
        self.quote.with(|quote| match quote {
            QuoteState::Refused(failure) if fields.iter().any(|field| failure.is_field(field)) => Some(failure.clone()),
            QuoteState::Incomplete | QuoteState::Asking | QuoteState::Quoted(_) | QuoteState::Refused(_) => None,
        })
    }
}
