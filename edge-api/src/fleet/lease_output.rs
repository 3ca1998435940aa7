//! A committed lease, and what its device uploaded for it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use rules::scheduling::lease::{Lease, LeaseState};
use rules::verification::Mismatch;
use rules::{Job, TileRange};
use store::receipts::StoredReceipt;
use wire::{LeaseId, Micros, TileHash, merkle};

#[derive(Clone, Debug)]
pub struct LeaseOutput {
    pub job: Arc<Job>,
    pub lease: Lease,
    pub bytes: Bytes,
}

impl LeaseOutput {
    pub fn tiles(&self) -> TileRange<'_> {
        self.job.tiles(self.lease.tile_range())
    }

    /// The output of some tiles, which count from the lease's first.
    pub fn tile_bytes(&self, tiles: Range<u32>) -> &[u8] {
        &self.bytes[self.tiles().output_range(tiles)]
    }

    /// Tiles that count from the lease's first, counted over the job.
    pub fn tiles_of_job(&self, tiles: &Range<u32>) -> Range<u64> {
        self.lease.first_tile + u64::from(tiles.start)..self.lease.first_tile + u64::from(tiles.end)
    }

    /// Whether it is the output that the receipt commits to.
    pub fn check_root(&self, root: TileHash) -> Result<(), Mismatch> {
        if u64::try_from(self.bytes.len()).ok() != Some(self.tiles().output_bytes()) {
            return Err(Mismatch::Size);
        }
        let found = merkle::root(tile_hashes(&self.tiles(), self.lease.id, &self.bytes), blake3_hash);
        if found == root { Ok(()) } else { Err(Mismatch::Root) }
    }
}

/// The leaves of a lease's tree: a hash of each tile's output.
pub fn tile_hashes(tiles: &TileRange<'_>, lease: LeaseId, output: &[u8]) -> Vec<TileHash> {
    let count: u32 = wire::number::to(tiles.count());
    let tile_bytes = |tile| output.get(tiles.output_range(tile..tile + 1)).unwrap_or_default();
    (0..count).map(|tile| merkle::leaf(lease, tile_bytes(tile), blake3_hash)).collect()
}

pub fn blake3_hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// A lease as its stored receipt remembers it.
pub fn committed_lease(stored: &StoredReceipt, now: Micros) -> Lease {
    Lease {
        id: stored.receipt.lease,
        device: stored.device,
        job: stored.receipt.job,
        slice: stored.slice,
        first_tile: stored.receipt.first_tile,
        tiles: u64::from(stored.receipt.tiles),
        granted_at: now,
        deadline: now,
        state: LeaseState::Committed,
    }
}
