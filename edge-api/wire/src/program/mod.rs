//! What a job runs. A program is a file here: what a customer asks for, and what a device does with a
//! lease's rows. It has one line in [`Program`] and one in [`Task`].
//!
//! A lease's input holds the rows of each input after one another, then each shared input whole. Its
//! output holds row after row, and in each row the outputs in order. Values are little-endian.

pub mod infer;
pub mod map;

use serde::{Deserialize, Serialize};

use self::infer::{Infer, InferTask};
use self::map::{Map, MapTask};
use crate::{BlobHash, Field};

/// What a customer asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Program {
    /// A model over the rows of arrays.
    Infer(Infer),
    /// A kernel of the customer's own over the records of a file.
    Map(Map),
}

/// What a device does with the rows of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Task {
    /// A model over rows.
    Infer(InferTask),
    /// A kernel over records.
    Map(MapTask),
}

impl Task {
    /// Program and kernel version, as receipts name them.
    pub fn program(&self) -> &'static str {
        match self {
            Self::Infer(_) => infer::VERSION,
            Self::Map(_) => map::VERSION,
        }
    }

    /// The customer's code: a model or a kernel.
    pub fn code(&self) -> BlobHash {
        match self {
            Self::Infer(task) => task.model,
            Self::Map(task) => task.kernel,
        }
    }

    /// Every blob that a device needs besides the rows.
    pub fn blobs(&self) -> Vec<BlobHash> {
        match self {
            Self::Infer(task) => vec![task.model],
            Self::Map(task) => std::iter::once(task.kernel).chain(task.params).collect(),
        }
    }

    pub fn inputs(&self) -> Vec<Field> {
        match self {
            Self::Infer(task) => task.inputs.clone(),
            Self::Map(task) => vec![task.input()],
        }
    }

    pub fn outputs(&self) -> Vec<Field> {
        match self {
            Self::Infer(task) => task.outputs.clone(),
            Self::Map(task) => vec![task.output()],
        }
    }

    /// Bytes of a row over all inputs that have rows.
    pub fn row_bytes(&self) -> u64 {
        match self {
            Self::Infer(task) => task.row_bytes(),
            Self::Map(task) => u64::from(task.record_bytes),
        }
    }

    /// Bytes of the inputs that all rows share.
    pub fn shared_bytes(&self) -> u64 {
        match self {
            Self::Infer(task) => task.shared_bytes(),
            Self::Map(_) => 0,
        }
    }

    /// Bytes of an output row.
    pub fn out_bytes(&self) -> u64 {
        match self {
            Self::Infer(task) => task.out_bytes(),
            Self::Map(task) => u64::from(task.out_bytes),
        }
    }
}
