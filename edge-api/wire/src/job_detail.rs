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
    /// Tiles of which two runs disagreed, newest first; 16 at most.
    pub disputes: Vec<JobDispute>,
}

/// A tile of which two runs disagreed, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobDispute {
    /// Counted over the job.
    pub tile: u64,
    /// When the two outputs were found to differ.
    pub at: Micros,
    /// Whose output was drawn.
    pub device: DeviceId,
    /// Whether it is decided, and how.
    pub state: DisputeState,
    /// Where in the tile's first output the two begin to differ by more than they may, counted in values from zero; of a
    /// kernel's records, in words.
    pub first_value: u64,
    /// Values of that output from there on, as the device signed them; 16 at most.
    pub signed: Vec<String>,
    /// As whoever recomputed the tile found them; none where its program ran out of fuel there.
    pub recomputed: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    /// Others compute the tile again.
    Open,
    /// The device's lease was rejected.
    DeviceWrong,
    /// The lease stands.
    CheckerWrong,
    /// Honest devices come to different results: nobody is to blame, and the lease is paid.
    NotReproducible,
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
    /// Two runs of a tile disagree: others compute it again before anyone is blamed.
    Disputed,
    /// A device's check failed: its tiles are done again by another.
    CheckFailed,
    /// A device cannot compile the job's kernel, and gets no more of it.
    CannotCompile,
    Published,
    Unpublished,
    Done,
    Cancelled,
    Nondeterministic,
    Failed,
    /// Its deadline passed before it was done.
    DeadlinePassed,
}

impl JobEventKind {
    pub const ALL: [Self; 12] = [
        Self::Submitted,
        Self::Started,
        Self::Disputed,
        Self::CheckFailed,
        Self::CannotCompile,
        Self::Published,
        Self::Unpublished,
        Self::Done,
        Self::Cancelled,
        Self::Nondeterministic,
        Self::Failed,
        Self::DeadlinePassed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Started => "started",
            Self::Disputed => "disputed",
            Self::CheckFailed => "check_failed",
            Self::CannotCompile => "cannot_compile",
            Self::Published => "published",
            Self::Unpublished => "unpublished",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Nondeterministic => "nondeterministic",
            Self::Failed => "failed",
            Self::DeadlinePassed => "deadline_passed",
        }
    }
}

/// The beginning of what a job has come to, as a person would look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobPreview {
    /// Rows that were looked at: the first of those that are verified.
    pub rows: u64,
    /// Each of the job's outputs.
    pub outputs: Vec<OutputPreview>,
}

/// The beginning of one output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutputPreview {
    /// As the program calls it.
    pub name: String,
    /// As numpy calls it; of a kernel's records, what its words are.
    #[cfg_attr(feature = "openapi", schema(example = "float32"))]
    pub dtype: String,
    /// Of a row; of the whole where nothing counts rows.
    pub shape: Vec<u64>,
    /// The first rows; 10 at most.
    pub first: Vec<PreviewRow>,
    /// How many rows there are of each class, most first; 12 at most. Empty where the output does not look like classes.
    pub classes: Vec<ClassCount>,
    /// How many rows can be looked at as pictures; 0 where the output is none.
    pub pictures: u64,
}

/// The beginning of one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PreviewRow {
    /// Counted over the job from zero.
    pub row: u64,
    /// Its first values; 16 at most.
    #[cfg_attr(feature = "openapi", schema(example = json!(["0.25", "0.75"])))]
    pub values: Vec<String>,
}

/// How often a class was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClassCount {
    /// The row's integer, or the place of its largest value, counted from zero.
    pub class: i64,
    /// Rows of that class.
    pub rows: u64,
}
