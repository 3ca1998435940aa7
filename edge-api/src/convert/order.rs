//! What is to be made of a file, and what was made.

use serde::{Deserialize, Serialize};
use wire::{ArraysToMake, Blob, FileKind, MadeArray, MadeArrays, PictureReading, TableReading};

use super::port::Port;

/// What the child is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub request: ArraysToMake,
    /// The model's inputs.
    pub ports: Vec<Port>,
    /// Of the file, in bytes.
    pub size: u64,
    /// Of what is made, in bytes.
    pub most: u64,
}

/// What became of it, but for where that is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Made {
    pub kind: FileKind,
    pub unchanged: bool,
    pub rows: u64,
    pub arrays: Vec<MadeArray>,
    pub table: Option<TableReading>,
    pub pictures: Option<PictureReading>,
    pub files: Vec<String>,
}

impl Made {
    pub fn new(kind: FileKind, arrays: Vec<MadeArray>) -> Self {
        let rows = arrays.first().and_then(|array| array.shape.first()).copied().unwrap_or(1);
        Self { kind, unchanged: false, rows, arrays, table: None, pictures: None, files: Vec::new() }
    }

    pub fn stored_as(self, blob: Blob) -> MadeArrays {
        let Self { kind, unchanged, rows, arrays, table, pictures, files } = self;
        MadeArrays { blob, kind, unchanged, rows, arrays, table, pictures, files }
    }
}
