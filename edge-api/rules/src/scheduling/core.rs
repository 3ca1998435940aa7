//! What happens to a replica's state. Pure: time, ids and what leaves go through arguments. It never decides that a tile
//! is settled: the database does, and tells it.

use std::collections::BTreeSet;
use std::sync::Arc;

use wire::number::to;
use wire::{DeviceId, JobId, LeaseId, Micros, SliceId};

use super::device::{Census, Device};
use super::lease::{CommitError, Lease, LeaseState, Settlement, Slice};
use super::link::Link;
use super::peers::take_device;
use super::recheck_request::{Answer, RecheckError, RecheckId, RecheckRequest, Whom};
pub use super::state::Core;
#[cfg(test)]
use super::state::Holding;
use super::state::RunningJob;
use crate::job::{Job, Needs};

/// After so many times that leases beginning with a tile came back undone, somebody who is trusted tries it.
const UNDONE_BEFORE_LOOK: u32 = 8;
/// Jobs of which that is counted; the oldest is forgotten.
const UNDONE_JOBS_MAX: usize = 1024;

impl Core {
    /// `has_checkers`: the operator has named checkers, so that devices of customers and strangers are
    /// never asked to recompute.
    pub fn new(has_checkers: bool) -> Self {
        Self { has_checkers, ..Self::default() }
    }

    pub fn on_device_joined(&mut self, id: DeviceId, device: Device) {
        self.devices.insert(id, device);
    }

    /// The socket closed: whatever the device had not committed goes to others at once.
    pub fn on_device_left(&mut self, link: &mut impl Link, now: Micros, id: DeviceId) {
        self.devices.remove(&id);
        self.rechecks.remove_device(link, now, id);
        self.give_back(|lease| lease.device == id && lease.state == LeaseState::Out);
        self.assign(link, now);
    }

    /// The device would take a lease more.
    pub fn on_device_ready(&mut self, link: &mut impl Link, now: Micros, id: DeviceId) {
        self.rechecks.add_ready_credit(id);
        self.note_ready(id);
        self.assign(link, now);
    }

    pub(super) fn note_ready(&mut self, id: DeviceId) {
        if let Some(device) = self.devices.get_mut(&id) {
            device.add_ready_credit();
            self.waiting.insert(id);
        }
    }

    /// The device would take no more for a while.
    pub fn on_device_rest(&mut self, id: DeviceId) {
        self.rechecks.rest(id);
        if let Some(device) = self.devices.get_mut(&id) {
            device.ready_credits = 0;
        }
    }

    /// An operator's device that recomputes and is lent nothing else. An older socket of it has ended.
    pub fn on_checker_joined(&mut self, link: &mut impl Link, now: Micros, id: DeviceId, buffer_bytes_max: u64) {
        self.rechecks.remove_device(link, now, id);
        self.rechecks.add_checker(id, buffer_bytes_max);
    }

    /// Tiles are to be recomputed. `id` is told of with the outcome.
    pub fn on_recheck_requested(&mut self, link: &mut impl Link, now: Micros, id: RecheckId, request: RecheckRequest) {
        if matches!(request.whom, Whom::Accused(accused) if !self.devices.contains_key(&accused)) {
            link.end_recheck(id, Err(RecheckError::GivenUp));
            return;
        }
        self.rechecks.push(id, request);
        self.assign(link, now);
    }

    /// Whoever asked no longer waits.
    pub fn on_recheck_cancelled(&mut self, id: RecheckId) {
        self.rechecks.cancel(id);
    }

    /// The device that a request was put to has answered it.
    pub fn on_recheck_answered(&mut self, link: &mut impl Link, lease: LeaseId, answer: Answer) {
        self.rechecks.answer(link, lease, answer);
    }

    /// The device that a request was put to could not do it.
    pub fn on_recheck_returned(&mut self, link: &mut impl Link, now: Micros, lease: LeaseId) {
        self.rechecks.take_back_one(link, now, lease);
        self.assign(link, now);
    }

