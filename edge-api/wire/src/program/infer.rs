//! `infer`: a model over the rows of arrays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{BlobHash, Field};

/// Program and kernel version, as receipts name them.
pub const VERSION: &str = "infer/1";

/// What a customer asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Infer {
    /// ONNX.
    pub model: BlobHash,
    /// `.npy` for a model of one input, or `.npz` whose arrays have the inputs' names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<BlobHash>,
    /// `.npy` by input, in place of `input`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, BlobHash>,
    /// Rows a tile; left out, the edge chooses.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tile_rows: Option<u32>,
}

/// What a device does with a lease's rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InferTask {
    /// ONNX.
    pub model: BlobHash,
    /// In the model's order.
    pub inputs: Vec<Field>,
    pub outputs: Vec<Field>,
}

impl InferTask {
    /// Of a row over all inputs that have rows.
    pub fn row_bytes(&self) -> u64 {
        sum(self.inputs.iter().filter(|field| !field.shared))
    }

    /// Of the inputs that all rows share.
    pub fn shared_bytes(&self) -> u64 {
        sum(self.inputs.iter().filter(|field| field.shared))
    }

    /// Of an output row.
    pub fn out_bytes(&self) -> u64 {
        sum(self.outputs.iter())
    }
}

fn sum<'a>(fields: impl Iterator<Item = &'a Field>) -> u64 {
    fields.fold(0, |sum, field| sum.saturating_add(field.bytes()))
}
