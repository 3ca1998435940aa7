//! `infer`: a model over the rows of arrays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::properties::{OrderProperties, TaskProperties};
use crate::{BlobHash, Field};

/// Program and kernel version, as receipts name them.
pub const VERSION: &str = "infer/1";

/// What a customer asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(not(target_family = "wasm"), serde(deny_unknown_fields))]
pub struct Infer {
    /// ONNX.
    pub model: BlobHash,
    /// `.npy` for a model of one input, or `.npz` whose arrays have the inputs' names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<BlobHash>,
    /// `.npy` by input, in place of `input`.
    #[cfg_attr(
        feature = "openapi",
        schema(example = json!({ "images": "5959595959595959595959595959595959595959595959595959595959595959" }))
    )]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, BlobHash>,
    /// Rows a tile; left out, the edge chooses.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tile_rows: Option<u32>,
}

/// A model to be looked at without rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(not(target_family = "wasm"), serde(deny_unknown_fields))]
pub struct ModelToCheck {
    /// ONNX, uploaded before.
    pub model: BlobHash,
}

/// What a model takes and answers, as far as that is known without rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelReport {
    /// In the model's order.
    pub inputs: Vec<ModelInput>,
    /// Left out where an input has axes of any size besides the first: it depends on the rows then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<ModelPlan>,
}

/// An input as the model declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelInput {
    /// What to call its array.
    pub name: String,
    /// As numpy calls it.
    #[cfg_attr(feature = "openapi", schema(example = "float32"))]
    pub dtype: String,
    /// The first axis is that of the rows; `null` stands for any size. Left out where the model says nothing.
    #[cfg_attr(feature = "openapi", schema(example = json!([null, 3, 224, 224])))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<Option<u64>>>,
}

/// How a model runs over rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelPlan {
    /// In the model's order; shapes are a row's.
    pub outputs: Vec<Field>,
    /// Floating-point operations a row, or of all where the outputs are `whole`.
    pub row_flops: u64,
    /// It computes across rows, so that a job of it is one tile.
    pub mixes_rows: bool,
}

/// What a device does with a lease's rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InferTask {
    /// ONNX.
    pub model: BlobHash,
    /// In the model's order.
    pub inputs: Vec<Field>,
    /// In the model's order.
    pub outputs: Vec<Field>,
}

impl OrderProperties for Infer {
    fn file_fields(&self) -> Vec<String> {
        let fields = [Some("model".to_owned()), self.input.map(|_| "input".to_owned())];
        fields.into_iter().flatten().chain(self.inputs.keys().map(|name| format!("inputs.{name}"))).collect()
    }
}

impl TaskProperties for InferTask {
    fn version(&self) -> &'static str {
        VERSION
    }

    fn code(&self) -> BlobHash {
        self.model
    }

    fn inputs(&self) -> Vec<Field> {
        self.inputs.clone()
    }

    fn outputs(&self) -> Vec<Field> {
        self.outputs.clone()
    }
}
