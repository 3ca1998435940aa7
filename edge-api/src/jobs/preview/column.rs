//! An output among a result's rows.

use wire::{DType, Field, number};

/// An output, where its bytes lie in each row, and what its values are.
pub(super) struct Column {
    pub(super) field: Field,
    pub(super) start: usize,
    /// Of a kernel's records: the types of their words, over and over.
    pub(super) words: Vec<DType>,
}

impl Column {
    pub(super) fn bytes(&self) -> usize {
        number::to(self.field.bytes())
    }

    /// Of the row's bytes, those of this output.
    pub(super) fn cut<'a>(&self, row: &'a [u8]) -> &'a [u8] {
        row.get(self.start..self.start + self.bytes()).unwrap_or_default()
    }
}
