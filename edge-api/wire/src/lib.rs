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

pub use account::{Account, AccountKind, NewAccount, OpenedAccount};
pub use device::{FromDevice, Hello, LeaseGrant, Receipt, ToDevice};
pub use error::{ErrorBody, ErrorCode};
pub use explorer::PublicJob;
pub use id::{AccountId, BlobHash, DeviceId, JobId, LeaseId, Nonce, Signature, SliceId, TileHash};
pub use job::{Blob, Job, JobPage, JobProgress, JobState, Privacy, Program, Quote, QuoteRequest, SubmitJob};
pub use money::{Credits, CreditsOverflow, PricePerCu};

/// Microseconds since 1970-01-01 UTC.
pub type Micros = i64;
