//! What one replica holds: the slices that it owns, the devices on its sockets, the leases between them, and the tiles
//! that devices are asked to recompute. Whatever is asked for with every lease is counted along here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use wire::{DeviceId, JobId, LeaseId, Micros, SliceId};

use super::device::Device;
use super::lease::{Lease, LeaseState, Slice};
use super::recheck::Rechecks;
use crate::job::{Job, Needs};

#[derive(Debug, Default)]
pub struct Core {
    /// Tiles are recomputed by the operator's checkers alone.
    pub(super) has_checkers: bool,
    /// Of one lease, whatever its device is good for.
    pub(super) lease_tiles_max: Option<u64>,
    pub(super) devices: BTreeMap<DeviceId, Device>,
    /// How fast they are, with models and with customers' kernels.
    pub(super) magnitudes: Magnitudes,
    pub(super) kernel_magnitudes: Magnitudes,
    /// Those of them that wait for a lease.
    pub(super) waiting: BTreeSet<DeviceId>,
    /// That devices were asked since each last did a lease.
    pub(super) questions: u64,
    /// Devices that may be given something though they were not when everybody was last looked at.
    pub(super) changed: BTreeSet<DeviceId>,
    /// Tiles have come free since everybody was last looked at.
    pub(super) has_more_work: bool,
    pub(super) jobs: BTreeMap<JobId, RunningJob>,
    /// Of them, those with tiles that wait for a device.
    pub(super) jobs_with_free_tiles: u64,
    /// Jobs in the order of their next turn.
    pub(super) round_robin: VecDeque<JobId>,
    pub(super) slices: BTreeMap<SliceId, Slice>,
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    /// Leases of each slice.
    pub(super) lent_of: BTreeMap<SliceId, BTreeSet<LeaseId>>,
    /// Leases that are out, the next to run out first.
    pub(super) deadlines: BTreeSet<(Micros, LeaseId)>,
    /// What each device holds.
    pub(super) holdings: BTreeMap<DeviceId, Holding>,
    /// Devices with leases that await their check.
    pub(super) devices_unchecked: usize,
    pub(super) rechecks: Rechecks,
    /// How often leases came back undone, by job and first tile: also while the job's slices are let go in between.
    pub(super) undone: BTreeMap<JobId, BTreeMap<u64, u32>>,
    /// Strikes of devices that are not connected.
    pub(super) strikes_of_gone: BTreeMap<DeviceId, u32>,
}

/// How fast devices are that have shown it, as the sum of their binary logarithms: one that claims to be fast beyond all
/// measure moves their mean by little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Magnitudes {
    sum: u64,
    devices: u64,
}

impl Magnitudes {
    pub(super) fn add(&mut self, device: &Device, kernels: bool) {
        if let Some(magnitude) = device.magnitude(kernels) {
            self.sum += magnitude;
            self.devices += 1;
        }
    }

    pub(super) fn take(&mut self, device: &Device, kernels: bool) {
        if let Some(magnitude) = device.magnitude(kernels) {
            self.sum -= magnitude;
            self.devices -= 1;
        }
    }

    /// In operations a second; `None` as long as no device has shown any.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn mean_rate(self) -> Option<f64> {
        (self.devices > 0).then(|| (self.sum as f64 / self.devices as f64 / 16.0).exp2())
    }
}

/// Leases of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holding {
    pub(super) out: BTreeSet<LeaseId>,
    /// How many await their check.
    pub(super) committed: usize,
}

/// A job with slices on this replica.
#[derive(Debug)]
pub(super) struct RunningJob {
    pub(super) job: Arc<Job>,
    pub(super) needs: Needs,
    pub(super) slices: BTreeSet<SliceId>,
    /// Of them, those with tiles that wait for a device.
    pub(super) free_slices: BTreeSet<SliceId>,
    pub(super) free_tiles: u64,
    /// Connected devices that may do it.
    pub(super) fitting: usize,
    /// How much of the operations that a tile may take its settled ones took, in the mean of the latest; `None` as long as
    /// there are none.
    pub(super) used_share: Option<f64>,
}

impl RunningJob {
    /// Tiles that may take so many operations took so many.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn note_used(&mut self, most: u64, used: u64) {
        let share = (used as f64 / most.max(1) as f64).clamp(0.0, 1.0);
        self.used_share = Some(self.used_share.map_or(share, |before| f64::midpoint(before, share)));
    }

    /// A lease ran out: what comes now may take more than what came before.
    pub(super) fn note_overdue(&mut self) {
        self.used_share = self.used_share.map(|share| f64::midpoint(share, 1.0));
    }

    /// Operations that a tile takes, as far as can be told.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn tile_flops(&self) -> f64 {
        (self.needs.tile_flops as f64 * self.used_share.unwrap_or(1.0)).max(1.0)
    }
}

impl Core {
    pub(super) fn insert_device(&mut self, id: DeviceId, device: Device) {
        self.remove_device(id);
        for (job, running) in &mut self.jobs {
            running.fitting += usize::from(device.fits(Some(*job), &running.needs));
        }
        self.magnitudes.add(&device, false);
        self.kernel_magnitudes.add(&device, true);
        self.devices.insert(id, device);
    }

