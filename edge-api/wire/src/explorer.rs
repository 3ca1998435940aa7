use serde::{Deserialize, Serialize};

use crate::{BlobHash, Credits, JobId, JobState, Micros, PricePerCu};

/// What everyone may read of a published job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicJob {
    pub id: JobId,
    pub name: String,
    pub state: JobState,
    pub model: BlobHash,
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
    /// Who computed it, most tiles first; 100 at most.
    pub devices: Vec<PublicShare>,
}

/// One device's part of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicShare {
    /// The first 16 hex digits of the device's key.
    pub device: String,
    pub backend: String,
    pub tiles: u64,
    pub receipts: u64,
}
