//! Messages between the lend page and its Web Worker, as JSON text.

use serde::{Deserialize, Serialize};

use crate::device::Earnings;
use crate::{DType, DeviceId, ErrorCode, JobId, LeaseId};

/// From the page to the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToWorker {
    /// `url` is the edge's origin; `software`, that a GPU emulated by the processor will do.
    /// `code` links the device to the account that the page is signed in to; `only_job`, a job of that
    /// account, is all that it works for.
    Start {
        url: String,
        software: bool,
        duty_percent: u8,
        /// No customer's kernel runs.
        models_only: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        only_job: Option<JobId>,
    },
    Stop,
    /// Measure this device for so long; no job is needed. Nothing else runs meanwhile.
    Benchmark {
        software: bool,
        secs: u8,
    },
    /// Compute one tile of a published job again, drawn by the edge, and hold it against its signed
    /// receipt.
    Recompute {
        url: String,
        software: bool,
        job: JobId,
    },
    /// Compute the first tile of an order that is not submitted yet. `grant` is what the edge answered.
    Try {
        url: String,
        software: bool,
        grant: String,
    },
    /// The share of time that the GPU may be busy, 5 to 100.
    Duty {
        percent: u8,
    },
    /// The page is hidden and should not work then, or runs on battery, or was frozen.
    Pause {
        reason: PauseReason,
    },
    Resume,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    Hidden,
    Battery,
    /// Outside the hours that its person set.
    Schedule,
}

/// From the worker to the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromWorker {
    /// The worker's script is running and will hear messages.
    Loaded,
    Status(Status),
    Benchmarked(Benchmark),
    Recomputed(Recomputed),
    Tried(TrialResult),
    /// The worker cannot go on; it has stopped.
    Failed {
        code: FailureCode,
        message: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    NoWebGpu,
    /// The only GPU is emulated in software by the processor, and nobody asked for that.
    SoftwareAdapter,
    DeviceLost,
    Refused(ErrorCode),
    Storage,
    /// The sample, or the tile of an order, could not be fetched or computed.
    Sample,
}

/// What the device is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub phase: Phase,
    pub device: DeviceId,
    pub adapter: String,
    /// Tiles whose lease was settled since the page was opened.
    pub tiles_verified: u64,
    pub leases_refused: u64,
    pub earnings: Earnings,
    /// Tiles of the lease in hand.
    pub tiles_in_hand: u32,
    /// Measured over the last lease, while the device was busy.
    pub gflops: f64,
    /// Program and kernel version of the lease in hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The share of the last seconds that the device was busy, in percent.
    pub busy_percent: u8,
    /// What went wrong since a lease was computed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// Why a lease went back to the network, in whose doing its device's owner can see something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Trouble {
    /// A customer's kernel does not compile here. The device gets no more of that job.
    CannotCompile { message: String },
    /// The device broke down, and is opened anew.
    Restarted { message: String },
    /// Its files could not be fetched, or it could not be computed or uploaded.
    GivenBack { message: String },
}

/// What a device did when it was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Benchmark {
    pub adapter: String,
    /// Floating-point operations a second in matrix products, in thousands of millions.
    pub gflops: f64,
    pub secs: f64,
}

/// A tile computed again, beside what was signed for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recomputed {
    pub tile: u64,
    /// The receipt it was held against.
    pub lease: LeaseId,
    pub adapter: String,
    /// The first values of each, in order; 64 at most.
    pub here: Vec<f32>,
    pub there: Vec<f32>,
    /// Values of the whole tile.
    pub values: u64,
    /// Largest |here − there| of the whole tile.
    pub max_difference: f64,
    /// Every value is within the network's tolerance.
    pub agrees: bool,
    /// The tile's output hashes to a leaf under the signed root.
    pub under_root: bool,
    /// The root is signed by the device's key.
    pub signature_holds: bool,
    pub millis: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Connecting,
    Waiting,
    Computing,
    Paused(PauseReason),
    Stopped,
}

/// The first tile of an order, computed on the customer's own device before anything is paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialResult {
    pub adapter: String,
    /// The adapter is a CPU's.
    pub software: bool,
    pub rows: u64,
    /// How long the device was busy with them.
    pub micros: u64,
    /// The first values of the first output, as 32-bit words; 16 at most.
    pub words: Vec<u32>,
    /// What they hold; nothing where only the kernel's author knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtype: Option<DType>,
    /// A record ran out of fuel at the loop in this line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_fuel: Option<u32>,
}
