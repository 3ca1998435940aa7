//! Devices filed under what may be asked of them and lent to them, as they come, hold leases, and change with time.

use std::collections::btree_map::Entry;

use wire::{DeviceId, JobId, LeaseId, Micros};

use super::cohorts::{Activity, Place};
use super::device::{Device, LEASES_OUT_MAX};
use super::lease::{Lease, LeaseState};
use super::state::{Core, Holding};
use super::steps::step;

/// Leases of one device that may await their check: a device that answers faster than anybody can look is not lent more
/// meanwhile.
pub(super) const UNCHECKED_MAX: usize = 16;
/// Leases of all devices that may await theirs, shared among those that have any: when checkers fall behind, everybody
/// is lent less, and whoever fills the queue with a thousand keys leaves everybody two: one is checked while the next is
/// computed.
pub(super) const CHECK_QUEUE: usize = 1 << 16;
/// No device is late before this.
const LATE_MIN: Micros = 4_000_000;
/// How many times as long as it should take makes a lease late.
const LATE_FACTOR: i64 = 2;

impl Core {
    pub(super) fn insert_device(&mut self, id: DeviceId, device: Device) {
        self.remove_device(id);
        self.magnitudes.add(&device, false);
        self.kernel_magnitudes.add(&device, true);
        for job in &device.unfit_for {
            self.unfit.entry(*job).or_default().insert(id);
        }
        self.devices.insert(id, device);
        self.file(id);
    }

    pub(super) fn remove_device(&mut self, id: DeviceId) {
        let Some(device) = self.devices.remove(&id) else { return };
        self.questions -= device.questions;
        self.magnitudes.take(&device, false);
        self.kernel_magnitudes.take(&device, true);
        for job in &device.unfit_for {
            if let Entry::Occupied(mut unfit) = self.unfit.entry(*job) {
                unfit.get_mut().remove(&id);
                if unfit.get().is_empty() {
                    unfit.remove();
                }
            }
        }
        self.suspended.remove(&(device.suspended_until, id));
        self.crowded.remove(&(self.committed_of(id), id));
        self.cohorts.remove(id);
        self.judges.file(id, None);
        self.waiting.remove(&id);
        self.changed.remove(&id);
        self.newly_ready.remove(&id);
    }

    /// Whatever is changed of a device is changed here, so that it is found as it is.
    pub(super) fn change_device<T>(&mut self, id: DeviceId, change: impl FnOnce(&mut Device) -> T) -> Option<T> {
        let device = self.devices.get_mut(&id)?;
        let was_suspended_until = device.suspended_until;
        let changed = change(device);
        self.suspended.remove(&(was_suspended_until, id));
        self.file(id);
        Some(changed)
    }

    /// Files a device under what may be asked of it and lent to it.
    pub(super) fn file(&mut self, id: DeviceId) {
        step();
        let Some(device) = self.devices.get(&id) else { return };
        let (out, committed) = self.holdings.get(&id).map_or((0, 0), |holding| (holding.out.len(), holding.committed));
        let is_suspended = device.suspended_until > self.now;
        if is_suspended {
            self.suspended.insert((device.suspended_until, id));
        }
        let would = device.ready_credits > 0;
        if would {
            self.waiting.insert(id);
        } else {
            self.waiting.remove(&id);
        }
        let is_judge = would && !device.is_guest && device.only_job.is_none();
        self.judges.file(id, is_judge.then_some(&device.standings));
        let may = would && !is_suspended && out < LEASES_OUT_MAX;
        let is_crowded = may && committed >= self.unchecked_max();
        if is_crowded {
            self.crowded.insert((committed, id));
        } else {
            self.crowded.remove(&(committed, id));
        }
        let place = if may && !is_crowded {
            let waits_since = self.cohorts.place(id).map(|place| place.since);
            let since = waits_since.unwrap_or_else(|| {
                self.waits_begun += 1;
                self.newly_ready.insert(id);
                self.waits_begun
            });
            Some(Place { strikes: device.strikes, out, since, device: id })
        } else {
            self.newly_ready.remove(&id);
            None
        };
        let speeds = [false, true].map(|kernels| device.measured(kernels));
        let is_awake = !is_suspended && (would || out > 0);
        self.cohorts.file(id, device, Activity { is_awake, place, speeds });
    }

    pub(super) fn committed_of(&self, id: DeviceId) -> usize {
        self.holdings.get(&id).map_or(0, |holding| holding.committed)
    }

    /// Leases of one device that may await their check now.
    pub(super) fn unchecked_max(&self) -> usize {
        (CHECK_QUEUE / self.devices_unchecked.max(1)).clamp(LEASES_OUT_MAX, UNCHECKED_MAX)
    }

    /// What time alone changes: suspensions pass.
    pub(super) fn pass_time(&mut self, now: Micros) {
        self.now = now;
        while let Some(&(until, id)) = self.suspended.first()
            && until <= now
        {
            step();
            self.suspended.pop_first();
            self.file(id);
        }
    }

    /// Devices that more may be lent by now, since fewer leases of all await their check.
    pub(super) fn file_crowded(&mut self) {
        let freed: Vec<DeviceId> =
            self.crowded.range(..(self.unchecked_max(), DeviceId([0; 32]))).map(|(_, id)| *id).collect();
        for id in freed {
            self.file(id);
        }
    }

    /// It cannot compile the job's kernel, or runs it otherwise than others.
    pub(super) fn mark_unfit(&mut self, id: DeviceId, job: JobId) {
        if self.change_device(id, |device| device.unfit_for.insert(job)).is_some() {
            self.unfit.entry(job).or_default().insert(id);
        }
    }

    /// The job has ended: what devices could not do of it says nothing any more.
    pub(super) fn forget_unfit(&mut self, job: JobId) {
        for id in self.unfit.remove(&job).unwrap_or_default() {
            self.change_device(id, |device| device.unfit_for.remove(&job));
        }
    }

    pub(super) fn insert_lease(&mut self, lease: Lease) {
        step();
        self.crowded.remove(&(self.committed_of(lease.device), lease.device));
        self.leases.insert(lease.id, lease);
        self.lent_of.entry(lease.slice).or_default().insert((lease.first_tile, lease.id));
        *self.at_work.entry(lease.job).or_default().entry(lease.device).or_default() += 1;
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
        self.file(lease.device);
    }

    /// Notes when a lease that should take so long, transfers apart, is late.
    pub(super) fn expect(&mut self, lease: &Lease, mean: Micros, transfer: Micros) {
        let late = mean.saturating_mul(LATE_FACTOR).max(LATE_MIN).saturating_add(transfer);
        self.late.insert((lease.granted_at.saturating_add(late), lease.id));
    }

    pub(super) fn take_lease(&mut self, id: LeaseId) -> Option<Lease> {
        step();
        let lease = self.leases.remove(&id)?;
        self.crowded.remove(&(self.committed_of(lease.device), lease.device));
        if let Some(lent) = self.lent_of.get_mut(&lease.slice) {
            lent.remove(&(lease.first_tile, id));
            if lent.is_empty() {
                self.lent_of.remove(&lease.slice);
            }
        }
        self.leave_work(&lease);
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
        self.file(lease.device);
        Some(lease)
    }

    fn leave_work(&mut self, lease: &Lease) {
        let Some(devices) = self.at_work.get_mut(&lease.job) else { return };
        if let Some(leases) = devices.get_mut(&lease.device) {
            *leases -= 1;
            if *leases == 0 {
                devices.remove(&lease.device);
            }
        }
        if devices.is_empty() {
            self.at_work.remove(&lease.job);
        }
    }
}
