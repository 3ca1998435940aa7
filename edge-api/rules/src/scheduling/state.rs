//! What one replica holds: the slices that it owns, the devices on its sockets, the leases between them, and the tiles
//! that devices are asked to recompute.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use wire::{DeviceId, JobId, LeaseId, SliceId};

use super::device::Device;
use super::lease::{Lease, Slice};
use super::recheck::Rechecks;
use crate::job::{Job, Needs};

#[derive(Debug, Default)]
pub struct Core {
    /// Tiles are recomputed by the operator's checkers alone.
    pub(super) has_checkers: bool,
    pub(super) devices: BTreeMap<DeviceId, Device>,
    pub(super) jobs: BTreeMap<JobId, RunningJob>,
    /// Jobs in the order of their next turn.
    pub(super) round_robin: VecDeque<JobId>,
    pub(super) slices: BTreeMap<SliceId, Slice>,
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    pub(super) rechecks: Rechecks,
}

/// A job with slices on this replica.
#[derive(Debug)]
pub(super) struct RunningJob {
    pub(super) job: Arc<Job>,
    pub(super) needs: Needs,
}
