//! The contract between edge, devices, pages and commands. Serde types only: no I/O, no clock, no
//! randomness, no hash function.

pub mod account;
pub mod device;
pub mod error;
pub mod explorer;
pub mod id;
pub mod job;
pub mod lend;
pub mod merkle;
pub mod money;
pub mod task;

pub use account::{
    Account, AccountKey, AccountKind, DeviceCode, LedgerEntry, MadeKey, NewAccount, NewKey, OpenedAccount,
};
pub use device::{FromDevice, Hello, LeaseGrant, Receipt, ToDevice};
pub use error::{ErrorBody, ErrorCode, Place};
pub use explorer::PublicJob;
pub use id::{AccountId, BlobHash, DeviceId, JobId, LeaseId, Nonce, Signature, SliceId, TileHash};
pub use job::{
    Blob, Check, CheckedBy, Job, JobDetail, JobEvent, JobEventKind, JobFault, JobPage, JobProgress, JobState, Privacy,
    Program, Quote, QuoteRequest, SubmitJob, Throughput, Tolerance,
};
pub use money::{Credits, CreditsOverflow, PricePerCu};
pub use task::{DType, Field, GatedKernel, KernelReport, Task};

/// Microseconds since 1970-01-01 UTC.
pub type Micros = i64;
