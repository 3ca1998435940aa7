//! Damage done to inputs that were good.

use crate::draw::Draw;

/// Longest input that a mutation makes, in bytes.
const LEN_MAX: usize = 96 << 10;

/// A few changes to bytes; `others` are what pieces may be taken from.
pub(crate) fn bytes(draw: &mut Draw, mut bytes: Vec<u8>, others: &[&[u8]]) -> Vec<u8> {
    for _ in 0..=draw.size(12) {
        change(draw, &mut bytes, others);
    }
    bytes.truncate(LEN_MAX);
    bytes
}

fn change(draw: &mut Draw, bytes: &mut Vec<u8>, others: &[&[u8]]) {
    let at = draw.below(bytes.len() + 1);
    let len = draw.size(bytes.len() - at + 1);
    match draw.below(10) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << draw.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = draw.byte();
            }
        }
        2 => {
            let size = draw.size(9);
            let new = draw.bytes(size);
            bytes.splice(at..at, new);
        }
        3 => drop(bytes.drain(at..at + len)),
        4 => bytes.truncate(at),
        5 => {
            let piece = bytes[at..at + len].to_vec();
            let to = draw.below(bytes.len() + 1);
            bytes.splice(to..to, piece);
        }
        // Deep or long: what was written once, very often.
        6 => {
            let piece = bytes[at..at + len.min(8)].to_vec();
            let times = draw.size(LEN_MAX / 8);
            let all = piece.repeat(times);
            bytes.splice(at..at, all);
        }
        7 if !others.is_empty() => {
            let other = draw.pick(others);
            let from = draw.below(other.len() + 1);
            let to = from + draw.size(other.len() - from + 1);
            bytes.splice(at..at + len, other[from..to].iter().copied());
        }
        // A number, as formats store them.
        _ => {
            let number = draw.number().to_le_bytes();
            let size = draw.pick(&[1, 2, 4, 8]);
            for (slot, byte) in bytes[at..].iter_mut().zip(&number[..size]) {
                *slot = *byte;
            }
        }
    }
}

/// A few changes to the words of a text; `words` are what the language has.
pub(crate) fn text(draw: &mut Draw, text: &str, words: &[&str]) -> String {
    let mut tokens = tokens(text);
    for _ in 0..=draw.size(10) {
        change_token(draw, &mut tokens, words);
    }
    let mut text = tokens.concat();
    if text.len() > LEN_MAX {
        text.truncate(text.floor_char_boundary(LEN_MAX));
    }
    text
}

fn change_token<'a>(draw: &mut Draw, tokens: &mut Vec<&'a str>, words: &[&'a str]) {
    let at = draw.below(tokens.len() + 1);
    let len = draw.size(tokens.len() - at + 1);
    match draw.below(8) {
        0 => drop(tokens.drain(at..at + len)),
        1 => {
            let piece = tokens[at..at + len].to_vec();
            let to = draw.below(tokens.len() + 1);
            tokens.splice(to..to, piece);
        }
        2 => {
            let other = draw.below(tokens.len() + 1);
            if at < tokens.len() && other < tokens.len() {
                tokens.swap(at, other);
            }
        }
        3 if at < tokens.len() => {
            // What the text itself says elsewhere fits better than a word of the language.
            let other = draw.below(tokens.len());
            tokens[at] = tokens[other];
        }
        4 => {
            let piece = tokens[at..at + len.min(4)].to_vec();
            let times = draw.size_or_more(64, 8, 20_000);
            let all = piece.repeat(times);
            tokens.splice(at..at, all);
        }
        5 | 6 if at < tokens.len() => tokens[at] = draw.pick(words),
        _ => tokens.insert(at, draw.pick(words)),
    }
}

/// Words, numbers and single signs, which together are the text.
fn tokens(text: &str) -> Vec<&str> {
    let kind = |c: char| {
        if c.is_alphanumeric() || c == '_' || c == '.' {
            0
        } else if c.is_whitespace() {
            1
        } else {
            2
        }
    };
    let mut tokens = Vec::new();
    let mut start = 0;
    let mut before = None;
    for (at, c) in text.char_indices() {
        let kind = kind(c);
        if before.is_some_and(|before| before != kind || kind == 2) {
            tokens.push(&text[start..at]);
            start = at;
        }
        before = Some(kind);
    }
    tokens.extend((start < text.len()).then(|| &text[start..]));
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_words_spaces_and_single_signs() {
        assert_eq!(tokens("let x_1 = 2.5f;\n{{"), ["let", " ", "x_1", " ", "=", " ", "2.5f", ";", "\n", "{", "{"]);
        assert_eq!(tokens(""), Vec::<&str>::new());
    }

    #[test]
    fn whatever_is_changed_stays_within_bounds() {
        for seed in 0..2000 {
            let mut draw = Draw::new(seed, false);
            assert!(bytes(&mut draw, b"0123456789".to_vec(), &[b"abc", b""]).len() <= LEN_MAX);
            assert!(text(&mut draw, "for (var i = 0; i < 9; i++) { }", &["loop", "😀"]).len() <= LEN_MAX);
        }
    }
}
