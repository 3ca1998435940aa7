#![doc = include_str!("../README.md")]
//!
//! An order as a customer sends it, and what it means:
//!
//! ```
//! use wire::{Privacy, Program, SubmitJob};
//!
//! let hash = "00".repeat(32);
//! let text = format!(r#"{{ "program": {{ "kind": "infer", "model": "{hash}", "input": "{hash}" }} }}"#);
//! let order: SubmitJob = serde_json::from_str(&text)?;
//!
//! assert!(matches!(order.program, Program::Infer(_)));
//! assert_eq!(order.privacy, Privacy::Open);
//! # Ok::<(), serde_json::Error>(())
//! ```

pub mod account;
pub mod array;
pub mod check;
pub mod conversion;
pub mod device;
pub mod error;
pub mod explorer;
pub mod frame;
pub mod id;
pub mod job;
pub mod job_detail;
pub mod lend;
pub mod merkle;
pub mod money;
pub mod number;
pub mod program;
pub mod status;

pub use account::{
    Account, AccountKey, AccountKind, DeviceCode, JobMovement, LedgerEntry, MadeKey, NewAccount, NewKey, OpenedAccount,
};
pub use array::{DType, Field, WordRun};
pub use check::{Check, CheckRule, Fraction, IntegerBits, IntegerTolerance, Tolerance};
pub use conversion::{
    ArraysToMake, FileKind, MadeArray, MadeArrays, PictureChannels, PictureLayout, PictureReading, Resize,
    ResizeFilter, TableReading,
};
pub use device::{FromDevice, Hello, LeaseGrant, Receipt, SpeedChallenge, ToDevice};
pub use error::{Detail, ErrorBody, ErrorCode, Place};
pub use explorer::PublicJob;
pub use id::{AccountId, BlobHash, ChallengeId, DeviceId, JobId, LeaseId, Nonce, Signature, SliceId, TileHash};
pub use job::{
    Blob, CheckedBy, Job, JobFault, JobPage, JobProgress, JobState, Obstacle, Privacy, Quote, QuoteRequest, SubmitJob,
};
pub use job_detail::{
    ClassCount, DisputeState, JobDetail, JobDispute, JobEvent, JobEventKind, JobPreview, OutputPreview, PreviewRow,
    Throughput,
};
pub use money::{Credits, CreditsOverflow, PricePerCu};
pub use program::infer::{Infer, InferTask, ModelInput, ModelPlan, ModelReport, ModelToCheck};
pub use program::map::{GatedKernel, KernelReport, KernelToCheck, Map, MapTask};
pub use program::{Program, Task};

/// Microseconds since 1970-01-01 UTC.
pub type Micros = i64;
