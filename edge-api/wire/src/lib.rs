//! The contract between edge, devices, pages and commands. Serde types only: no I/O, no clock, no
//! randomness, no hash function.

pub mod account;
pub mod array;
pub mod check;
pub mod device;
pub mod error;
#[cfg(feature = "openapi")]
pub mod example;
pub mod explorer;
pub mod id;
pub mod job;
pub mod lend;
pub mod merkle;
pub mod money;
pub mod number;
pub mod program;

pub use account::{
    Account, AccountKey, AccountKind, DeviceCode, LedgerEntry, MadeKey, NewAccount, NewKey, OpenedAccount,
};
pub use array::{DType, Field};
pub use check::{Check, Tolerance};
pub use device::{FromDevice, Hello, LeaseGrant, Receipt, ToDevice};
pub use error::{ErrorBody, ErrorCode, Place};
pub use explorer::PublicJob;
pub use id::{AccountId, BlobHash, DeviceId, JobId, LeaseId, Nonce, Signature, SliceId, TileHash};
pub use job::{
    Blob, CheckedBy, Job, JobDetail, JobEvent, JobEventKind, JobFault, JobPage, JobProgress, JobState, Privacy, Quote,
    QuoteRequest, SubmitJob, Throughput,
};
pub use money::{Credits, CreditsOverflow, PricePerCu};
pub use program::infer::{Infer, InferTask};
pub use program::map::{GatedKernel, KernelReport, KernelToCheck, Map, MapTask};
pub use program::{Program, Task};

/// Microseconds since 1970-01-01 UTC.
pub type Micros = i64;
