//! What one replica holds: the slices that it owns, the devices on its sockets, the leases between them, and the tiles
//! that devices are asked to recompute. Whatever is asked for with every lease is counted along here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use wire::{DeviceId, JobId, LeaseId, Micros, SliceId};

use super::cohorts::Cohorts;
use super::device::Device;
use super::judges::Judges;
use super::lease::{Lease, Slice};
use super::recheck::Rechecks;
use super::steps::step;
use super::turns::Turns;
use crate::job::{Job, Needs};

#[derive(Debug, Default)]
pub struct Core {
    /// When the last event was that said so.
    pub(super) now: Micros,
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
    /// Those of them whose word on others' work counts.
    pub(super) judges: Judges,
    /// All of them, by what they may be lent.
    pub(super) cohorts: Cohorts,
    /// How many have begun to wait for a lease.
    pub(super) waits_begun: u64,
    /// Those that wait and are suspended, the next to be free first.
    pub(super) suspended: BTreeSet<(Micros, DeviceId)>,
    /// Those that wait for a check of theirs before they are lent more, by how many they wait for.
    pub(super) crowded: BTreeSet<(usize, DeviceId)>,
    /// Devices that may be asked something though they could not when everybody was last looked at.
    pub(super) changed: BTreeSet<DeviceId>,
    /// Devices that may be lent something since free tiles were last lent: to all others that wait, none that they could do
    /// were left, but for those of `newly_free`.
    pub(super) newly_ready: BTreeSet<DeviceId>,
    pub(super) jobs: BTreeMap<JobId, RunningJob>,
    /// Tiles of them that nobody has claimed, as far as was told last: those that may come here.
    pub(super) unclaimed: BTreeMap<JobId, u64>,
    /// Jobs that have free tiles since those were last lent, and had none before.
    pub(super) newly_free: BTreeSet<JobId>,
    /// Jobs with free tiles, in the order that they are lent in.
    pub(super) turns: Turns,
    /// Devices that cannot do a job which others can.
    pub(super) unfit: BTreeMap<JobId, BTreeSet<DeviceId>>,
    pub(super) slices: BTreeMap<SliceId, Slice>,
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    /// Leases of each slice, with their first tiles.
    pub(super) lent_of: BTreeMap<SliceId, BTreeSet<(u64, LeaseId)>>,
    /// How many leases of each job its devices have.
    pub(super) at_work: BTreeMap<JobId, BTreeMap<DeviceId, usize>>,
    /// Leases that are out, the next to run out first.
    pub(super) deadlines: BTreeSet<(Micros, LeaseId)>,
    /// Leases that are out, and when each is late.
    pub(super) late: BTreeSet<(Micros, LeaseId)>,
    /// Leases of the same tiles, each by the other.
    pub(super) twins: BTreeMap<LeaseId, LeaseId>,
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
    /// Its turn among its account's: the lower, the sooner.
    pub(super) turn: u64,
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
    pub(super) fn insert_slice(&mut self, id: SliceId, slice: Slice, job: Arc<Job>) {
        self.remove_slice(id);
        let running = self.jobs.entry(slice.job).or_insert_with(|| RunningJob {
            needs: job.needs(),
            job,
            slices: BTreeSet::new(),
            free_slices: BTreeSet::new(),
            free_tiles: 0,
            turn: 0,
            used_share: None,
        });
        running.slices.insert(id);
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
        let Some(job) = self.slices.get(&id).map(|slice| slice.job) else { return };
        let Some(running) = self.jobs.get_mut(&job) else { return };
        let had_any = running.free_tiles > 0;
        running.free_tiles = running.free_tiles + after - before;
        if after > 0 {
            running.free_slices.insert(id);
        } else {
            running.free_slices.remove(&id);
        }
        match (had_any, running.free_tiles > 0) {
            (false, true) => {
                self.turns.insert(job, &running.needs, running.turn);
                self.newly_free.insert(job);
            }
            (true, false) => {
                self.turns.remove(job, &running.needs, running.turn);
                self.newly_free.remove(&job);
            }
            (false, false) | (true, true) => {}
        }
    }

    /// Leases that a device holds undone.
    pub(super) fn out_of(&self, device: DeviceId) -> Vec<LeaseId> {
        self.holdings.get(&device).map(|holding| holding.out.iter().copied().collect()).unwrap_or_default()
    }

    pub(super) fn leases_of_slice(&self, slice: SliceId) -> impl Iterator<Item = &Lease> {
        self.lent_of.get(&slice).into_iter().flatten().filter_map(|(_, id)| self.leases.get(id))
    }

    /// Whether some of these tiles, counted over the job, are lent: as no two leases share some and not all, the last that begins before
    /// their end would have to reach beyond their beginning.
    pub(super) fn is_lent(&self, slice: SliceId, tiles: &Range<u64>) -> bool {
        step();
        let last = self.lent_of.get(&slice).and_then(|lent| lent.range(..(tiles.end, LeaseId([0; 16]))).next_back());
        last.and_then(|(_, id)| self.leases.get(id)).is_some_and(|lease| lease.tile_range().end > tiles.start)
    }
}
