//! What everyone may read: nothing of a job that its owner did not publish.

use serde::{Deserialize, Serialize};

use crate::device::DeviceClass;
use crate::{
    BlobHash, Check, Credits, DeviceId, JobId, JobState, LeaseId, Micros, PricePerCu, Receipt, Signature, Task,
    TileHash,
};

/// The network now and lately.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overview {
    /// When this was read, by the server's clock.
    pub at: Micros,
    pub price: PricePerCu,
    /// The platform's part of each payment, in hundredths of a percent.
    pub fee_bps: i64,
    /// Devices online by class and backend, most first.
    pub supply: Vec<SupplyGroup>,
    /// Since midnight UTC.
    pub today: Work,
    /// Settled work over the capacity that was online in the last seven days, in hundredths of a
    /// percent. Left out when nothing was online.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utilisation_bps: Option<u64>,
    pub jobs_running: u64,
    pub jobs_done: u64,
    /// The last 24 hours in ten-minute periods, oldest first; a period without devices or work is left out.
    pub periods: Vec<Period>,
    /// Tiles of the latest settled leases, oldest first; 240 at most.
    pub latest_leases: Vec<u64>,
}

impl Overview {
    pub fn devices_online(&self) -> u64 {
        self.supply.iter().map(|group| group.devices).sum()
    }

    /// Measured speed of all devices online, in floating-point operations a second.
    pub fn flops_per_sec(&self) -> u64 {
        self.supply.iter().map(|group| group.flops_per_sec).sum()
    }
}

/// Devices of one kind that are online.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SupplyGroup {
    pub class: DeviceClass,
    pub backend: String,
    /// The adapter is a CPU's.
    pub software: bool,
    pub devices: u64,
    /// Measured, in floating-point operations a second.
    pub flops_per_sec: u64,
}

/// Settled work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Work {
    pub receipts: u64,
    pub tiles: u64,
    /// In thousands of floating-point operations.
    pub kflop: u64,
    pub cost: Credits,
}

/// Ten minutes of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Period {
    pub start: Micros,
    pub work: Work,
    /// Time that devices were online, summed over them, in microseconds.
    pub device_micros: u64,
    /// What they could have computed at their measured speeds, in thousands of operations.
    pub capacity_kflop: u64,
}

/// A device as the explorer shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicDevice {
    pub id: DeviceId,
    pub class: DeviceClass,
    /// The adapter's name, as its driver gives it.
    pub name: String,
    pub backend: String,
    pub software: bool,
    pub online: bool,
    /// Measured over its last leases, in floating-point operations a second; 0 until it has shown one.
    pub flops_per_sec: u64,
    pub tiles: u64,
    /// Verified work, in thousands of operations.
    pub kflop: u64,
    pub checks_passed: u64,
    pub checks_failed: u64,
    /// It takes no leases until then, after a failed check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_until: Option<Micros>,
    /// What its account was paid for its work, fees deducted.
    pub earned: Credits,
    pub first_seen_at: Micros,
    pub seen_at: Micros,
}

/// A device with its last 30 days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicDevicePage {
    pub device: PublicDevice,
    /// Microseconds online on each of the last 30 days (UTC), today last.
    pub uptime: Vec<u64>,
    /// Midnight of the first of those days.
    pub uptime_from: Micros,
    pub receipts: Page<PublicReceipt>,
}

/// One page of a table, and where the next begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// Pass as `after` for the next page.
    #[cfg_attr(feature = "openapi", schema(example = "1795348812000000.9f"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// Waits for its check.
    Pending,
    /// Its check passed; paid into the provider's pending earnings.
    Accepted,
    /// Paid for good.
    Matured,
    /// It came to nothing: another settled its tiles, or its device failed a later check.
    Void,
    /// Its check failed.
    Rejected,
}

impl ReceiptState {
    pub const ALL: [Self; 5] = [Self::Pending, Self::Accepted, Self::Matured, Self::Void, Self::Rejected];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Matured => "matured",
            Self::Void => "void",
            Self::Rejected => "rejected",
        }
    }
}

/// A receipt. What it says of its job is there only when the job is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicReceipt {
    pub lease: LeaseId,
    pub device: DeviceId,
    pub backend: String,
    pub program: String,
    pub tiles: u64,
    pub kflop: u64,
    pub state: ReceiptState,
    /// Tiles that the check computed again.
    pub recomputed_tiles: u64,
    pub received_at: Micros,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
}

/// A receipt of a published job, whole: what was signed, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicReceiptPage {
    pub receipt: PublicReceipt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<SignedReceipt>,
}

/// A device's statement with its signature over [`Receipt::signing_bytes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedReceipt {
    pub receipt: Receipt,
    pub device: DeviceId,
    pub signature: Signature,
    pub cost: Credits,
}

/// A published job in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicJobRow {
    pub id: JobId,
    pub name: String,
    pub state: JobState,
    pub rows: u64,
    pub tiles: u64,
    pub verified_tiles: u64,
    pub cost: Credits,
    pub created_at: Micros,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Micros>,
}

/// What everyone may read of a published job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicJob {
    pub id: JobId,
    pub name: String,
    pub state: JobState,
    /// The model or the kernel.
    pub code: BlobHash,
    pub rows: u64,
    pub tiles: u64,
    pub verified_tiles: u64,
    pub recomputed_tiles: u64,
    pub flops: u64,
    pub price: PricePerCu,
    pub cost: Credits,
    pub created_at: Micros,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Micros>,
    pub mosaic: String,
    /// Who computed it, most tiles first; 200 at most.
    pub devices: Vec<Share>,
    /// A tile of it can be recomputed by anyone: some of its receipts have matured.
    pub has_sample: bool,
}

/// One device's part of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Share {
    pub device: DeviceId,
    pub backend: String,
    pub tiles: u64,
    pub receipts: u64,
    pub recomputed_tiles: u64,
}

/// One tile of a published job with everything needed to compute it again and to hold the outcome
/// against what its device signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sample {
    pub tile: u64,
    pub statement: SignedReceipt,
    /// Hashes beside the way from the tile's leaf to the signed root, leaf first.
    pub proof: Vec<ProofStep>,
    pub rows: u64,
    pub task: Task,
    pub check: Check,
    pub flops: u64,
}

/// A sibling on the way up, and on which side it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "side", content = "hash", rename_all = "snake_case")]
pub enum ProofStep {
    Left(TileHash),
    Right(TileHash),
}

/// Something that an id or its beginning names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Hit {
    Device(DeviceId),
    Job(JobId),
    Receipt(LeaseId),
}
