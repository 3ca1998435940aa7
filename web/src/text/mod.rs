//! Every word on the screen, in both languages.

mod refusals;
mod table;

use leptos::prelude::*;
use wire::explorer::ReceiptState;
use wire::lend::{PauseReason, Phase};
use wire::{CheckedBy, ErrorBody, JobEventKind, JobState, Privacy};

pub use self::table::Text;
use self::table::{EN, ZH};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    #[default]
    En,
    Zh,
}

impl Lang {
    /// The tag of `<html lang>`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh-CN",
        }
    }

    /// From a tag, or the first understood entry of an `Accept-Language` list.
    pub fn parse(text: &str) -> Option<Self> {
        text.split(',').find_map(|entry| match entry.trim().get(..2) {
            Some("en") => Some(Self::En),
            Some("zh") => Some(Self::Zh),
            _ => None,
        })
    }

    /// How addresses name it.
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }

    pub fn text(self) -> &'static Text {
        match self {
            Self::En => &EN,
            Self::Zh => &ZH,
        }
    }
}

/// The page's words.
pub fn text() -> &'static Text {
    use_context::<Lang>().unwrap_or_else(document_lang).text()
}

/// The language that the document was written in; the browser knows it from there alone.
fn document_lang() -> Lang {
    thread_local! {
        static LANG: std::cell::OnceCell<Lang> = const { std::cell::OnceCell::new() };
    }
    if cfg!(not(target_arch = "wasm32")) {
        return Lang::default();
    }
    LANG.with(|lang| *lang.get_or_init(|| root_attribute("lang").and_then(|tag| Lang::parse(&tag)).unwrap_or_default()))
}

/// The language that this page's address chose, in the browser.
pub fn chosen_in_browser() -> Option<Lang> {
    if cfg!(not(target_arch = "wasm32")) {
        return None;
    }
    root_attribute("data-lang").and_then(|code| Lang::parse(&code))
}

fn root_attribute(name: &str) -> Option<String> {
    document().document_element()?.get_attribute(name)
}

/// A refusal in the reader's language; the server's own words are English.
pub fn refusal(body: &ErrorBody) -> String {
    if std::ptr::eq(text(), Lang::Zh.text()) {
        return format!("{}（{}）", refusals::chinese(body.code), body.message);
    }
    body.message.clone()
}

impl Text {
    pub fn job_state(&self, state: JobState) -> &'static str {
        match state {
            JobState::Running => self.running,
            JobState::Done => self.done,
            JobState::Cancelled => self.cancelled,
            JobState::Nondeterministic => self.nondeterministic,
            JobState::Failed => self.failed,
        }
    }

    /// A privacy class and what it means.
    pub fn privacy_class(&self, privacy: Privacy) -> (&'static str, &'static str) {
        match privacy {
            Privacy::Open => (self.open, self.open_hint),
            Privacy::Known => (self.known, self.known_hint),
            Privacy::Own => (self.own, self.own_hint),
        }
    }

    /// Who recomputes a job's tiles.
    pub fn checked_by(&self, checked_by: CheckedBy) -> &'static str {
        match checked_by {
            CheckedBy::Edge => self.by_edge,
            CheckedBy::Checker => self.by_checker,
            CheckedBy::Quorum => self.by_quorum,
        }
    }

    pub fn receipt_state(&self, state: ReceiptState) -> &'static str {
        match state {
            ReceiptState::Pending => self.rs_pending,
            ReceiptState::Accepted => self.rs_accepted,
            ReceiptState::Matured => self.rs_matured,
            ReceiptState::Void => self.rs_void,
            ReceiptState::Rejected => self.rs_rejected,
        }
    }

    pub fn job_event(&self, kind: JobEventKind) -> &'static str {
        match kind {
            JobEventKind::Submitted => self.ev_submitted,
            JobEventKind::Started => self.ev_started,
            JobEventKind::CheckFailed => self.ev_check_failed,
            JobEventKind::Published => self.ev_published,
            JobEventKind::Unpublished => self.ev_unpublished,
            JobEventKind::Done => self.ev_done,
            JobEventKind::Cancelled => self.ev_cancelled,
            JobEventKind::Nondeterministic => self.ev_nondeterministic,
            JobEventKind::Failed => self.ev_failed,
        }
    }

    /// A movement of money, by the word that the ledger has for it.
    pub fn ledger_kind(&self, kind: &str) -> &'static str {
        match kind {
            "faucet" => self.lk_faucet,
            "settle" => self.lk_settle,
            "mature" => self.lk_mature,
            "void" => self.lk_void,
            "claim" => self.lk_claim,
            _ => self.unknown,
        }
    }

    pub fn phase(&self, phase: Phase) -> &'static str {
        match phase {
            Phase::Connecting => self.connecting,
            Phase::Waiting => self.waiting,
            Phase::Computing => self.computing,
            Phase::Paused(PauseReason::Hidden) => self.paused_hidden,
            Phase::Paused(PauseReason::Battery) => self.paused_battery,
            Phase::Paused(PauseReason::Schedule) => self.paused_schedule,
            Phase::Stopped => self.stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_that_is_understood_is_taken() {
        assert_eq!(Lang::parse("de-CH,zh-TW;q=0.9,en;q=0.8"), Some(Lang::Zh));
        assert_eq!(Lang::parse("en-GB"), Some(Lang::En));
        assert_eq!(Lang::parse("fr, 文"), None);
    }
}
