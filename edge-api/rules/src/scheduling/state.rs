//! What one replica holds: the slices that it owns, the devices on its sockets, the leases between them, and the tiles
//! that devices are asked to recompute.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use wire::{DeviceId, JobId, LeaseId, SliceId};

use super::device::Device;
use super::lease::{Lease, LeaseState, Slice};
use super::recheck::Rechecks;
use crate::job::{Job, Needs};

#[derive(Debug, Default)]
pub struct Core {
    /// Tiles are recomputed by the operator's checkers alone.
    pub(super) has_checkers: bool,
    pub(super) devices: BTreeMap<DeviceId, Device>,
    /// Those of them that wait for a lease, and some that no longer do.
    pub(super) waiting: BTreeSet<DeviceId>,
    pub(super) jobs: BTreeMap<JobId, RunningJob>,
    /// Jobs in the order of their next turn.
    pub(super) round_robin: VecDeque<JobId>,
    pub(super) slices: BTreeMap<SliceId, Slice>,
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    /// How many of them each device holds undone, and how many await their check.
    pub(super) holdings: BTreeMap<DeviceId, Holding>,
    pub(super) rechecks: Rechecks,
    /// How often leases came back undone, by job and first tile: also while the job's slices are let go in between.
    pub(super) undone: BTreeMap<JobId, BTreeMap<u64, u32>>,
}

/// Leases of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Holding {
    pub(super) out: usize,
    pub(super) committed: usize,
}

impl Core {
    pub(super) fn insert_lease(&mut self, lease: Lease) {
        self.leases.insert(lease.id, lease);
        let holding = self.holdings.entry(lease.device).or_default();
        match lease.state {
            LeaseState::Out => holding.out += 1,
            LeaseState::Committed => holding.committed += 1,
        }
    }

    pub(super) fn take_lease(&mut self, id: LeaseId) -> Option<Lease> {
        let lease = self.leases.remove(&id)?;
        let holding = self.holdings.entry(lease.device).or_default();
        match lease.state {
            LeaseState::Out => holding.out -= 1,
            LeaseState::Committed => holding.committed -= 1,
        }
        if *holding == Holding::default() {
            self.holdings.remove(&lease.device);
        }
        Some(lease)
    }
}

/// A job with slices on this replica.
#[derive(Debug)]
pub(super) struct RunningJob {
    pub(super) job: Arc<Job>,
    pub(super) needs: Needs,
}
