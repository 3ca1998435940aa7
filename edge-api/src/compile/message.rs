//! What the server asks of a child, and what it answers. Both are the same program, so the format has no versions.
//!
//! A message is a head in postcard's format and a tail of plain bytes: a model's file, a tile's rows, constants.

use gate::{AdmittedKernel, Contract, GateError};
use gpu_kernels::customer_kernel::GatedKernel;
use gpu_kernels::dtype::DType;
use gpu_kernels::records::Column;
use onnx::{Feed, ModelError, Port, Signature, Tensor};
use serde::{Deserialize, Serialize};
use wire::Detail;
use wire::number::to;

use crate::http::detail;

/// Length of the head and of the tail, little-endian.
pub const LENGTHS_BYTES: usize = 16;

pub fn lengths(head: usize, tail: u64) -> [u8; LENGTHS_BYTES] {
    let mut lengths = [0; LENGTHS_BYTES];
    lengths[..8].copy_from_slice(&to::<u64>(head).to_le_bytes());
    lengths[8..].copy_from_slice(&tail.to_le_bytes());
    lengths
}

pub fn read_lengths(lengths: [u8; LENGTHS_BYTES]) -> (u64, u64) {
    let number = u128::from_le_bytes(lengths);
    (to(number & u128::from(u64::MAX)), to(number >> 64))
}

#[derive(Debug, Deserialize, Serialize)]
pub enum Question {
    /// May this kernel in?
    Gate {
        source: String,
        record_bytes: u32,
        out_bytes: u32,
        fuel: Option<u32>,
    },
    /// The tail is a model's file, which the questions that follow are about.
    Load,
    Signature {
        feeds: Vec<FeedMessage>,
    },
    /// What does a plan for so many rows take?
    Measure {
        rows: u64,
        feeds: Vec<FeedMessage>,
    },
    /// A plan for a tab. The tail holds the values of shared inputs.
    Pack {
        task: String,
        rows: u64,
    },
    /// A tile's outputs, with every float nudged where there is a seed. The tail holds its inputs.
    Recompute {
        task: String,
        rows: u64,
        nudge: Option<u64>,
    },
}

#[derive(Debug, Deserialize, Serialize)]
pub enum Answer {
    Admitted(AdmittedMessage),
    Excluded {
        line: u32,
        column: u32,
        message: String,
    },
    Loaded(Vec<PortMessage>),
    Signature(SignatureMessage),
    Measured(Measured),
    /// The plan, in postcard's format. Its constants are the tail.
    Packed(Vec<u8>),
    /// The outputs are the tail.
    Recomputed,
    Refused(ModelRefusal),
    /// The server's fault, or a defect of the compiler's.
    Failed(String),
}

#[derive(Debug, Deserialize, Serialize)]
pub struct AdmittedMessage {
    wgsl: String,
    workgroup_size: u32,
    params_bytes: Option<u32>,
    loop_lines: Vec<u32>,
    ops: u64,
    words: Vec<(DTypeName, usize)>,
    floats: bool,
    fuel: u32,
    fuel_needed: Option<u64>,
}

impl From<AdmittedKernel> for AdmittedMessage {
    fn from(admitted: AdmittedKernel) -> Self {
        let AdmittedKernel { kernel, words, floats, fuel, fuel_needed } = admitted;
        let words = words.into_iter().map(|run| (run.dtype.into(), run.len)).collect();
        let GatedKernel { wgsl, workgroup_size, params_bytes, loop_lines, ops } = kernel;
        Self { wgsl, workgroup_size, params_bytes, loop_lines, ops, words, floats, fuel, fuel_needed }
    }
}

impl From<AdmittedMessage> for AdmittedKernel {
    fn from(message: AdmittedMessage) -> Self {
        let AdmittedMessage { wgsl, workgroup_size, params_bytes, loop_lines, ops, words, floats, fuel, fuel_needed } =
            message;
        let kernel = GatedKernel { wgsl, workgroup_size, params_bytes, loop_lines, ops };
        let run = |(dtype, len): (DTypeName, usize)| Column { dtype: dtype.into(), len };
        Self { kernel, words: words.into_iter().map(run).collect(), floats, fuel, fuel_needed }
    }
}

impl From<GateError> for Answer {
    fn from(error: GateError) -> Self {
        Self::Excluded { line: error.line, column: error.column, message: error.message }
    }
}

/// A tile is computed here once its model was found to be light, and beside other tiles.
const TIMES_FOR_TILES: u32 = 10;

