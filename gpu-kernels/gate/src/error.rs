use naga::Span;

/// Why a kernel is refused, with its place in the customer's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct GateError {
    /// Counted from one.
    pub line: u32,
    /// Counted from one, in bytes.
    pub column: u32,
    pub message: String,
}

/// Longest message, in characters: it may name what the text itself holds.
const MESSAGE_CHARS_MAX: usize = 500;

fn shortened(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARS_MAX) {
        message.truncate(end);
        message.push('…');
    }
    message
}

impl GateError {
    /// A refusal of what stands at `span`; without a place, of the first line.
    pub(super) fn at(source: &str, span: Span, message: impl Into<String>) -> Self {
        let (line, column) = if span.is_defined() {
            let place = span.location(source);
            (place.line_number, place.line_position)
        } else {
            (1, 1)
        };
        Self { line, column, message: shortened(message.into()) }
    }
}
