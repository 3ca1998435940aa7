//! What is asked of an order and of a task, whichever program it is of.

use crate::{BlobHash, Field};

pub(super) trait OrderProperties {
    /// The order's fields that name files, like `model` or `inputs.mask`.
    fn file_fields(&self) -> Vec<String>;
}

pub(super) trait TaskProperties {
    /// Program and kernel version, as receipts name them.
    fn version(&self) -> &'static str;

    /// The customer's code: a model or a kernel.
    fn code(&self) -> BlobHash;

    fn inputs(&self) -> Vec<Field>;

    fn outputs(&self) -> Vec<Field>;

    /// Bytes of a row over all inputs that have rows.
    fn row_bytes(&self) -> u64 {
        sum(self.inputs().iter().filter(|field| !field.shared))
    }

    /// Bytes of the inputs that all rows share.
    fn shared_bytes(&self) -> u64 {
        sum(self.inputs().iter().filter(|field| field.shared))
    }

    /// Bytes that follow the rows of each tile in an output, and say what they took.
    fn tile_note_bytes(&self) -> u64 {
        0
    }

    /// Bytes of an output row.
    fn out_bytes(&self) -> u64 {
        sum(self.outputs().iter())
    }
}

fn sum<'a>(fields: impl Iterator<Item = &'a Field>) -> u64 {
    fields.fold(0, |sum, field| sum.saturating_add(field.bytes()))
}
