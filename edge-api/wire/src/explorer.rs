//! What everyone may read: nothing of a job that its owner did not publish.

use serde::{Deserialize, Serialize};

use crate::device::DeviceClass;
use crate::{
    BlobHash, Check, CheckRule, CheckedBy, Credits, DeviceId, JobId, JobState, LeaseId, Micros, PricePerCu, Receipt,
    Signature, Task, TileHash,
};

/// The network now and lately.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overview {
    /// When this was read, by the server's clock.
    pub at: Micros,
    /// Of one CU, now.
    pub price: PricePerCu,
    /// The platform's part of each payment, in hundredths of a percent.
    pub fee_bps: i64,
    /// Devices online by class and backend, most first.
    pub supply: Vec<SupplyGroup>,
    /// Since midnight UTC.
    pub today: Work,
    /// The time that devices worked over the time that they took work, in the last seven days, in hundredths of a percent.
    /// Left out when none took any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utilisation_bps: Option<u64>,
    /// Jobs that run now, published or not.
    pub jobs_running: u64,
    /// Jobs that are done, published or not.
    pub jobs_done: u64,
    /// Length of each of `periods`, in microseconds.
    pub period_micros: Micros,
    /// The time that was asked for in equal periods, oldest first; a period without devices or work is left out.
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

/// How far back the explorer's charts go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChartRange {
    #[serde(rename = "1h")]
    Hour,
    #[default]
    #[serde(rename = "24h")]
    Day,
    #[serde(rename = "7d")]
    Week,
    #[serde(rename = "30d")]
    Month,
}

impl ChartRange {
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|range| range.name() == name)
    }

    /// Length of one of its periods.
    pub fn period(self) -> Micros {
        const MINUTE: Micros = 60_000_000;
        match self {
            Self::Hour | Self::Day => 10 * MINUTE,
            Self::Week => 60 * MINUTE,
            Self::Month => 6 * 60 * MINUTE,
        }
    }

    /// How many periods it has, the present one among them.
    pub fn periods(self) -> i64 {
        match self {
            Self::Hour => 6,
            Self::Day => 144,
            Self::Week => 168,
            Self::Month => 120,
        }
    }

    /// When its first period begins, seen from `now`.
    pub fn first_period(self, now: Micros) -> Micros {
        now - now.rem_euclid(self.period()) - (self.periods() - 1) * self.period()
    }
}

/// Devices of one kind that are online.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SupplyGroup {
    /// What kind of program they are.
    pub class: DeviceClass,
    /// `vulkan`, `metal`, `dx12`, `webgpu` or `cpu`.
    pub backend: String,
    /// The adapter is a CPU's.
    pub software: bool,
    /// How many there are.
    pub devices: u64,
    /// Measured, in floating-point operations a second.
    pub flops_per_sec: u64,
}

/// Settled work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Work {
    /// Accepted.
    pub receipts: u64,
    /// Verified.
    pub tiles: u64,
    /// In thousands of floating-point operations.
    pub kflop: u64,
    /// What customers paid for it.
    pub cost: Credits,
}

/// Some minutes or hours of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Period {
    /// When they began.
    pub start: Micros,
    /// What was settled in them.
    pub work: Work,
    /// Time that devices were online, summed over them, in microseconds.
    pub device_micros: u64,
    /// Of that, time that they took work.
    pub offered_micros: u64,
    /// Of that, time that they worked on what they committed, counted when they did.
    pub busy_micros: u64,
    /// What they could have computed at their measured speeds, in thousands of operations.
    pub capacity_kflop: u64,
}

/// A device as the explorer shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicDevice {
    /// Its Ed25519 public key.
    pub id: DeviceId,
    /// What kind of program it is.
    pub class: DeviceClass,
    /// The adapter's name, as its driver gives it.
    pub name: String,
    /// `vulkan`, `metal`, `dx12`, `webgpu` or `cpu`.
    pub backend: String,
    /// The adapter is a CPU's.
    pub software: bool,
    /// It is connected now.
    pub online: bool,
    /// By its verified work for others and the last challenge, in operations a second; 0 until it has shown one.
    pub flops_per_sec: u64,
    /// By the last challenge that it was put to, in multiplications and additions of integers a second; 0 where it failed.
    pub proved_ops_per_sec: u64,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved_at: Option<Micros>,
    /// Of its line, as measured, in bytes a second; 0 until it was.
    pub down_bytes_per_sec: u64,
    /// The same, from the device.
    pub up_bytes_per_sec: u64,
    /// Verified, over its life.
    pub tiles: u64,
    /// Verified work, in thousands of operations.
    pub kflop: u64,
    /// Leases of its own whose checks agreed.
    pub checks_passed: u64,
    /// Leases of its own whose checks did not.
    pub checks_failed: u64,
    /// It takes no leases until then, after a failed check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_until: Option<Micros>,
    /// What its account was paid for its work, fees deducted.
    pub earned: Credits,
    /// When it first connected.
    pub first_seen_at: Micros,
    /// When it was last connected.
    pub seen_at: Micros,
}

