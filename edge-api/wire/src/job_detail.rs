//! What a job's owner sees of it beside its progress.

use serde::{Deserialize, Serialize};

use crate::explorer::{PublicReceipt, Share};
use crate::{DeviceId, Micros};

/// What else a job's owner may see of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobDetail {
    /// When this was read, by the server's clock.
    pub at: Micros,
    /// Who computed it, most tiles first; 200 at most.
    pub devices: Vec<Share>,
    /// Settled tiles in equal steps from the job's start; 120 at most.
    pub throughput: Throughput,
    /// What happened, oldest first; 200 at most.
    pub events: Vec<JobEvent>,
    /// The latest receipts, newest first; 100 at most.
    pub receipts: Vec<PublicReceipt>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Throughput {
    /// Length of a step, in microseconds.
    pub step: Micros,
    /// Settled in each step, oldest first.
    pub tiles: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobEvent {
    /// When it happened.
    pub at: Micros,
    /// What happened.
    pub kind: JobEventKind,
    /// The device that it happened to, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobEventKind {
    Submitted,
    /// The first tiles were verified.
    Started,
    /// A device's check failed: its unmatured tiles are done again.
    CheckFailed,
    Published,
    Unpublished,
    Done,
    Cancelled,
    Nondeterministic,
    Failed,
}

impl JobEventKind {
    pub const ALL: [Self; 9] = [
        Self::Submitted,
        Self::Started,
        Self::CheckFailed,
        Self::Published,
        Self::Unpublished,
        Self::Done,
        Self::Cancelled,
        Self::Nondeterministic,
        Self::Failed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Started => "started",
            Self::CheckFailed => "check_failed",
            Self::Published => "published",
            Self::Unpublished => "unpublished",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Nondeterministic => "nondeterministic",
            Self::Failed => "failed",
        }
    }
}
