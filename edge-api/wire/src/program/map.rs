//! `map`: a customer's WGSL kernel over the records of a file.

use serde::{Deserialize, Serialize};

use super::properties::TaskProperties;
use crate::{BlobHash, Check, DType, Field, WordRun};

/// Program and kernel version, as receipts name them.
pub const VERSION: &str = "map/1";

/// What a customer asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(not(target_family = "wasm"), serde(deny_unknown_fields))]
pub struct Map {
    /// WGSL: `main`, one invocation a record.
    pub kernel: BlobHash,
    /// Records, one after another.
    pub input: BlobHash,
    /// Of an input record, in bytes.
    #[cfg_attr(feature = "openapi", schema(multiple_of = 4, minimum = 4))]
    pub record_bytes: u32,
    /// Of an output record, in bytes.
    #[cfg_attr(feature = "openapi", schema(multiple_of = 4, minimum = 4))]
    pub out_bytes: u32,
    /// What `@binding(2)` holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<BlobHash>,
    /// Operations that the loops of one record may take; left out, 65,536.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u32>,
    /// When two outputs are the same; left out, `exact` for integers and 1e-4, 1e-6 for floats. For
    /// integers that follow from floats it says how far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// Records a tile; left out, the edge chooses.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tile_records: Option<u32>,
}

/// What a device does with a lease's records: a row is a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MapTask {
    /// WGSL, as the customer wrote it.
    pub kernel: BlobHash,
    /// Of an input record, in bytes.
    pub record_bytes: u32,
    /// Of an output record, in bytes.
    pub out_bytes: u32,
    /// Operations that the loops of one record may take.
    pub fuel: u32,
    /// What `@binding(2)` holds; left out where the kernel has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<BlobHash>,
    /// Types of an output record's words, over and over to its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<WordRun>,
}

impl TaskProperties for MapTask {
    fn version(&self) -> &'static str {
        VERSION
    }

    fn code(&self) -> BlobHash {
        self.kernel
    }

    fn inputs(&self) -> Vec<Field> {
        vec![records("records", self.record_bytes)]
    }

    fn outputs(&self) -> Vec<Field> {
        vec![records("results", self.out_bytes)]
    }
}

/// Records are bytes.
fn records(name: &str, bytes: u32) -> Field {
    Field { name: name.to_owned(), dtype: DType::Uint8, shape: vec![u64::from(bytes)], shared: false, whole: false }
}

/// A kernel as the server's gate emits it, for devices that have no gate of their own: a tab takes
/// its programs from the server anyway, and its browser checks each shader again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GatedKernel {
    /// The text that a device compiles: the kernel with fuel and bounds written in.
    pub wgsl: String,
    /// Invocations a workgroup.
    pub workgroup_size: u32,
    /// Of `@binding(2)`.
    #[cfg_attr(feature = "openapi", schema(example = 16))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params_bytes: Option<u32>,
    /// Line of each loop in the customer's text, counted from one.
    pub loop_lines: Vec<u32>,
    /// The most operations that a record can take.
    pub ops: u64,
}

/// A kernel to be passed through the gate without running it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(not(target_family = "wasm"), serde(deny_unknown_fields))]
pub struct KernelToCheck {
    /// WGSL.
    pub kernel: String,
    /// Of an input record, in bytes.
    #[cfg_attr(feature = "openapi", schema(multiple_of = 4, minimum = 4))]
    pub record_bytes: u32,
    /// Of an output record, in bytes.
    #[cfg_attr(feature = "openapi", schema(multiple_of = 4, minimum = 4))]
    pub out_bytes: u32,
    /// Operations that the loops of one record may take; left out, 65,536.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u32>,
}

/// What the gate says of a kernel that it lets through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KernelReport {
    /// Invocations a workgroup.
    pub workgroup_size: u32,
    /// Of `@binding(2)`; none where the kernel takes no parameters.
    #[cfg_attr(feature = "openapi", schema(example = 16))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params_bytes: Option<u32>,
    /// The most operations that a record can take, its fuel included.
    pub ops: u64,
    /// Line of each loop, counted from one.
    pub loops: Vec<u32>,
    /// It computes with floats, so its job states a tolerance.
    pub floats: bool,
    /// Some word of its output is a float.
    pub answers_floats: bool,
    /// Some word of its output is an integer.
    pub answers_integers: bool,
}
