//! Arrays as jobs take and give them: numpy's types and shapes, row by row.

use serde::{Deserialize, Serialize};

/// The type of an array's values, by numpy's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Field {
    /// The program's name for it.
    pub name: String,
    /// The type of its values.
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

    /// The name of its type and its shape, by which the kernels know an array.
    pub fn array(&self) -> (&str, &[u64]) {
        (self.dtype.name(), &self.shape)
    }
}

/// Words after one another that have one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WordRun {
    /// `float32`, `int32` or `uint32`.
    pub dtype: DType,
    /// How many words.
    pub words: u32,
}
