//! A committed lease, and what its device uploaded for it.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use rules::scheduling::lease::{Lease, LeaseState};
use rules::scheduling::speed::Took;
use rules::verification::Mismatch;
use rules::{Job, TileRange};
use store::receipts::StoredReceipt;
use tokio::sync::OwnedSemaphorePermit;
use wire::number::to;
use wire::{BlobHash, LeaseId, Micros, TileHash, merkle};

use crate::app::App;

#[derive(Clone, Debug)]
pub struct LeaseOutput {
    pub job: Arc<Job>,
    pub lease: Lease,
    /// Where it is kept. Whoever waits for others to compute tiles holds none of it.
    pub output: BlobHash,
}

impl LeaseOutput {
    pub fn tiles(&self) -> TileRange<'_> {
        self.job.tiles(self.lease.tile_range())
    }

    /// The output of some tiles, which count from the lease's first.
    pub async fn read_tiles(&self, app: &App, tiles: Range<u32>) -> anyhow::Result<Bytes> {
        let range = self.tiles().output_range(tiles);
        let bytes = app.blobs.read_range(self.output, to(range.start)..to(range.end)).await?;
        anyhow::ensure!(bytes.len() == range.len(), "a stored output is cut short");
        Ok(bytes)
    }

    /// The output of one tile, if what is kept of the lease is still what was uploaded.
    pub async fn read_verified_tile(&self, app: &App, tile: u32) -> anyhow::Result<Option<Bytes>> {
        let _room = app.outputs.hold(self.tiles().output_bytes()).await?;
        let bytes = app.blobs.read_verified(self.output).await?;
        // A copy, so that the rest is not held in memory.
        Ok(bytes.map(|bytes| Bytes::copy_from_slice(&bytes[self.tiles().output_range(tile..tile + 1)])))
    }

    /// Some tiles, which count from the lease's first, with what somebody else computed of the same and uploaded as
    /// `answer`.
    pub async fn read_beside(&self, app: &App, tiles: Range<u32>, answer: BlobHash) -> anyhow::Result<TilePairs<'_>> {
        let bytes: u64 = to(self.tiles().output_range(tiles.clone()).len());
        let room = app.outputs.hold(2 * bytes).await?;
        let signed = self.read_tiles(app, tiles.clone()).await?;
        // By a damaged answer nobody is accused: the check is done again.
        let answer = app.blobs.read_verified(answer).await?.context("an answer is damaged on the server")?;
        anyhow::ensure!(answer.len() == signed.len(), "an answer should have the size that was uploaded");
        Ok(TilePairs { output: self, tiles, signed, answer, _room: room })
    }

    /// Tiles that count from the lease's first, counted over the job.
    pub fn tiles_of_job(&self, tiles: &Range<u32>) -> Range<u64> {
        self.lease.first_tile + u64::from(tiles.start)..self.lease.first_tile + u64::from(tiles.end)
    }

    /// Reads it whole, if it is not `at_hand`, and holds it against its receipt; `None` where it is damaged in its store.
    /// Returns the operations that were not needed of those that it was lent for.
    pub async fn verify(
        &self,
        app: &App,
        root: TileHash,
        at_hand: Option<Bytes>,
    ) -> anyhow::Result<Option<Result<u64, Mismatch>>> {
        if let Some(bytes) = at_hand {
            // It is small.
            return Ok(Some(self.check_root(&bytes, root)));
        }
        let _room = app.outputs.hold(self.tiles().output_bytes()).await?;
        let Some(bytes) = app.blobs.read_verified(self.output).await? else { return Ok(None) };
        let held = self.clone();
        Ok(Some(tokio::task::spawn_blocking(move || held.check_root(&bytes, root)).await?))
    }

    /// Whether it is the output that the receipt commits to.
    fn check_root(&self, bytes: &[u8], root: TileHash) -> Result<u64, Mismatch> {
        if to::<u64>(bytes.len()) != self.tiles().output_bytes() {
            return Err(Mismatch::Size);
        }
        let found = merkle::root(tile_hashes(&self.tiles(), self.lease.id, bytes), blake3_hash);
        if found != root {
            return Err(Mismatch::Root);
        }
        self.tiles().flops_left(bytes).ok_or(Mismatch::Fuel)
    }
}

/// Tiles as they were signed and as they were computed again, while there is room for them in memory.
pub struct TilePairs<'a> {
    output: &'a LeaseOutput,
    tiles: Range<u32>,
    signed: Bytes,
    answer: Bytes,
    _room: OwnedSemaphorePermit,
}

pub struct TilePair {
    /// Counted from the lease's first.
    pub tile: u32,
    pub signed: Bytes,
    pub recomputed: Bytes,
}

impl TilePairs<'_> {
    /// What computing them again took, by the notes of whoever did.
    pub fn recomputed_flops(&self) -> u64 {
        let tiles = self.output.job.tiles(self.output.tiles_of_job(&self.tiles));
        let flops = tiles.flops();
        // Notes that say more than there was make an answer that agrees with nothing.
        flops.saturating_sub(tiles.flops_left(&self.answer).unwrap_or(flops))
    }

    pub fn tiles(&self) -> impl Iterator<Item = TilePair> {
        let tiles = self.output.tiles();
        let first = tiles.output_range(self.tiles.clone()).start;
        self.tiles.clone().map(move |tile| {
            let range = tiles.output_range(tile..tile + 1);
            let range = range.start - first..range.end - first;
            TilePair { tile, signed: self.signed.slice(range.clone()), recomputed: self.answer.slice(range) }
        })
    }
}

/// The leaves of a lease's tree: a hash of each tile's output.
pub fn tile_hashes(tiles: &TileRange<'_>, lease: LeaseId, output: &[u8]) -> Vec<TileHash> {
    let count: u32 = to(tiles.count());
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
        took: Took::Unknown,
        state: LeaseState::Committed,
    }
}
