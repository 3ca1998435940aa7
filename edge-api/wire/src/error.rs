//! The one shape of a refusal.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
    /// What the message says, for whoever says it in another language; left out where `code` says it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Box<Detail>>,
}

/// A refusal's message apart from its words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Detail {
    /// Names the message. Further ones may come.
    pub reason: String,
    /// What the message names, by what it is.
    pub arguments: BTreeMap<String, String>,
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
    ($($(#[doc = $meaning:literal])+ $name:ident = $text:literal,)*) => {
        /// Stable names to branch on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(rename_all = "snake_case"))]
        pub enum ErrorCode {
            $($(#[doc = $meaning])+ $name,)*
        }

        impl ErrorCode {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As JSON has it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }

        #[cfg(feature = "openapi")]
        impl ErrorCode {
            /// What it says, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($meaning),+).trim_ascii_start(),)*
                }
            }
        }
    };
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// By its name in a list: what serde derives for so many names is several kilobytes of each page.
impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = Self::ALL.iter().copied().find(|code| code.name() == name);
        found.ok_or_else(|| D::Error::custom(format_args!("unknown error code '{name}'")))
    }
}

error_codes! {
    /// No key or session, or one that is not known.
    Unauthorized = "unauthorized",
    /// The request came from another site's page.
    ForeignOrigin = "foreign_origin",
    /// Development mode is off, so nobody can open an account with faucet credits.
    NotInDevelopment = "not_in_development",
    /// There is no such thing, or the caller may not know of it.
    NotFound = "not_found",
    /// The address does not take this method; `Allow` names those that it takes.
    MethodNotAllowed = "method_not_allowed",
    /// The request is not what the operation reads: its JSON, a parameter, or a field's value.
    MalformedRequest = "malformed_request",
    /// The body, or the job that it describes, is larger than the limit.
    TooLarge = "too_large",
    /// Too many requests, or too many at once, of one address or account; `Retry-After` says when to try again.
    RateLimited = "rate_limited",
    /// The server has no room for the request's body for the moment; try again.
    Overloaded = "overloaded",
    /// The server is being replaced: connect again, and another one answers.
    Draining = "draining",
    /// The server's disk, or the account's part of it, is full.
    StorageFull = "storage_full",
    /// The account has no blob of this hash: upload it first.
    UnknownBlob = "unknown_blob",
    /// The model is not ONNX, or this network cannot run it.
    InvalidModel = "invalid_model",
    /// The kernel is not WGSL, or outside the contract; the message begins with line and column.
    InvalidKernel = "invalid_kernel",
    /// The parameters do not have the size that the kernel's binding 2 has.
    InvalidParams = "invalid_params",
    /// The model has an operator that this network does not run.
    UnsupportedOperator = "unsupported_operator",
    /// The input is not an array this network can read.
    InvalidInput = "invalid_input",
    /// The input's rows do not fit the model.
    InputMismatch = "input_mismatch",
    /// The input has no rows.
    NoRows = "no_rows",
    /// One row costs more than a checker can redo.
    RowTooHeavy = "row_too_heavy",
    /// The job cannot be cut into tiles of so many rows.
    InvalidTileRows = "invalid_tile_rows",
    /// Connected devices are all too small for the model.
    NoDeviceFits = "no_device_fits",
    /// The account has less than the job can cost.
    InsufficientFunds = "insufficient_funds",
    /// The job can cost more than the request's own limit.
    OverLimit = "over_limit",
    /// The idempotency key was used for another job.
    IdempotencyConflict = "idempotency_conflict",
    /// The account has as many keys as it may have.
    TooManyKeys = "too_many_keys",
    /// The account's last key cannot be revoked.
    LastKey = "last_key",
    /// The job has ended already.
    JobEnded = "job_ended",
    /// The job has no result yet, or never will.
    JobNotDone = "job_not_done",
    /// A part of the result is lost where the server keeps it; `partial` gives the rest.
    ResultDamaged = "result_damaged",
    /// The range that is asked for begins behind the file's end; `Content-Range` says how long that is.
    RangeNotSatisfiable = "range_not_satisfiable",
    /// There is no such lease, or it is over.
    UnknownLease = "unknown_lease",
    /// A device code that is unknown, used or over.
    UnknownCode = "unknown_code",
    /// A frame on a device's socket is not one that the edge reads.
    MalformedFrame = "malformed_frame",
    /// The device speaks another version of the protocol.
    ProtocolVersion = "protocol_version",
    /// A hello or a receipt is not signed by the device's key.
    InvalidSignature = "invalid_signature",
    /// A frame came a second time, or the device has connected elsewhere.
    ReplayedFrame = "replayed_frame",
    /// The receipt came before its output was uploaded.
    OutputMissing = "output_missing",
    /// The lease has another output already.
    OutputTaken = "output_taken",
    /// The output does not have the bytes that the lease's rows have.
    OutputSize = "output_size",
    /// A recomputed tile differs, or the output is not the one signed for.
    CheckFailed = "check_failed",
    /// The fault is the server's; try again.
    Internal = "internal",
}
