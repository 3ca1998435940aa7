//! A kernel's text with its parts coloured: what stands behind the editor's own, transparent text.

/// What a piece of the text is, by the class that colours it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Comment,
    /// `@group`
    Attribute,
    Keyword,
    Type,
    Number,
    /// What is called.
    Function,
    Plain,
}

impl Kind {
    fn class(self) -> Option<&'static str> {
        match self {
            Self::Comment => Some("w-comment"),
            Self::Attribute => Some("w-attribute"),
            Self::Keyword => Some("w-keyword"),
            Self::Type => Some("w-type"),
            Self::Number => Some("w-number"),
            Self::Function => Some("w-function"),
            Self::Plain => None,
        }
    }
}

/// Longer texts are left as they are: they would be coloured anew with each key.
const CHARS_MAX: usize = 100_000;

const KEYWORDS: [&str; 23] = [
    "alias",
    "break",
    "case",
    "const",
    "const_assert",
    "continue",
    "continuing",
    "default",
    "discard",
    "else",
    "enable",
    "false",
    "fn",
    "for",
    "if",
    "let",
    "loop",
    "override",
    "return",
    "struct",
    "switch",
    "true",
    "var",
];
const MORE_KEYWORDS: [&str; 9] =
    ["while", "storage", "uniform", "function", "private", "workgroup", "read", "write", "read_write"];
const TYPES: [&str; 9] = ["bool", "f16", "f32", "i32", "u32", "array", "atomic", "ptr", "sampler"];

/// As HTML: the text's own characters are escaped.
pub(super) fn highlight(text: &str) -> String {
    let mut html = String::with_capacity(text.len() * 2);
    if text.len() > CHARS_MAX {
        escape(text, &mut html);
        return html;
    }
    let mut rest = text;
    while !rest.is_empty() {
        let (kind, len) = piece(rest);
        let (found, after) = rest.split_at(len);
        match kind.class() {
            Some(class) => {
                html.push_str("<span class=\"");
                html.push_str(class);
                html.push_str("\">");
                escape(found, &mut html);
                html.push_str("</span>");
            }
            None => escape(found, &mut html),
        }
        rest = after;
    }
    html
}

/// What the text begins with, and how long that is in bytes: one at least.
fn piece(text: &str) -> (Kind, usize) {
    let while_true = |holds: fn(char) -> bool| text.find(|c| !holds(c)).unwrap_or(text.len());
    let mut chars = text.chars();
    let (first, second) = (chars.next().unwrap_or_default(), chars.next());
    match (first, second) {
        ('/', Some('/')) => (Kind::Comment, text.find('\n').unwrap_or(text.len())),
        ('/', Some('*')) => (Kind::Comment, comment_end(text)),
        ('@', Some(c)) if is_start(c) => {
            (Kind::Attribute, 1 + text[1..].find(|c| !is_part(c)).unwrap_or(text.len() - 1))
        }
        ('0'..='9', _) | ('.', Some('0'..='9')) => (Kind::Number, number_end(text)),
        (c, _) if is_start(c) => {
            let len = while_true(is_part);
            (kind_of(&text[..len], &text[len..]), len)
        }
        (c, _) => (Kind::Plain, c.len_utf8()),
    }
}

fn is_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Comments may stand in comments. One without an end goes to the text's.
fn comment_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// With its point, its exponent and its ending. A sign belongs to it behind an exponent alone.
fn number_end(text: &str) -> usize {
    let is_hex = text.starts_with("0x") || text.starts_with("0X");
    let mut before = ' ';
    let end = text.find(|c: char| {
        let is_exponent = if is_hex { matches!(before, 'p' | 'P') } else { matches!(before, 'e' | 'E') };
        let goes_on = c.is_ascii_alphanumeric() || c == '.' || (is_exponent && matches!(c, '+' | '-'));
        before = c;
        !goes_on
    });
    end.unwrap_or(text.len())
}

fn kind_of(word: &str, after: &str) -> Kind {
    let is_numbered = |prefix: &str| {
        word.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['2', '3', '4']) && rest.len() <= 4)
    };
    if KEYWORDS.contains(&word) || MORE_KEYWORDS.contains(&word) {
        Kind::Keyword
    } else if TYPES.contains(&word) || is_numbered("vec") || is_numbered("mat") || word.starts_with("texture_") {
        Kind::Type
    } else if after.trim_start().starts_with('(') {
        Kind::Function
    } else {
        Kind::Plain
    }
}

fn escape(text: &str, html: &mut String) {
    for c in text.chars() {
        match c {
            '<' => html.push_str("&lt;"),
            '&' => html.push_str("&amp;"),
            '>' => html.push_str("&gt;"),
            c => html.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each piece that has a colour, as `kind:text`.
    fn coloured(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (kind, len) = piece(rest);
            if kind != Kind::Plain {
                found.push(format!("{kind:?}:{}", &rest[..len]));
            }
            rest = &rest[len..];
        }
        found
    }

    #[test]
    fn the_parts_of_a_kernel_are_told_apart() {
        let text = "@group(0) var<storage, read> a: array<vec3u>; // why\nlet b = f(0x1Fu) + 1.5e-3f - x2;";

        assert_eq!(
            coloured(text),
            [
                "Attribute:@group",
                "Number:0",
                "Keyword:var",
                "Keyword:storage",
                "Keyword:read",
                "Type:array",
                "Type:vec3u",
                "Comment:// why",
                "Keyword:let",
                "Function:f",
                "Number:0x1Fu",
                "Number:1.5e-3f",
            ]
        );
    }

    #[test]
    fn comments_stand_in_comments_and_need_no_end() {
        assert_eq!(coloured("/* a /* b */ c */ 1"), ["Comment:/* a /* b */ c */", "Number:1"]);
        assert_eq!(coloured("1 /* 照"), ["Number:1", "Comment:/* 照"]);
        assert_eq!(coloured("/*/"), ["Comment:/*/"]);
    }

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(highlight("a<b>&\"照"), "a&lt;b&gt;&amp;\"照");
        let text = "let a: array<u32> = b && c; // <script>";
        let shown = highlight(text);
        let plain = shown.replace("</span>", "");
        let plain: String =
            plain.split("<span class=\"").map(|part| part.split_once("\">").map_or(part, |(_, text)| text)).collect();
        assert_eq!(plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"), text);
    }
}