/// A device with its last 30 days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicDevicePage {
    /// The device itself.
    pub device: PublicDevice,
    /// Microseconds online on each of the last 30 days (UTC), today last.
    pub uptime: Vec<u64>,
    /// Midnight of the first of those days.
    pub uptime_from: Micros,
    /// A page of its receipts, newest first.
    pub receipts: Page<PublicReceipt>,
}

/// One page of a table, and where the next begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// At most as many as were asked for.
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
    /// Names the receipt.
    pub lease: LeaseId,
    /// Who signed it.
    pub device: DeviceId,
    /// What computed it: `vulkan`, `metal`, `dx12`, `webgpu` or `cpu`.
    pub backend: String,
    /// Program and kernel version.
    pub program: String,
    /// Tiles that it is about.
    pub tiles: u64,
    /// Their work, in thousands of operations.
    pub kflop: u64,
    /// What became of it.
    pub state: ReceiptState,
    /// Tiles that the check computed again.
    pub recomputed_tiles: u64,
    /// When the server got it.
    pub received_at: Micros,
    /// The job whose tiles these are; left out where it is not published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
}

/// A receipt of a published job, whole: what was signed, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicReceiptPage {
    /// The receipt as lists show it.
    pub receipt: PublicReceipt,
    /// How it was checked before it was settled; left out as long as it is not, and where that would say whose job it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<ReceiptCheck>,
    /// What was signed; left out where the job is not published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<SignedReceipt>,
}

/// How a receipt's tiles were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReceiptCheck {
    /// Who computed tiles of it again.
    pub by: CheckedBy,
    /// When that came to the same; left out where the job is not published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<CheckRule>,
}

/// A device's statement with its signature over [`Receipt::signing_bytes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedReceipt {
    /// What the device says.
    pub receipt: Receipt,
    /// Whose key signed it.
    pub device: DeviceId,
    /// Ed25519, over the receipt's bytes.
    pub signature: Signature,
    /// What the customer paid for it.
    pub cost: Credits,
}

/// A published job in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicJobRow {
    /// Names the job.
    pub id: JobId,
    /// What its owner calls it.
    pub name: String,
    /// How far it is, or how it ended.
    pub state: JobState,
    /// Rows of the input.
    pub rows: u64,
    /// Tiles that it is cut into.
    pub tiles: u64,
    /// Tiles verified and settled.
    pub verified_tiles: u64,
    /// Paid so far.
    pub cost: Credits,
    /// When it was submitted.
    pub created_at: Micros,
    /// When it ended; left out while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Micros>,
}

/// What everyone may read of a published job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicJob {
    /// Names the job.
    pub id: JobId,
    /// What its owner calls it.
    pub name: String,
    /// How far it is, or how it ended.
    pub state: JobState,
    /// The model or the kernel.
    pub code: BlobHash,
    /// Rows of the input.
    pub rows: u64,
    /// Tiles that it is cut into.
    pub tiles: u64,
    /// Tiles verified and settled.
    pub verified_tiles: u64,
    /// Tiles that a checker computed again.
    pub recomputed_tiles: u64,
    /// Floating-point operations of the whole job; of a `map` job the most that it can take.
    pub flops: u64,
    /// Of one CU, when it was submitted.
    pub price: PricePerCu,
    /// Paid so far.
    pub cost: Credits,
    /// When it was submitted.
    pub created_at: Micros,
    /// When it ended; left out while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Micros>,
    /// The tiles in order, in at most 1,024 cells: each digit says how many ninths of its tiles are settled.
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
    /// Whose part this is.
    pub device: DeviceId,
    /// What it calls itself: its GPU.
    #[serde(default)]
    pub name: String,
    /// What computed it: `vulkan`, `metal`, `dx12`, `webgpu` or `cpu`.
    pub backend: String,
    /// Verified tiles of the job.
    pub tiles: u64,
    /// Accepted receipts of the job.
    pub receipts: u64,
    /// Tiles of its own that a checker computed again.
    pub recomputed_tiles: u64,
    /// Operations of its verified tiles, in thousands: of a kernel those that were used.
    #[serde(default)]
    pub kflop: u64,
}

/// One tile of a published job with everything needed to compute it again and to hold the outcome
/// against what its device signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sample {
    /// Counted over the job, from zero.
    pub tile: u64,
    /// The receipt of the tile's lease, and its signature.
    pub statement: SignedReceipt,
    /// Hashes beside the way from the tile's leaf to the signed root, leaf first.
    pub proof: Vec<ProofStep>,
    /// Rows of the tile.
    pub rows: u64,
    /// What to do with them.
    pub task: Task,
    /// When two outputs are the same.
    pub check: Check,
    /// Floating-point operations of the tile.
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

/// Something that a search found, by its name or by the beginning of its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Hit {
    Device {
        /// Its Ed25519 public key.
        id: DeviceId,
        /// Its hardware.
        name: String,
    },
    Job {
        /// Names the job.
        id: JobId,
        /// What its owner calls it.
        name: String,
    },
    Receipt {
        /// Names the receipt.
        id: LeaseId,
    },
}