    pub fn on_lease_returned(&mut self, link: &mut impl Link, now: Micros, device: DeviceId, id: LeaseId) {
        let back = self.give_back(|lease| lease.id == id && lease.device == device && lease.state == LeaseState::Out);
        for lease in back {
            self.note_undone(link, &lease);
        }
        self.assign(link, now);
    }

    /// The kernel of the lease, or of tiles to recompute, does not compile on the device: it gets no more of that job.
    /// Returns the job and a tile of it; `None` where the lease is not the device's, or of no kernel.
    pub fn on_cannot_compile(
        &mut self,
        link: &mut impl Link,
        now: Micros,
        device: DeviceId,
        id: LeaseId,
    ) -> Option<(Arc<Job>, u64)> {
        let lent = self.leases.get(&id).filter(|lease| lease.device == device && lease.state == LeaseState::Out);
        let lent = lent.and_then(|lease| Some((self.job(lease.job)?, lease.first_tile)));
        let asked = self.rechecks.request_of(device, id);
        let (job, tile) = lent.or_else(|| asked.clone()).filter(|(job, _)| job.needs().kernels)?;
        if let Some(device) = self.devices.get_mut(&device) {
            device.unfit_for.insert(job.id);
        }
        if asked.is_some() {
            self.on_recheck_returned(link, now, id);
        } else {
            self.on_lease_returned(link, now, device, id);
        }
        Some((job, tile))
    }

    /// The device says that it is done: from here on the check decides, and no deadline counts.
    pub fn on_commit(&mut self, now: Micros, device: DeviceId, id: LeaseId) -> Result<Lease, CommitError> {
        let lease = self.leases.get(&id).filter(|lease| lease.device == device).ok_or(CommitError::Unknown)?;
        if lease.state == LeaseState::Committed {
            return Err(CommitError::Twice);
        }
        let lease = Lease { state: LeaseState::Committed, ..*lease };
        self.take_lease(id);
        self.insert_lease(lease);
        if let (Some(device), Some(running)) = (self.devices.get_mut(&device), self.jobs.get(&lease.job)) {
            let took = (now - lease.granted_at.max(device.busy_since)).max(1);
            device.busy_since = now;
            device.measure(&running.needs, lease.tiles, took);
        }
        Ok(lease)
    }

    /// The settlement of a committed lease as the owner of its slice would write it. `None` when
    /// this replica no longer holds the slice.
    pub fn settlement(&self, id: LeaseId) -> Option<Settlement> {
        let lease = self.leases.get(&id)?;
        let slice = self.slices.get(&lease.slice)?;
        let mut settled = slice.settled.clone();
        let first = lease.first_tile - slice.first_tile;
        // Bits that must be clear.
        if !settled.is_clear(first, lease.tiles) {
            return None;
        }
        settled.set(first, lease.tiles);
        Some(Settlement { slice: lease.slice, fence: slice.fence, version: slice.version, settled, tiles: lease.tiles })
    }

    /// The database took the settlement. `verified_kflop` of it counts towards the device's standing, in thousands of
    /// operations.
    pub fn on_settled(&mut self, id: LeaseId, settlement: &Settlement, verified_kflop: u64) {
        let Some(lease) = self.take_lease(id) else { return };
        if let Some(slice) = self.slices.get_mut(&settlement.slice)
            && slice.fence == settlement.fence
        {
            slice.version = settlement.version + 1;
            slice.settled = settlement.settled.clone();
        }
        if let (Some(device), Some(running)) = (self.devices.get_mut(&lease.device), self.jobs.get(&lease.job)) {
            device.standings.add(running.needs.program, verified_kflop);
            device.settled_leases += 1;
            device.strikes = device.strikes.saturating_sub(1);
        }
        self.drop_finished();
    }

    /// A slice as it should be written once a settled lease in it is rejected. `None` when this replica does not hold
    /// the slice.
    pub fn unsettlement(&self, slice_id: SliceId, first_tile: u64, tiles: u64) -> Option<Settlement> {
        let slice = self.slices.get(&slice_id)?;
        let mut settled = slice.settled.clone();
        settled.clear(first_tile - slice.first_tile, tiles);
        Some(Settlement { slice: slice_id, fence: slice.fence, version: slice.version, settled, tiles })
    }

