//! What the documentation's pages show, as plain data.

use crate::route::Page;
use crate::text::Lang;

/// A page of the documentation.
pub struct DocsData {
    /// Every guide, in the order to read them in.
    pub sections: Vec<Section>,
    pub content: Content,
}

pub enum Content {
    Guide(Guide),
    Search { question: String, hits: Vec<Hit> },
    Reference(Box<Reference>),
    Downloads(Vec<Download>),
}

/// Guides under one heading.
pub struct Section {
    pub title: String,
    pub entries: Vec<SectionEntry>,
}

pub struct SectionEntry {
    pub title: String,
    pub page: Page,
}

pub struct Guide {
    pub title: String,
    pub description: String,
    /// Those under the title, in order.
    pub headings: Vec<Heading>,
    /// All but the title. It was Markdown of ours, and holds no HTML that was written in it.
    pub html: String,
    pub written_in: Lang,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    pub id: String,
    pub text: String,
}

/// A page, or a heading of it, that a question found.
pub struct Hit {
    pub page: Page,
    /// The page's.
    pub title: String,
    pub heading: Option<Heading>,
}

/// A program of ours for one kind of machine.
#[derive(Clone, Debug)]
pub struct Download {
    pub file: String,
    /// `tessera` or `tessera-worker`.
    pub program: &'static str,
    /// `linux`, `macos` or `windows`.
    pub system: &'static str,
    pub processor: &'static str,
    pub bytes: u64,
    /// In hexadecimal digits.
    pub sha256: String,
}

/// What the API does.
pub struct Reference {
    /// HTML.
    pub introduction: String,
    pub tags: Vec<Tag>,
    pub schemas: Vec<Schema>,
}

/// Operations on one subject.
pub struct Tag {
    pub name: String,
    pub description: String,
    pub operations: Vec<Operation>,
}

#[derive(Clone, Debug)]
pub struct Operation {
    pub id: String,
    /// In capitals.
    pub method: String,
    pub path: String,
    pub summary: String,
    /// HTML.
    pub description: String,
    pub wants_key: bool,
    pub parameters: Vec<Parameter>,
    pub body: Option<Body>,
    pub answers: Vec<Answer>,
    pub refusals: Vec<Refusal>,
    /// For a shell.
    pub command: String,
}

#[derive(Clone, Debug)]
pub struct Parameter {
    pub name: String,
    /// `path`, `query` or `header`.
    pub place: String,
    pub kind: Kind,
    pub is_required: bool,
    /// HTML.
    pub description: String,
}

#[derive(Clone, Debug)]
pub struct Body {
    pub media_type: String,
    /// Left out for bytes.
    pub kind: Option<Kind>,
    pub example: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: String,
    /// HTML.
    pub description: String,
    pub body: Option<Body>,
}

#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: String,
    pub code: String,
    pub meaning: String,
}

/// What a value may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A JSON type with its bounds.
    Plain(String),
    /// One of these texts.
    Values(Vec<String>),
    /// A schema by its name.
    Schema(String),
    Array(Box<Kind>),
    /// Values by name.
    Map(Box<Kind>),
}

impl Kind {
    /// The only text that it may be.
    pub fn constant(&self) -> Option<&str> {
        match self {
            Self::Values(values) => values.first().filter(|_| values.len() == 1).map(String::as_str),
            Self::Plain(_) | Self::Schema(_) | Self::Array(_) | Self::Map(_) => None,
        }
    }
}

/// A type of the API's: fields, or one of several choices with fields of their own, or a value.
pub struct Schema {
    pub name: String,
    /// HTML.
    pub description: String,
    /// Left out where there are fields or choices.
    pub kind: Option<Kind>,
    pub fields: Vec<SchemaField>,
    pub choices: Vec<Schema>,
}

pub struct SchemaField {
    pub name: String,
    pub kind: Kind,
    pub is_required: bool,
    /// HTML.
    pub description: String,
}
