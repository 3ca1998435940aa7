//! What a customer is writing before there is a job: what the forms of all programs share.

use leptos::prelude::*;
use wire::{Account, Credits, Job, Privacy, Quote};

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
    /// The most that the customer would pay, as it was typed; empty for what the quote says.
    pub limit: RwSignal<String>,
    /// After how much time the job ends by itself, as it was typed; empty for never.
    pub deadline: RwSignal<String>,
    /// Of that time, in seconds.
    pub deadline_unit: RwSignal<u32>,
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
            limit: RwSignal::new(String::new()),
            deadline: RwSignal::new(String::new()),
            deadline_unit: RwSignal::new(3600),
            quote: RwSignal::new(QuoteState::Incomplete),
        }
    }

    /// `Err` where what is typed is no amount of credits.
    pub fn stated_limit(self) -> Result<Option<Credits>, ()> {
        self.limit.with_untracked(|typed| limit_of(typed))
    }

    /// `Err` where what is typed is no time.
    pub fn deadline_seconds(self) -> Result<Option<u32>, ()> {
        self.deadline.with_untracked(|typed| deadline_of(typed, self.deadline_unit.get_untracked()))
    }

    /// Why no quote was given, if one of these fields is the reason.
    pub fn refusal_of(self, fields: &[&str]) -> Option<Failure> {
        self.quote.with(|quote| match quote {
            QuoteState::Refused(failure) if fields.iter().any(|field| failure.is_field(field)) => Some(failure.clone()),
            QuoteState::Incomplete | QuoteState::Asking | QuoteState::Quoted(_) | QuoteState::Refused(_) => None,
        })
    }
}

/// Credits with at most six decimals.
fn limit_of(typed: &str) -> Result<Option<Credits>, ()> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(None);
    }
    let (whole, decimals) = typed.split_once('.').unwrap_or((typed, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + decimals.len() == 0 || !is_number(whole) || !is_number(decimals) || decimals.len() > 6 {
        return Err(());
    }
    format!("{whole}{decimals:0<6}").parse().map(|micros| Some(Credits::from_micros(micros))).map_err(|_too_large| ())
}

/// So many units of so many seconds; a part of one is taken to the second.
fn deadline_of(typed: &str, unit: u32) -> Result<Option<u32>, ()> {
    const YEAR: f64 = 31_536_000.0;
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(None);
    }
    let seconds = (typed.parse::<f64>().map_err(|_no_number| ())? * f64::from(unit)).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a year at most")]
    if (1.0..=YEAR).contains(&seconds) { Ok(Some(seconds as u32)) } else { Err(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_credits_with_six_decimals_at_most() {
        let micros = |typed| limit_of(typed).map(|limit| limit.map(Credits::micros));

        assert_eq!(
            [micros(" "), micros("1"), micros("0.25 "), micros(".000001")],
            [Ok(None), Ok(Some(1_000_000)), Ok(Some(250_000)), Ok(Some(1))]
        );
        for typed in [".", "-1", "1e3", "0.0000001", "1,5", "99999999999999999"] {
            assert_eq!(micros(typed), Err(()), "{typed}");
        }
    }

    #[test]
    fn a_deadline_is_a_second_to_a_year_away() {
        assert_eq!(
            [deadline_of("", 60), deadline_of("2", 3600), deadline_of(" 1.5", 60)],
            [Ok(None), Ok(Some(7200)), Ok(Some(90))]
        );
        for typed in ["0", "-1", "soon", "NaN", "inf", "366"] {
            assert_eq!(deadline_of(typed, 86_400), Err(()), "{typed}");
        }
    }
}