    /// The database took tiles back that were settled: they are done again.
    pub fn on_unsettled(&mut self, link: &mut impl Link, now: Micros, first_tile: u64, written: &Settlement) {
        if let Some(slice) = self.slices.get_mut(&written.slice)
            && slice.fence == written.fence
        {
            slice.version = written.version + 1;
            slice.settled = written.settled.clone();
            slice.taken.clear(first_tile - slice.first_tile, written.tiles);
        }
        self.assign(link, now);
    }

    /// A receipt in a slice of this replica that another one took. What was lent of its tiles since is revoked: they
    /// are done. `false` when they are settled, or committed by somebody else.
    pub fn on_receipt_found(&mut self, link: &mut impl Link, now: Micros, lease: Lease) -> bool {
        let range = lease.tile_range();
        let overlaps = |other: &Lease| {
            let of_other = other.tile_range();
            other.slice == lease.slice && of_other.start < range.end && range.start < of_other.end
        };
        let Some(slice) = self.slices.get(&lease.slice) else { return false };
        let is_settled = !slice.settled.is_clear(lease.first_tile - slice.first_tile, lease.tiles);
        let is_committed = |other: &Lease| overlaps(other) && other.state == LeaseState::Committed;
        if is_settled || self.leases.values().any(is_committed) {
            return false;
        }
        for lost in self.give_back(overlaps) {
            link.revoke(lost.device, lost.id);
        }
        if let Some(slice) = self.slices.get_mut(&lease.slice) {
            slice.taken.set(lease.first_tile - slice.first_tile, lease.tiles);
        }
        self.insert_lease(lease);
        self.assign(link, now);
        true
    }

    /// The lease is not accepted: its tiles are to be done again.
    pub fn on_refused(&mut self, link: &mut impl Link, now: Micros, id: LeaseId) {
        self.give_back(|lease| lease.id == id);
        self.assign(link, now);
    }

    /// A check failed: the device gets nothing until `until`, and gives back what it holds.
    pub fn on_device_suspended(&mut self, link: &mut impl Link, now: Micros, id: DeviceId, until: Micros) {
        if let Some(device) = self.devices.get_mut(&id) {
            device.suspended_until = until;
            device.standings.clear();
            device.settled_leases = 0;
        }
        for lease in self.give_back(|lease| lease.device == id && lease.state == LeaseState::Out) {
            link.revoke(lease.device, lease.id);
        }
        self.assign(link, now);
    }

    /// The replica owns a slice from here on. `waiting` are receipts in it that await a check.
    pub fn on_slice_claimed(
        &mut self,
        link: &mut impl Link,
        now: Micros,
        id: SliceId,
        mut slice: Slice,
        job: Arc<Job>,
        waiting: Vec<Lease>,
    ) {
        if !self.jobs.contains_key(&slice.job) {
            self.round_robin.push_back(slice.job);
        }
        self.jobs.insert(slice.job, RunningJob { needs: job.needs(), job });
        for lease in waiting {
            if !slice.taken.is_clear(lease.first_tile - slice.first_tile, lease.tiles) {
                continue;
            }
            slice.taken.set(lease.first_tile - slice.first_tile, lease.tiles);
            self.insert_lease(lease);
        }
        self.slices.insert(id, slice);
        self.assign(link, now);
    }

    /// The replica no longer owns these slices. Leases out go on: their receipts will not settle here.
    pub fn on_slices_lost(&mut self, link: &mut impl Link, ids: &BTreeSet<SliceId>) {
        self.slices.retain(|id, _| !ids.contains(id));
        let lost: Vec<Lease> = self.leases.values().filter(|lease| ids.contains(&lease.slice)).copied().collect();
        for lease in lost {
            self.take_lease(lease.id);
            link.revoke(lease.device, lease.id);
        }
        self.drop_finished();
    }

    pub fn on_job_ended(&mut self, link: &mut impl Link, now: Micros, job: JobId) {
        self.undone.remove(&job);
        let ids = self.slices.iter().filter(|(_, slice)| slice.job == job).map(|(id, _)| *id).collect();
        self.on_slices_lost(link, &ids);
        self.assign(link, now);
    }