    pub(super) fn remove_device(&mut self, id: DeviceId) {
        let Some(device) = self.devices.remove(&id) else { return };
        self.questions -= device.questions;
        self.magnitudes.take(&device, false);
        self.kernel_magnitudes.take(&device, true);
        for (job, running) in &mut self.jobs {
            running.fitting -= usize::from(device.fits(Some(*job), &running.needs));
        }
        self.waiting.remove(&id);
        self.changed.remove(&id);
    }

    /// It cannot compile the job's kernel, or runs it otherwise than others.
    pub(super) fn mark_unfit(&mut self, id: DeviceId, job: JobId) {
        let Some(device) = self.devices.get_mut(&id) else { return };
        if let Some(running) = self.jobs.get_mut(&job)
            && device.fits(Some(job), &running.needs)
        {
            running.fitting -= 1;
        }
        device.unfit_for.insert(job);
    }

    pub(super) fn insert_slice(&mut self, id: SliceId, slice: Slice, job: Arc<Job>) {
        self.remove_slice(id);
        let job_id = slice.job;
        if !self.jobs.contains_key(&job_id) {
            let needs = job.needs();
            let fitting = self.devices.values().filter(|device| device.fits(Some(job_id), &needs)).count();
            let (slices, free_slices) = (BTreeSet::new(), BTreeSet::new());
            self.round_robin.push_back(job_id);
            self.jobs.insert(
                job_id,
                RunningJob { job, needs, slices, free_slices, free_tiles: 0, fitting, used_share: None },
            );
        }
        if let Some(running) = self.jobs.get_mut(&job_id) {
            running.slices.insert(id);
        }
        let free = slice.free_tiles();
        self.slices.insert(id, slice);
        self.count_free(id, 0, free);
    }

    /// A slice that is finished or lost, and its job with the last one.
    pub(super) fn remove_slice(&mut self, id: SliceId) {
        let Some(slice) = self.slices.get(&id) else { return };
        let (job, free) = (slice.job, slice.free_tiles());
        self.count_free(id, free, 0);
        self.slices.remove(&id);
        let Some(running) = self.jobs.get_mut(&job) else { return };
        running.slices.remove(&id);
        running.free_slices.remove(&id);
        if running.slices.is_empty() {
            self.jobs.remove(&job);
            self.round_robin.retain(|turn| *turn != job);
        }
    }

    /// `first` counts from the slice's first tile.
    pub(super) fn take_tiles(&mut self, id: SliceId, first: u64, tiles: u64) {
        self.change_slice(id, |slice| slice.taken.set(first, tiles));
    }

    pub(super) fn free_tiles(&mut self, id: SliceId, first: u64, tiles: u64) {
        self.change_slice(id, |slice| slice.taken.clear(first, tiles));
    }

    fn change_slice(&mut self, id: SliceId, change: impl FnOnce(&mut Slice)) {
        let Some(slice) = self.slices.get_mut(&id) else { return };
        let before = slice.free_tiles();
        change(slice);
        let after = slice.free_tiles();
        self.count_free(id, before, after);
    }

    fn count_free(&mut self, id: SliceId, before: u64, after: u64) {
        let Some(running) = self.slices.get(&id).and_then(|slice| self.jobs.get_mut(&slice.job)) else { return };
        let had_any = running.free_tiles > 0;
        running.free_tiles = running.free_tiles + after - before;
        if after > 0 {
            running.free_slices.insert(id);
        } else {
            running.free_slices.remove(&id);
        }
        let has_any = running.free_tiles > 0;
        self.jobs_with_free_tiles = self.jobs_with_free_tiles + u64::from(has_any) - u64::from(had_any);
        self.has_more_work |= after > before;
    }

    pub(super) fn insert_lease(&mut self, lease: Lease) {
        self.leases.insert(lease.id, lease);
        self.lent_of.entry(lease.slice).or_default().insert(lease.id);
        let holding = self.holdings.entry(lease.device).or_default();
        match lease.state {
            LeaseState::Out => {
                holding.out.insert(lease.id);
                self.deadlines.insert((lease.deadline, lease.id));
            }
            LeaseState::Committed => {
                holding.committed += 1;
                self.devices_unchecked += usize::from(holding.committed == 1);
            }
        }
    }

    pub(super) fn take_lease(&mut self, id: LeaseId) -> Option<Lease> {
        let lease = self.leases.remove(&id)?;
        if let Some(lent) = self.lent_of.get_mut(&lease.slice) {
            lent.remove(&id);
            if lent.is_empty() {
                self.lent_of.remove(&lease.slice);
            }
        }
        let holding = self.holdings.entry(lease.device).or_default();
        match lease.state {
            LeaseState::Out => {
                holding.out.remove(&id);
                self.deadlines.remove(&(lease.deadline, id));
            }
            LeaseState::Committed => {
                holding.committed -= 1;
                self.devices_unchecked -= usize::from(holding.committed == 0);
            }
        }
        if *holding == Holding::default() {
            self.holdings.remove(&lease.device);
        }
        // It holds less, so it may be lent more.
        self.changed.insert(lease.device);
        Some(lease)
    }

    /// Leases that a device holds undone.
    pub(super) fn out_of(&self, device: DeviceId) -> Vec<LeaseId> {
        self.holdings.get(&device).map(|holding| holding.out.iter().copied().collect()).unwrap_or_default()
    }

    pub(super) fn leases_of_slice(&self, slice: SliceId) -> impl Iterator<Item = &Lease> {
        self.lent_of.get(&slice).into_iter().flatten().filter_map(|id| self.leases.get(id))
    }
}
