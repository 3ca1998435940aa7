//! What stands before everything else in a text: `enable f16;`, `requires …;`, `diagnostic(…);`.

use naga::Span;

use crate::error::GateError;

/// Refuses extensions by their names, whatever the compiler would say of what is written with them. The others are none of
/// the gate's.
pub(super) fn check(source: &str) -> Result<(), GateError> {
    let mut at = 0;
    loop {
        at = skip_blank(source, at);
        let rest = source.get(at..).unwrap_or_default();
        let word = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        if !matches!(word, "enable" | "requires" | "diagnostic") {
            return Ok(());
        }
        let Some(end) = rest.find(';') else { return Ok(()) };
        if word != "diagnostic" {
            let names = rest.get(word.len()..end).unwrap_or_default().trim();
            let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            let instead = if names == "f16" { ", and use f32" } else { "" };
            let message = format!("`{word} {names}` asks for what not every device has; leave it out{instead}");
            return Err(GateError::at(source, Span::new(place(at), place(at + end)), message));
        }
        at += end + 1;
    }
}

/// The first byte from `at` on that is neither blank nor in a comment.
fn skip_blank(source: &str, mut at: usize) -> usize {
    loop {
        let rest = source.get(at..).unwrap_or_default();
        let blank = rest.len() - rest.trim_start().len();
        let rest = &rest[blank..];
        at += blank;
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += comment_bytes(rest);
        } else {
            return at;
        }
    }
}

/// Of a comment, in which others may stand.
fn comment_bytes(text: &str) -> usize {
    let (mut depth, mut at) = (0u32, 0);
    while let Some(next) = text.get(at..).and_then(|rest| rest.find(['/', '*']).map(|found| at + found)) {
        match text.as_bytes().get(next..next + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, next + 2),
            Some(b"*/") => (depth, at) = (depth.saturating_sub(1), next + 2),
            _ => at = next + 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}
