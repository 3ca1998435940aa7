//! A line of what was found.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Ok,
    /// It was not looked at, and why is said.
    Skipped,
    Warning,
    Failed,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub part: &'static str,
    pub state: State,
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<&'static str>,
}

pub fn ok(part: &'static str, message: impl Into<String>) -> Finding {
    Finding { part, state: State::Ok, message: message.into(), remedy: None }
}

pub fn skipped(part: &'static str, message: impl Into<String>) -> Finding {
    Finding { part, state: State::Skipped, message: message.into(), remedy: None }
}

pub fn warning(part: &'static str, message: impl Into<String>, remedy: &'static str) -> Finding {
    Finding { part, state: State::Warning, message: message.into(), remedy: Some(remedy) }
}

pub fn failed(part: &'static str, message: impl Into<String>, remedy: &'static str) -> Finding {
    Finding { part, state: State::Failed, message: message.into(), remedy: Some(remedy) }
}

/// A line for each, and another for what to do.
pub fn lines(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let Finding { part, state, message, remedy } = finding;
        let remedy = remedy.map_or_else(String::new, |remedy| format!("{:22}{remedy}\n", ""));
        format!("{:9}{part:13}{message}\n{remedy}", state.name())
    };
    findings.iter().map(line).collect()
}