impl Question {
    /// Seconds for the answer, where `seconds` are given to reading and planning.
    pub fn seconds(&self, seconds: u32) -> u32 {
        if matches!(self, Self::Recompute { .. }) { seconds.saturating_mul(TIMES_FOR_TILES) } else { seconds }
    }

    pub fn gate(source: String, contract: Contract) -> Self {
        let Contract { record_bytes, out_bytes, fuel } = contract;
        Self::Gate { source, record_bytes, out_bytes, fuel }
    }
}

/// What a plan takes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Measured {
    pub flops: u64,
    pub buffer_bytes_max: u64,
    pub device_bytes: u64,
}

/// Why a model is refused, in words for its owner.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, thiserror::Error)]
#[error("{reason}")]
pub struct ModelRefusal {
    pub kind: RefusalKind,
    pub reason: String,
    pub detail: Option<Detail>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum RefusalKind {
    UnsupportedOperator,
    /// It does not read the arrays that it was given.
    Input,
    Model,
}

impl From<&ModelError> for ModelRefusal {
    fn from(error: &ModelError) -> Self {
        let kind = match error {
            ModelError::UnsupportedOperator { .. } => RefusalKind::UnsupportedOperator,
            ModelError::InputShape { .. } | ModelError::InputCount { .. } => RefusalKind::Input,
            _ => RefusalKind::Model,
        };
        Self { kind, reason: error.to_string(), detail: detail::of(error) }
    }
}

/// A type of values, by its name.
#[derive(Debug, Deserialize, Serialize)]
pub struct DTypeName(String);

impl From<DType> for DTypeName {
    fn from(dtype: DType) -> Self {
        Self(dtype.name().to_owned())
    }
}

impl From<DTypeName> for DType {
    fn from(name: DTypeName) -> Self {
        Self::from_name(&name.0).expect("both ends should have the same types")
    }
}

#[derive(Debug, Deserialize, Serialize)]
pub struct PortMessage(String, DTypeName, Option<Vec<Option<usize>>>);

impl From<&Port> for PortMessage {
    fn from(port: &Port) -> Self {
        Self(port.name.clone(), port.dtype.into(), port.shape.clone())
    }
}

impl From<PortMessage> for Port {
    fn from(PortMessage(name, dtype, shape): PortMessage) -> Self {
        Self { name, dtype: dtype.into(), shape }
    }
}

#[derive(Debug, Deserialize, Serialize)]
pub struct SignatureMessage {
    outputs: Vec<(String, DTypeName, Vec<usize>)>,
    mixed_by: Option<String>,
    micro_batch: usize,
    rows_at_once: usize,
}

impl From<Signature> for SignatureMessage {
    fn from(signature: Signature) -> Self {
        let Signature { outputs, mixed_by, micro_batch, rows_at_once } = signature;
        let outputs = outputs.into_iter().map(|field| (field.name, field.dtype.into(), field.shape)).collect();
        Self { outputs, mixed_by, micro_batch, rows_at_once }
    }
}

impl From<SignatureMessage> for Signature {
    fn from(message: SignatureMessage) -> Self {
        let SignatureMessage { outputs, mixed_by, micro_batch, rows_at_once } = message;
        let field =
            |(name, dtype, shape): (String, DTypeName, Vec<usize>)| onnx::Field { name, dtype: dtype.into(), shape };
        Self { outputs: outputs.into_iter().map(field).collect(), mixed_by, micro_batch, rows_at_once }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum FeedMessage {
    Rows(Vec<usize>),
    Whole(Vec<usize>),
    Known { dtype: String, shape: Vec<usize>, words: Vec<u32> },
}

impl From<&Feed> for FeedMessage {
    fn from(feed: &Feed) -> Self {
        match feed {
            Feed::Rows(shape) => Self::Rows(shape.clone()),
            Feed::Whole(shape) => Self::Whole(shape.clone()),
            Feed::Known(Tensor { dtype, shape, words }) => {
                Self::Known { dtype: dtype.name().to_owned(), shape: shape.clone(), words: words.to_vec() }
            }
        }
    }
}

impl From<FeedMessage> for Feed {
    fn from(message: FeedMessage) -> Self {
        match message {
            FeedMessage::Rows(shape) => Self::Rows(shape),
            FeedMessage::Whole(shape) => Self::Whole(shape),
            FeedMessage::Known { dtype, shape, words } => {
                Self::Known(Tensor { dtype: DTypeName(dtype).into(), shape, words: words.into() })
            }
        }
    }
}