    /// Leases and requests past their deadline go to others.
    pub fn on_tick(&mut self, link: &mut impl Link, now: Micros) {
        self.rechecks.expire(link, now);
        for lease in self.give_back(|lease| lease.state == LeaseState::Out && lease.deadline <= now) {
            link.revoke(lease.device, lease.id);
            self.note_undone(link, &lease);
        }
        self.assign(link, now);
    }

    pub fn lease(&self, id: LeaseId) -> Option<&Lease> {
        self.leases.get(&id)
    }

    /// What leases of a running job look like.
    pub fn job(&self, id: JobId) -> Option<Arc<Job>> {
        self.jobs.get(&id).map(|running| Arc::clone(&running.job))
    }

    /// Whether the lease is a request put to this device.
    pub fn is_recheck(&self, device: DeviceId, lease: LeaseId) -> bool {
        self.rechecks.is_assigned(device, lease)
    }

    /// The size of the answer to a request, in bytes.
    pub fn recheck_output_bytes(&self, lease: LeaseId) -> Option<u64> {
        self.rechecks.output_bytes(lease)
    }

    pub fn is_checker(&self, device: DeviceId) -> bool {
        self.rechecks.is_checker(device)
    }

    /// Whether some connected checker has buffers of so many bytes; `None` while none is connected.
    pub fn has_fitting_checker(&self, device_bytes: u64) -> Option<bool> {
        self.rechecks.has_fitting_checker(device_bytes)
    }

    pub fn census(&self, needs: &Needs) -> Census {
        let fitting: Vec<&Device> = self.devices.values().filter(|device| device.fits(None, needs)).collect();
        Census {
            fitting: to(fitting.len()),
            connected: to(self.devices.len()),
            buffer_bytes_max: self.devices.values().map(|device| device.buffer_bytes_max).max().unwrap_or(0),
            flops_per_sec: fitting.iter().map(|device| device.flops_per_sec()).sum(),
        }
    }

    /// A connected device's measured speed; 0 for one that is gone.
    pub fn flops_per_sec(&self, device: DeviceId) -> u64 {
        self.devices.get(&device).map_or(0, Device::flops_per_sec)
    }

    /// Connected devices with their measured speeds.
    pub fn speeds(&self) -> Vec<(DeviceId, u64)> {
        self.devices.iter().map(|(id, device)| (*id, device.flops_per_sec())).collect()
    }

    pub fn devices_at_work(&self, job: JobId) -> u64 {
        let devices: BTreeSet<DeviceId> =
            self.leases.values().filter(|lease| lease.job == job).map(|lease| lease.device).collect();
        to(devices.len())
    }

    /// Some device asked for a lease and has none: no free tile here was one that it could do.
    pub fn is_hungry(&self) -> bool {
        self.devices.values().any(|device| device.ready_credits > 0)
    }

    /// Whether a device here, which waits for work, can do the job.
    pub fn is_wanted(&self, id: JobId, needs: &Needs, now: Micros) -> bool {
        self.devices.values().any(|device| device.takes(Some(id), needs, now))
    }

    /// Slices that no device here works on or will: another replica may have one that can.
    pub fn idle_slices(&self, now: Micros) -> BTreeSet<SliceId> {
        let busy: BTreeSet<SliceId> = self.leases.values().map(|lease| lease.slice).collect();
        let at_work: BTreeSet<DeviceId> = self.leases.values().map(|lease| lease.device).collect();
        let is_served = |id: &JobId| {
            let needs = &self.jobs[id].needs;
            self.devices.iter().any(|(device_id, device)| {
                let is_awake = device.ready_credits > 0 || at_work.contains(device_id);
                is_awake && device.suspended_until <= now && device.fits(Some(*id), needs)
            })
        };
        let served: BTreeSet<JobId> = self.jobs.keys().filter(|id| is_served(id)).copied().collect();
        let idle = self.slices.iter().filter(|(id, slice)| !busy.contains(id) && !served.contains(&slice.job));
        idle.map(|(id, _)| *id).collect()
    }

