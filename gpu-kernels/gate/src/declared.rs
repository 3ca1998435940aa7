//! Where a text declares its `let`s and `const`s.

use std::ops::Range;

/// A `let` or `const`, from that word to its semicolon.
pub(super) struct Declared<'a> {
    pub(super) at: Range<usize>,
    pub(super) is_let: bool,
    pub(super) name: &'a str,
    /// The function that it stands in; none stands outside.
    pub(super) function: &'a str,
    /// What of the text makes its value.
    pub(super) value: &'a [(usize, &'a str)],
}

impl Declared<'_> {
    pub(super) fn is_pointer(&self) -> bool {
        self.value.iter().find(|(_, word)| *word != "(").is_some_and(|(_, word)| *word == "&")
    }
}

/// Those of a text that has been parsed, in order.
pub(super) fn declared<'a>(words: &'a [(usize, &'a str)]) -> Vec<Declared<'a>> {
    let (mut found, mut function, mut depth) = (Vec::new(), "", 0u32);
    let (mut at, next) = (0, |at: usize| words.get(at).map_or("", |(_, word)| *word));
    while let Some((start, word)) = words.get(at) {
        match *word {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    function = "";
                }
            }
            "fn" => function = next(at + 1),
            "let" | "const" => {
                let end = words[at..].iter().position(|(_, word)| *word == ";").map_or(words.len(), |end| at + end);
                let value =
                    words[at..end].iter().position(|(_, word)| *word == "=").map_or(end, |equal| at + equal + 1);
                let last = words.get(end).map_or(usize::MAX, |(last, _)| *last);
                let (is_let, name, value) = (*word == "let", next(at + 1), &words[value..end]);
                found.push(Declared { at: *start..last, is_let, name, function, value });
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// The words of a text and where they stand, each other sign by itself, without blanks and comments: once through it.
pub(super) fn words(text: &str) -> Vec<(usize, &str)> {
    let (mut words, mut at) = (Vec::new(), 0);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let len = match first {
            '/' if rest.starts_with("//") => rest.find(is_line_end).unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment_bytes(rest),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let is_sign = !first.is_whitespace() && !matches!(first, '\u{200e}' | '\u{200f}');
        if is_sign && !["//", "/*"].iter().any(|comment| rest.starts_with(comment)) {
            words.push((at, &rest[..len]));
        }
        at += len;
    }
    words
}

pub(super) fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\u{a}'..='\u{d}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Of a comment, in which others may stand.
pub(super) fn comment_bytes(text: &str) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_apart_from_comments_and_longer_words() {
        let text = "/*let a = 1;/* let */*/ outlet let a /**/ = -1f; // let b\rlet\u{200e}b = 2;";
        let found: Vec<&str> = words(text).into_iter().map(|(_, word)| word).collect();

        assert_eq!(found, ["outlet", "let", "a", "=", "-", "1f", ";", "let", "b", "=", "2", ";"]);
    }

    #[test]
    fn declarations_know_their_function_and_their_value() {
        let words = words("const n = 1; fn one() { let p = (&v); } fn two() { if x { let q = n; } }");
        let found = declared(&words);
        let told: Vec<_> = found.iter().map(|of| (of.is_let, of.function, of.name, of.is_pointer())).collect();

        assert_eq!(told, [(false, "", "n", false), (true, "one", "p", true), (true, "two", "q", false)]);
    }

    #[test]
    fn no_part_of_a_text_is_read_twice() {
        for part in ["/*let", "let", "let\u{e9}", "let ", "let a", "let a=", "//let", "const ", "/"] {
            let text = part.repeat(9000);
            let words = words(&text);
            let read: usize = words.iter().map(|(_, word)| word.len()).sum();
            let held: usize = declared(&words).iter().map(|of| of.value.len()).sum();

            assert!(read <= text.len() && held <= words.len(), "{part}");
            assert!(words.windows(2).all(|two| two[0].0 + two[0].1.len() <= two[1].0), "{part}");
        }
    }
}
