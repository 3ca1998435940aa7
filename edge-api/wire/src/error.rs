//! The one shape of a refusal.

use serde::{Deserialize, Serialize};

/// Body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    pub code: ErrorCode,
    /// What is wrong and what to do, for a person.
    pub message: String,
    /// The field of the request that is at fault, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Where in a customer's text, both counted from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub line: u32,
    /// In bytes.
    pub column: u32,
}

/// Stable names to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// No key or session, or one that is not known.
    Unauthorized,
    /// The request came from another site's page.
    ForeignOrigin,
    /// Development mode is off, so nobody can open an account with faucet credits.
    NotInDevelopment,
    NotFound,
    MalformedRequest,
    /// The body is larger than the limit.
    TooLarge,
    RateLimited,
    UnknownBlob,
    /// The model is not ONNX, or this network cannot run it.
    InvalidModel,
    /// The kernel is not WGSL, or outside the contract; the message begins with line and column.
    InvalidKernel,
    /// The parameters do not have the size that the kernel's binding 2 has.
    InvalidParams,
    UnsupportedOperator,
    /// The input is not an array this network can read.
    InvalidInput,
    /// The input's rows do not fit the model.
    InputMismatch,
    NoRows,
    /// One row costs more than a checker can redo.
    RowTooHeavy,
    InvalidTileRows,
    /// Connected devices are all too small for the model.
    NoDeviceFits,
    InsufficientFunds,
    OverLimit,
    IdempotencyConflict,
    TooManyKeys,
    /// The account's last key cannot be revoked.
    LastKey,
    JobEnded,
    JobNotDone,
    UnknownLease,
    /// A device code that is unknown, used or over.
    UnknownCode,
    MalformedFrame,
    ProtocolVersion,
    InvalidSignature,
    ReplayedFrame,
    OutputMissing,
    OutputSize,
    /// A recomputed tile differs, or the output is not the one signed for.
    CheckFailed,
    Internal,
}
