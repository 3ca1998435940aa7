//! Messages between the lend page and its Web Worker, as JSON text.

use serde::{Deserialize, Serialize};

use crate::device::Earnings;
use crate::{DeviceId, ErrorCode};

/// From the page to the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToWorker {
    /// `url` is the edge's origin.
    Start {
        url: String,
        duty_percent: u8,
    },
    Stop,
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
}

/// From the worker to the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromWorker {
    /// The worker's script is running and will hear messages.
    Loaded,
    Status(Status),
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
    DeviceLost,
    Refused(ErrorCode),
    Storage,
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
