//! What a device does with the rows of a lease, and how those rows lie in bytes.
//!
//! A lease's input holds the rows of each input after one another, then each shared input whole. Its
//! output holds row after row, and in each row the outputs in order. Values are little-endian.

use serde::{Deserialize, Serialize};

use crate::BlobHash;
use crate::device::{INFER, MAP};

/// The type of an array's values, by numpy's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    Float32,
    Float16,
    Int64,
    Int32,
    Int16,
    Int8,
    Uint32,
    Uint16,
    Uint8,
    Bool,
}

impl DType {
    pub const ALL: [Self; 10] = [
        Self::Float32,
        Self::Float16,
        Self::Int64,
        Self::Int32,
        Self::Int16,
        Self::Int8,
        Self::Uint32,
        Self::Uint16,
        Self::Uint8,
        Self::Bool,
    ];

    pub fn is_float(self) -> bool {
        matches!(self, Self::Float32 | Self::Float16)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Int64 => "int64",
            Self::Int32 => "int32",
            Self::Int16 => "int16",
            Self::Int8 => "int8",
            Self::Uint32 => "uint32",
            Self::Uint16 => "uint16",
            Self::Uint8 => "uint8",
            Self::Bool => "bool",
        }
    }

    /// As a `.npy` head names it.
    pub fn descr(self) -> &'static str {
        match self {
            Self::Float32 => "<f4",
            Self::Float16 => "<f2",
            Self::Int64 => "<i8",
            Self::Int32 => "<i4",
            Self::Int16 => "<i2",
            Self::Int8 => "|i1",
            Self::Uint32 => "<u4",
            Self::Uint16 => "<u2",
            Self::Uint8 => "|u1",
            Self::Bool => "|b1",
        }
    }

    /// Of one value.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Int64 => 8,
            Self::Float32 | Self::Int32 | Self::Uint32 => 4,
            Self::Float16 | Self::Int16 | Self::Uint16 => 2,
            Self::Int8 | Self::Uint8 | Self::Bool => 1,
        }
    }
}

/// An input or an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    pub dtype: DType,
    /// Of a row; of the whole where it is shared.
    pub shape: Vec<u64>,
    /// The same for all rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// The job has one row, and this array is it: no dimension before `shape` counts rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
}

impl Field {
    /// Bytes of a row; of the whole where it is shared. Saturates.
    pub fn bytes(&self) -> u64 {
        self.shape.iter().fold(self.dtype.bytes(), |bytes, &size| bytes.saturating_mul(size))
    }
}

/// What a device does with the rows of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Task {
    /// A model over rows.
    Infer {
        /// ONNX.
        model: BlobHash,
        /// In the model's order.
        inputs: Vec<Field>,
        outputs: Vec<Field>,
    },
    /// A kernel over records: a row is a record.
    Map {
        /// WGSL, as the customer wrote it.
        kernel: BlobHash,
        record_bytes: u32,
        out_bytes: u32,
        /// Operations that the loops of one record may take.
        fuel: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        params: Option<BlobHash>,
    },
}

impl Task {
    /// Program and kernel version, as receipts name them.
    pub fn program(&self) -> &'static str {
        match self {
            Self::Infer { .. } => INFER,
            Self::Map { .. } => MAP,
        }
    }

    /// The customer's program: a model or a kernel.
    pub fn code(&self) -> BlobHash {
        match self {
            Self::Infer { model, .. } => *model,
            Self::Map { kernel, .. } => *kernel,
        }
    }

    /// Bytes of a row over all inputs that have rows.
    pub fn row_bytes(&self) -> u64 {
        match self {
            Self::Infer { inputs, .. } => sum(inputs.iter().filter(|field| !field.shared)),
            Self::Map { record_bytes, .. } => u64::from(*record_bytes),
        }
    }

    /// Bytes of the inputs that all rows share.
    pub fn shared_bytes(&self) -> u64 {
        match self {
            Self::Infer { inputs, .. } => sum(inputs.iter().filter(|field| field.shared)),
            Self::Map { .. } => 0,
        }
    }

    /// Bytes of an output row.
    pub fn out_bytes(&self) -> u64 {
        match self {
            Self::Infer { outputs, .. } => sum(outputs.iter()),
            Self::Map { out_bytes, .. } => u64::from(*out_bytes),
        }
    }

    /// A map's records are bytes.
    pub fn inputs(&self) -> Vec<Field> {
        match self {
            Self::Infer { inputs, .. } => inputs.clone(),
            Self::Map { record_bytes, .. } => vec![records("records", *record_bytes)],
        }
    }

    pub fn outputs(&self) -> Vec<Field> {
        match self {
            Self::Infer { outputs, .. } => outputs.clone(),
            Self::Map { out_bytes, .. } => vec![records("results", *out_bytes)],
        }
    }
}

fn records(name: &str, bytes: u32) -> Field {
    Field { name: name.to_owned(), dtype: DType::Uint8, shape: vec![u64::from(bytes)], shared: false, whole: false }
}

fn sum<'a>(fields: impl Iterator<Item = &'a Field>) -> u64 {
    fields.fold(0, |sum, field| sum.saturating_add(field.bytes()))
}

/// A kernel as the server's gate emits it, for devices that have no gate of their own: a tab takes
/// its programs from the server anyway, and its browser checks each shader again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatedKernel {
    pub wgsl: String,
    /// Invocations a workgroup.
    pub workgroup_size: u32,
    /// Of `@binding(2)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params_bytes: Option<u32>,
    /// Line of each loop in the customer's text, counted from one.
    pub loop_lines: Vec<u32>,
    /// The most operations that a record can take.
    pub ops: u64,
}

/// What the gate says of a kernel that it lets through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelReport {
    /// Invocations a workgroup.
    pub workgroup_size: u32,
    /// Of `@binding(2)`; none where the kernel takes no parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params_bytes: Option<u32>,
    /// The most operations that a record can take, its fuel included.
    pub ops: u64,
    /// Line of each loop, counted from one.
    pub loops: Vec<u32>,
    /// It computes with floats, so its job states a tolerance.
    pub floats: bool,
}
