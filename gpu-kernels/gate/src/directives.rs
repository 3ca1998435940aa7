//! What stands before everything else in a text: `enable f16;`, `requires …;`, `diagnostic(…);`.

use naga::Span;

use crate::declared::{comment_bytes, is_word};
use crate::error::GateError;

/// What `requires` may name: parts of the language that every device has.
const EVERYWHERE: [&str; 2] = ["packed_4x8_integer_dot_product", "pointer_composite_access"];

/// The text as the compiler takes it, everything at its place: without the byte-order mark that some editors write, and
/// without `requires` for what every device has. Refuses other extensions by their names, whatever the compiler would
/// say of what is written with them. Other directives are none of the gate's.
pub(super) fn take(source: &str) -> Result<String, GateError> {
    let mut text = source.strip_prefix('\u{feff}').unwrap_or(source).to_owned();
    let mut at = 0;
    loop {
        at = skip_blank(&text, at);
        let rest = text.get(at..).unwrap_or_default();
        let word = rest.split(|c| !is_word(c)).next().unwrap_or_default();
        if !matches!(word, "enable" | "requires" | "diagnostic") {
            return Ok(text);
        }
        let Some(end) = rest.find(';') else { return Ok(text) };
        if word != "diagnostic" {
            let names = rest.get(word.len()..end).unwrap_or_default().trim();
            let is_everywhere = |name: &str| name.trim().is_empty() || EVERYWHERE.contains(&name.trim());
            if word == "enable" || !names.split(',').all(is_everywhere) {
                let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
                return Err(GateError::at(&text, Span::new(place(at), place(at + end)), refused(word, names)));
            }
            let blank: String = text[at..=at + end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
            text.replace_range(at..=at + end, &blank);
        }
        at += end + 1;
    }
}

fn refused(word: &str, names: &str) -> String {
    match names {
        "f16" => format!("`{word} f16` asks for what not every device has; leave it out, and use f32"),
        "unrestricted_pointer_parameters" => format!(
            "`{word} {names}`: functions take pointers to `function` and `private` variables only; leave it out, and use \
             other variables by their names"
        ),
        "readonly_and_readwrite_storage_textures" => {
            format!("`{word} {names}` is for textures, which a kernel has none of; leave it out")
        }
        _ => format!("`{word} {names}` asks for what not every device has; leave it out"),
    }
}

/// The first byte from `at` on that is neither blank nor in a comment.
pub(super) fn skip_blank(source: &str, mut at: usize) -> usize {
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
