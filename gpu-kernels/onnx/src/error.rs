//! Why a model is refused, in words that its owner can act on.

use crate::limits::{OPSET_MAX, OPSET_MIN, STEPS_MAX, UNROLLED_MAX};

/// Why a model cannot run here. Every variant is something that the model's owner can mend, and
/// `Display` says how.
#[derive(Debug, thiserror::Error, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelError {
    #[error("this is not an ONNX model ({reason}); export one with torch.onnx.export or the like")]
    NotOnnx { reason: String },
    #[error("the model uses operator set {found}; this network runs {min} to {max}: export it with opset_version=17", min = OPSET_MIN, max = OPSET_MAX)]
    Opset { found: i64 },
    #[error("node '{node}' uses the operator {operator}, which this network lacks{reason}")]
    UnsupportedOperator {
        node: String,
        operator: String,
        /// The end of the sentence: why it is left out, or what there is instead.
        reason: String,
    },
    #[error("node '{node}' ({operator}) is asked to work on {dtype}, which it does not here; cast to float32 first")]
    UnsupportedType { node: String, operator: String, dtype: &'static str },
    #[error("node '{node}' uses attribute {attribute} in a way that is not supported: {reason}")]
    UnsupportedAttribute { node: String, attribute: String, reason: &'static str },
    #[error("the model has {expected} inputs ({}) and {found} were given", names.join(", "))]
    InputCount { names: Vec<String>, expected: usize, found: usize },
    #[serde(rename = "model_without_output")]
    #[error("the model has no output")]
    NoOutput,
    #[error("'{tensor}' is {found}, which no device here computes with; convert the model to float32")]
    DataType { tensor: String, found: &'static str },
    #[error("'{tensor}' holds {value}, and int64 values are kept in 32 bits here")]
    IntRange { tensor: String, value: i64 },
    #[error(
        "'{tensor}' keeps its data in another file; put the model and its files into one .zip, or save it as one file (save_as_external_data=False)"
    )]
    ExternalData { tensor: String },
    #[error(
        "'{tensor}' keeps its data at '{location}', which is not in the upload, or not so long; put that file into the .zip beside the model"
    )]
    ExternalFile { tensor: String, location: String },
    #[error("'{tensor}' says it has {expected} values and holds {found}; the file is damaged")]
    TensorSize { tensor: String, expected: u64, found: u64 },
    #[error(
        "node '{node}' reads '{tensor}', which nothing before it makes; the graph has a cycle, or a tensor is missing"
    )]
    MissingTensor { node: String, tensor: String },
    #[error("two tensors are called '{tensor}'; names must be unique")]
    DuplicateName { tensor: String },
    #[error("node '{node}' ({operator}) has {found} inputs; it needs {expected}")]
    InputArity { node: String, operator: String, expected: usize, found: usize },
    #[serde(rename = "node_not_constant")]
    #[error("node '{node}' needs '{tensor}' to be known before the run: a constant, or computed from shapes alone")]
    NotConstant { node: String, tensor: String },
    #[error("node '{node}': {reason}; found {found}")]
    Shape { node: String, reason: &'static str, found: String },
    #[error("node '{node}' would make a tensor of 2^31 values or more; use smaller shapes")]
    TooLarge { node: String },
    #[error("node '{node}' needs {steps} kernel calls; at most {max} are run at once: use a shorter sequence, or fewer rows a tile", max = STEPS_MAX)]
    TooLong { node: String, steps: usize },
    #[error("node '{node}' turns more often than a plan can hold ({max} nodes unrolled); use a shorter sequence", max = UNROLLED_MAX)]
    Unrolled { node: String },
    #[error(
        "node '{node}' mixes the rows of a batch, so rows cannot be computed apart; keep the batch in the first dimension throughout"
    )]
    MixesRows { node: String },
    #[error(
        "the model fixes its batch at {batch}, and does not run with another: export it with a batch of 1, or a free one (dynamic_axes, dynamic_shapes). What failed: {error}"
    )]
    FixedBatch { batch: usize, error: Box<ModelError> },
    #[error("the model reads '{input}' of shape {expected} and was given {found}")]
    InputShape { input: String, expected: String, found: String },
}

/// Most entries of a list, and characters of what was found, that a refusal shows.
const ENTRIES_MAX: usize = 16;
const FOUND_CHARS_MAX: usize = 300;

pub(crate) fn show(shape: &[usize]) -> String {
    let mut parts: Vec<String> = shape.iter().take(ENTRIES_MAX).map(ToString::to_string).collect();
    if shape.len() > ENTRIES_MAX {
        parts.push(format!("… {} in all", shape.len()));
    }
    format!("[{}]", parts.join(", "))
}

/// What was found, where a model may have made it as long as it likes.
pub(crate) fn shortened(mut found: String) -> String {
    if let Some((end, _)) = found.char_indices().nth(FOUND_CHARS_MAX) {
        found.truncate(end);
        found.push('…');
    }
    found
}
