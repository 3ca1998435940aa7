//! Slices that this replica owns, and the leases in them.

use wire::{DeviceId, JobId, LeaseId, Micros, SliceId};

use super::bitmap::Bitmap;
use super::speed::Took;
use crate::job::Needs;

/// A slice that this replica owns under `fence`.
#[derive(Clone, Debug)]
pub struct Slice {
    pub job: JobId,
    pub first_tile: u64,
    pub tiles: u64,
    pub fence: i64,
    pub version: i64,
    pub settled: Bitmap,
    /// Settled, lent out, or waiting for a check.
    pub taken: Bitmap,
}

impl Slice {
    /// Tiles that wait for a device.
    pub(super) fn free_tiles(&self) -> u64 {
        self.tiles - self.taken.count_ones()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.settled.count_ones() == self.tiles
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub id: LeaseId,
    pub device: DeviceId,
    pub job: JobId,
    pub slice: SliceId,
    /// Counted over the job.
    pub first_tile: u64,
    pub tiles: u64,
    pub granted_at: Micros,
    pub deadline: Micros,
    pub took: Took,
    pub state: LeaseState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    Out,
    /// The device has committed; the check decides.
    Committed,
}

impl Lease {
    /// Counted over the job.
    pub fn tile_range(&self) -> std::ops::Range<u64> {
        self.first_tile..self.first_tile + self.tiles
    }

    pub(super) fn flops(&self, needs: &Needs) -> u64 {
        self.tiles.saturating_mul(needs.tile_flops)
    }
}

/// Why a commit is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    #[error("this lease is not this device's, or has ended")]
    Unknown,
    #[error("this lease is committed already")]
    Twice,
}

/// What is settled, or taken back, in a slice, as the database must see it: nothing moved in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub slice: SliceId,
    /// Of the slice, counted over the job.
    pub first_tile: u64,
    pub fence: i64,
    pub version: i64,
    /// The slice's settled tiles afterwards.
    pub settled: Bitmap,
    /// How many of them this changes.
    pub tiles: u64,
}

impl Settlement {
    /// Settles a lease of the slice too. `false`: some of its tiles are settled, and nothing is changed.
    pub fn add(&mut self, lease: &Lease) -> bool {
        let first = lease.first_tile - self.first_tile;
        let is_clear = self.settled.is_clear(first, lease.tiles);
        if is_clear {
            self.settled.set(first, lease.tiles);
            self.tiles += lease.tiles;
        }
        is_clear
    }
}

/// A lease that the database took a settlement of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettledLease {
    pub lease: LeaseId,
    /// What counts towards its device's standing, in thousands of operations.
    pub verified_kflop: u64,
    /// Operations that were not needed of the most that its tiles may take.
    pub flops_left: u64,
}
