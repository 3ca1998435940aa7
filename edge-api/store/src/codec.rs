//! How values become columns and back: numbers, flags, ids, names, JSON. What was written through a type reads
//! back as it, so what does not is a damaged database, and stops.

use std::str::FromStr;

use wire::number::to;

/// Flags are 0 or 1: `Any` has no booleans.
pub fn flag(value: bool) -> i64 {
    i64::from(value)
}

/// A count as SQL stores it. Counts here are bounded far below 2^63.
pub fn count(value: impl TryInto<i64>) -> i64 {
    to(value)
}

/// A stored count that cannot be negative.
pub fn uncount(value: i64) -> u64 {
    to(value)
}

/// A stored id.
pub fn id<T: FromStr>(text: &str) -> T {
    text.parse().ok().expect("a stored id should be well formed")
}

/// An id that may be missing: an empty text, since a primary key holds no null.
pub(crate) fn optional_id<T: FromStr>(text: &str) -> Option<T> {
    (!text.is_empty()).then(|| id(text))
}

/// What [`optional_id`] reads.
pub(crate) fn optional_text(value: Option<impl std::fmt::Display>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// The one of `all` that is stored by this name.
pub(crate) fn named<T: Copy>(all: &[T], name_of: impl Fn(T) -> &'static str, name: &str) -> T {
    *all.iter().find(|value| name_of(**value) == name).expect("a stored name should be known")
}

/// What is stored as one text.
pub fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("what is stored should serialise")
}

/// A stored JSON text.
pub fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).expect("what is stored should parse")
}
