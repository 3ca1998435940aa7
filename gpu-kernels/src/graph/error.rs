use super::op;

/// Why a model cannot run here. Every variant is something that the model's owner can mend, and
/// `Display` says how.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ModelError {
    #[error("this is not an ONNX model ({reason}); export one with torch.onnx.export or the like")]
    NotOnnx { reason: String },
    #[error("the model uses operator set {found}; this network runs 13 to {max}: export it with opset_version=17", max = super::OPSET_MAX)]
    Opset { found: i64 },
    #[error("node '{node}' uses the operator {operator}, which this network lacks; it has {}", op::NAMES.join(", "))]
    UnsupportedOperator { node: String, operator: String },
    #[error("node '{node}' uses attribute {attribute} in a way that is not supported: {reason}")]
    UnsupportedAttribute { node: String, attribute: String, reason: &'static str },
    #[error("the model has {} inputs ({}); exactly one is supported: fold the others into the graph", names.len(), names.join(", "))]
    InputCount { names: Vec<String> },
    #[error("the model has {} outputs ({}); exactly one is supported: export the one you need", names.len(), names.join(", "))]
    OutputCount { names: Vec<String> },
    #[error("'{tensor}' is {found}; only float32 is supported (int64 for shapes): convert the model to float32")]
    DataType { tensor: String, found: &'static str },
    #[error("'{tensor}' keeps its data in another file; save the model as one file (save_as_external_data=False)")]
    ExternalData { tensor: String },
    #[error("'{tensor}' says it has {expected} values and holds {found}; the file is damaged")]
    TensorSize { tensor: String, expected: u64, found: u64 },
    #[error(
        "node '{node}' reads '{tensor}', which nothing before it makes; the graph has a cycle, or a tensor is missing"
    )]
    MissingTensor { node: String, tensor: String },
    #[error("two tensors are called '{tensor}'; names must be unique")]
    DuplicateName { tensor: String },
    #[error("node '{node}' ({operator}) has {found} inputs; it needs {expected}")]
    InputArity { node: String, operator: &'static str, expected: &'static str, found: usize },
    #[error("node '{node}' needs '{tensor}' to be a constant stored in the model")]
    NotConstant { node: String, tensor: String },
    #[error("node '{node}': {reason}; found {found}")]
    Shape { node: String, reason: &'static str, found: String },
    #[error("node '{node}' would make a tensor of more than 2^31 values; use smaller shapes")]
    TooLarge { node: String },
    #[error(
        "node '{node}' mixes the rows of a batch, so rows cannot be computed apart; keep the batch in the first dimension throughout"
    )]
    MixesRows { node: String },
    #[error("the model reads rows of shape {expected} and the input has rows of shape {found}")]
    InputShape { expected: String, found: String },
}

pub(super) fn show(shape: &[usize]) -> String {
    let parts: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("[{}]", parts.join(", "))
}
