//! A list that comes as one value. A driver copies each column of each row on its own, several times on its way to the
//! struct; for a page of hundreds of rows that took longer than finding them. One text is copied once. Its columns and
//! rows are apart by the characters that ASCII has for that.

use std::str::{FromStr, Split};

/// Ends a row. A text that a stranger wrote must not hold it: the statement takes it out.
pub(crate) const RECORD: char = '\u{1e}';
/// Ends a column. The last one of a row may hold it.
pub(crate) const UNIT: char = '\u{1f}';

/// A row's columns, in the statement's order.
pub(crate) struct Columns<'a>(&'a str);

impl<'a> Columns<'a> {
    pub(crate) fn text(&mut self) -> &'a str {
        let (column, rest) = self.0.split_once(UNIT).expect("a row should have all of its columns");
        self.0 = rest;
        column
    }

    pub(crate) fn number(&mut self) -> i64 {
        i64::from_str(self.text()).expect("a column of numbers should hold one")
    }

    /// The last one, whatever it holds.
    pub(crate) fn rest(self) -> &'a str {
        self.0
    }
}

/// The rows that a statement has put into one text, which is missing where there are none.
pub(crate) fn rows(text: Option<&str>) -> impl Iterator<Item = Columns<'_>> {
    let rows: Option<Split<'_, char>> = text.map(|text| text.split(RECORD));
    rows.into_iter().flatten().map(Columns)
}