    /// The slices that this replica owns.
    pub fn slice_ids(&self) -> Vec<SliceId> {
        self.slices.keys().copied().collect()
    }

    /// Under which fence this replica owns a slice.
    pub fn fence(&self, slice: SliceId) -> Option<i64> {
        self.slices.get(&slice).map(|slice| slice.fence)
    }

    pub fn owns(&self, slice: SliceId) -> bool {
        self.slices.contains_key(&slice)
    }

    /// A lease came back undone: its device falls behind others, and tiles that often come back are looked into.
    fn note_undone(&mut self, link: &mut impl Link, lease: &Lease) {
        if let Some(device) = self.devices.get_mut(&lease.device) {
            device.add_strike();
        }
        if self.undone.len() >= UNDONE_JOBS_MAX && !self.undone.contains_key(&lease.job) {
            self.undone.pop_first();
        }
        let times = self.undone.entry(lease.job).or_default().entry(lease.first_tile).or_default();
        *times += 1;
        if times.is_multiple_of(UNDONE_BEFORE_LOOK) {
            link.report_undone(lease.job, lease.first_tile);
        }
    }

    fn give_back(&mut self, which: impl Fn(&Lease) -> bool) -> Vec<Lease> {
        let back: Vec<Lease> = self.leases.values().filter(|lease| which(lease)).copied().collect();
        for lease in &back {
            self.take_lease(lease.id);
            if let Some(slice) = self.slices.get_mut(&lease.slice) {
                slice.taken.clear(lease.first_tile - slice.first_tile, lease.tiles);
            }
        }
        back
    }

    fn drop_finished(&mut self) {
        self.slices.retain(|_, slice| slice.settled.count_ones() < slice.tiles);
        let live: BTreeSet<JobId> = self.slices.values().map(|slice| slice.job).collect();
        self.jobs.retain(|id, _| live.contains(id));
        self.round_robin.retain(|id| live.contains(id));
    }

    /// Puts waiting requests and then free tiles to devices that would take them: somebody waits for a
    /// check, and free tiles wait for nobody.
    pub fn assign(&mut self, link: &mut impl Link, now: Micros) {
        if self.has_checkers {
            self.rechecks.assign_to_checkers(link, now);
        }
        let (devices, waiting, has_checkers) = (&mut self.devices, &mut self.waiting, self.has_checkers);
        waiting.retain(|id| devices.get(id).is_some_and(|device| device.ready_credits > 0));
        if !waiting.is_empty() {
            self.rechecks.assign_to_devices(link, now, has_checkers, |link, needs, request| {
                take_device(link, (devices, waiting), needs, request, now)
            });
        }
        self.lend(link, now);
    }

    /// Re-derives every cross-invariant. For tests, after each step.
    #[cfg(test)]
    pub(super) fn sanity_check(&self) {
        for lease in self.leases.values() {
            let slice = &self.slices[&lease.slice];
            let first = lease.first_tile - slice.first_tile;
            assert!(
                (first..first + lease.tiles).all(|tile| slice.taken.get(tile)),
                "a lent tile should be taken: {lease:?}"
            );
            assert!(slice.settled.is_clear(first, lease.tiles), "a lent tile should not be settled: {lease:?}");
        }
        for (id, slice) in &self.slices {
            let lent: u64 = self.leases.values().filter(|lease| lease.slice == *id).map(|lease| lease.tiles).sum();
            assert_eq!(
                slice.taken.count_ones(),
                lent + slice.settled.count_ones(),
                "taken tiles should be lent or settled"
            );
        }
        for (id, device) in &self.devices {
            let of_device =
                |state| self.leases.values().filter(|lease| lease.device == *id && lease.state == state).count();
            let holding = self.holdings.get(id).copied().unwrap_or_default();
            assert_eq!(
                holding,
                Holding { out: of_device(LeaseState::Out), committed: of_device(LeaseState::Committed) }
            );
            assert!(device.ready_credits == 0 || self.waiting.contains(id));
        }
        let turns: BTreeSet<JobId> = self.round_robin.iter().copied().collect();
        assert_eq!(turns, self.jobs.keys().copied().collect());
    }
}
