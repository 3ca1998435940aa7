//! The one shape of a refusal.

use serde::{Deserialize, Serialize};

/// Body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Error))]
pub struct ErrorBody {
    /// What to branch on.
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Place {
    /// Counted from one.
    pub line: u32,
    /// In bytes.
    pub column: u32,
}

/// The codes with their meanings, which are read twice: as doc comments, and in the API's description.
macro_rules! error_codes {
    ($($(#[doc = $meaning:literal])+ $name:ident,)*) => {
        /// Stable names to branch on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorCode {
            $($(#[doc = $meaning])+ $name,)*
        }

        #[cfg(feature = "openapi")]
        impl ErrorCode {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What it says, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($meaning),+).trim_ascii_start(),)*
                }
            }
        }
    };
}

error_codes! {
    /// No key or session, or one that is not known.
    Unauthorized,
    /// The request came from another site's page.
    ForeignOrigin,
    /// Development mode is off, so nobody can open an account with faucet credits.
    NotInDevelopment,
    /// There is no such thing, or the caller may not know of it.
    NotFound,
    /// The address does not take this method; `Allow` names those that it takes.
    MethodNotAllowed,
    /// The request is not what the operation reads: its JSON, a parameter, or a field's value.
    MalformedRequest,
    /// The body, or the job that it describes, is larger than the limit.
    TooLarge,
    /// Too many requests, or too many at once, of one address or account; `Retry-After` says when to try again.
    RateLimited,
    /// The server has no room for the request's body for the moment; try again.
    Overloaded,
    /// The server's disk, or the account's part of it, is full.
    StorageFull,
    /// The account has no blob of this hash: upload it first.
    UnknownBlob,
    /// The model is not ONNX, or this network cannot run it.
    InvalidModel,
    /// The kernel is not WGSL, or outside the contract; the message begins with line and column.
    InvalidKernel,
    /// The parameters do not have the size that the kernel's binding 2 has.
    InvalidParams,
    /// The model has an operator that this network does not run.
    UnsupportedOperator,
    /// The input is not an array this network can read.
    InvalidInput,
    /// The input's rows do not fit the model.
    InputMismatch,
    /// The input has no rows.
    NoRows,
    /// One row costs more than a checker can redo.
    RowTooHeavy,
    /// The job cannot be cut into tiles of so many rows.
    InvalidTileRows,
    /// Connected devices are all too small for the model.
    NoDeviceFits,
    /// The account has less than the job can cost.
    InsufficientFunds,
    /// The job can cost more than the request's own limit.
    OverLimit,
    /// The idempotency key was used for another job.
    IdempotencyConflict,
    /// The account has as many keys as it may have.
    TooManyKeys,
    /// The account's last key cannot be revoked.
    LastKey,
    /// The job has ended already.
    JobEnded,
    /// The job has no result yet, or never will.
    JobNotDone,
    /// There is no such lease, or it is over.
    UnknownLease,
    /// A device code that is unknown, used or over.
    UnknownCode,
    /// A frame on a device's socket is not one that the edge reads.
    MalformedFrame,
    /// The device speaks another version of the protocol.
    ProtocolVersion,
    /// A hello or a receipt is not signed by the device's key.
    InvalidSignature,
    /// A frame came a second time, or the device has connected elsewhere.
    ReplayedFrame,
    /// The receipt came before its output was uploaded.
    OutputMissing,
    /// The lease has another output already.
    OutputTaken,
    /// The output does not have the bytes that the lease's rows have.
    OutputSize,
    /// A recomputed tile differs, or the output is not the one signed for.
    CheckFailed,
    /// The fault is the server's; try again.
    Internal,
}
