//! What happens to a replica's state. Pure: time, ids and what leaves go through arguments. It never decides that a tile
//! is settled: the database does, and tells it.

use std::collections::BTreeSet;
use std::sync::Arc;

use wire::{DeviceId, JobId, LeaseId, Micros, SliceId};

use super::challenge::{Purpose, Size};
use super::device::Device;
use super::lease::{CommitError, Lease, LeaseState, SettledLease, Settlement, Slice};
use super::line::Direction;
use super::link::Link;
use super::peers::Candidates;
use super::recheck::{Changed, Rechecks};
use super::recheck_request::{Answer, RecheckError, RecheckId, RecheckRequest, Whom};
use super::speed::{Proof, Took};
pub use super::state::Core;
use crate::job::Job;

/// After so many times that leases beginning with a tile came back undone, somebody who is trusted tries it.
const UNDONE_BEFORE_LOOK: u32 = 8;
/// Devices that left, of which what they gave back is remembered.
const STRIKES_OF_GONE_MAX: usize = 65_536;
/// Jobs of which that is counted; the oldest is forgotten.
const UNDONE_JOBS_MAX: usize = 1024;

impl Core {
    /// `has_checkers`: the operator has named checkers, so that devices of customers and strangers are
    /// never asked to recompute.
    /// `lease_tiles_max`: no lease has more tiles, whatever its device is good for.
    pub fn new(has_checkers: bool, lease_tiles_max: Option<u64>) -> Self {
        Self { has_checkers, lease_tiles_max, rechecks: Rechecks::new(has_checkers), ..Self::default() }
    }

    pub fn on_device_joined(&mut self, id: DeviceId, mut device: Device) {
        device.strikes += self.strikes_of_gone.remove(&id).unwrap_or_default();
        self.insert_device(id, device);
    }

    /// The socket closed: whatever the device had not committed goes to others at once. That costs it as a lease does that
    /// it gives back, also after it has connected again.
    pub fn on_device_left(&mut self, link: &mut impl Link, now: Micros, id: DeviceId) {
        for lease in self.give_back(self.out_of(id)) {
            self.note_undone(link, &lease);
        }
        let strikes = self.devices.get(&id).map_or(0, |device| device.strikes);
        self.remove_device(id);
        self.rechecks.remove_device(link, now, id);
        if strikes > 0 {
            if self.strikes_of_gone.len() >= STRIKES_OF_GONE_MAX {
                self.strikes_of_gone.pop_first();
            }
            self.strikes_of_gone.insert(id, strikes);
        }
        self.assign(link, now);
    }

    /// The device would take a lease more.
    pub fn on_device_ready(&mut self, link: &mut impl Link, now: Micros, id: DeviceId) {
        self.rechecks.add_ready_credit(id);
        self.note_ready(id);
        self.assign(link, now);
    }

    pub(super) fn note_ready(&mut self, id: DeviceId) {
        if self.change_device(id, Device::add_ready_credit).is_some() {
            self.changed.insert(id);
        }
    }

    /// The device would take no more for a while.
    pub fn on_device_rest(&mut self, id: DeviceId) {
        self.rechecks.rest(id);
        self.change_device(id, |device| device.ready_credits = 0);
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
        self.rechecks.push(now, id, request);
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

    /// The device that a request was put to gives it back: that costs it as a lease does.
    pub fn on_recheck_returned(&mut self, link: &mut impl Link, now: Micros, lease: LeaseId) {
        let by = self.rechecks.take_back_one(link, now, lease);
        self.add_strikes(by);
        self.assign(link, now);
    }

    fn add_strikes(&mut self, devices: impl IntoIterator<Item = DeviceId>) {
        for id in devices {
            self.change_device(id, Device::add_strike);
        }
    }

    pub fn on_lease_returned(&mut self, link: &mut impl Link, now: Micros, device: DeviceId, id: LeaseId) {
        let is_out = |lease: &&Lease| lease.device == device && lease.state == LeaseState::Out;
        let back = self.leases.get(&id).filter(is_out).map(|lease| lease.id);
        for lease in self.give_back(back) {
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
        self.mark_unfit(device, job.id);
        if asked.is_some() {
            // It would if it could.
            let _device = self.rechecks.take_back_one(link, now, id);
            self.assign(link, now);
        } else {
            self.on_lease_returned(link, now, device, id);
        }
        Some((job, tile))
    }

    /// A device's fault is one to others of its kind alone: it gets no more of that job.
    pub fn on_fault_of_backend(&mut self, link: &mut impl Link, now: Micros, id: LeaseId) {
        if let Some(lease) = self.leases.get(&id).copied() {
            self.mark_unfit(lease.device, lease.job);
        }
        self.on_refused(link, now, id);
    }

    /// Nobody can say whether a device's fault is one: it is as if the device had given the lease back.
    pub fn on_fault_unclear(&mut self, link: &mut impl Link, now: Micros, id: LeaseId) {
        for lease in self.give_back([id]) {
            self.note_undone(link, &lease);
        }
        self.assign(link, now);
    }

    /// The device says that it is done: from here on the check decides, and no deadline counts.
    pub fn on_commit(&mut self, now: Micros, device: DeviceId, id: LeaseId) -> Result<Lease, CommitError> {
        let lease = self.leases.get(&id).filter(|lease| lease.device == device).ok_or(CommitError::Unknown)?;
        if lease.state == LeaseState::Committed {
            return Err(CommitError::Twice);
        }
        let mut lease = Lease { state: LeaseState::Committed, ..*lease };
        self.take_lease(id);
        if let (Some(device), Some(running)) = (self.devices.get_mut(&device), self.jobs.get(&lease.job)) {
            lease.took = Took::of(lease.granted_at, device.busy_since, now);
            // A clock may step back.
            device.busy += (now - lease.granted_at.max(device.busy_since)).max(0);
            device.busy_since = now;
            self.questions -= std::mem::take(&mut device.questions);
            device.line.keep(running.needs.code);
        }
        self.insert_lease(lease);
        Ok(lease)
    }

    /// Bytes went to a device or came from it.
    pub fn on_transfer(&mut self, id: DeviceId, direction: Direction, bytes: u64, took: Micros) {
        if let Some(device) = self.devices.get_mut(&id) {
            device.line.measure(direction, bytes, took);
        }
    }

    /// What the device showed when it was challenged; 0 operations a second where it failed.
    pub fn on_proved(&mut self, id: DeviceId, proof: Proof) {
        let Some(device) = self.devices.get_mut(&id) else { return };
        device.proof = Some(proof);
        if proof.ops_per_sec == 0 {
            return;
        }
        for kernels in [false, true] {
            let magnitudes = if kernels { &mut self.kernel_magnitudes } else { &mut self.magnitudes };
            magnitudes.take(device, kernels);
            let speed = if kernels { &mut device.kernel_speed } else { &mut device.speed };
            speed.on_proved(proof.ops_per_sec);
            magnitudes.add(device, kernels);
        }
        self.file(id);
    }

    /// What a device that takes work is asked for as a benchmark, once a connection, if it is to be asked.
    pub fn take_benchmark(&mut self, id: DeviceId, now: Micros) -> Option<Size> {
        let device = self.devices.get_mut(&id).filter(|device| device.wants_benchmark(now))?;
        device.benchmarks += 1;
        Some(device.challenge_size(Purpose::Benchmark))
    }

    /// What a device showed as a benchmark: where nothing is known of its speed, leases and quotes go by that.
    pub fn on_benchmarked(&mut self, id: DeviceId, ops_per_sec: u64) {
        let Some(device) = self.devices.get_mut(&id) else { return };
        for kernels in [false, true] {
            let magnitudes = if kernels { &mut self.kernel_magnitudes } else { &mut self.magnitudes };
            let speed = if kernels { &mut device.kernel_speed } else { &mut device.speed };
            if speed.measured().is_none() {
                speed.on_proved(ops_per_sec);
                magnitudes.add(device, kernels);
            }
        }
        self.file(id);
    }

    /// The device's line was measured both ways on purpose.
    pub fn on_line_probed(&mut self, now: Micros, id: DeviceId) {
        if let Some(device) = self.devices.get_mut(&id) {
            device.line.on_probed(now);
        }
    }

    /// A slice as it stands, to settle leases in. `None` when this replica does not hold it.
    pub fn settlement(&self, id: SliceId) -> Option<Settlement> {
        let slice = self.slices.get(&id)?;
        let (first_tile, fence, version) = (slice.first_tile, slice.fence, slice.version);
        Some(Settlement { slice: id, first_tile, fence, version, settled: slice.settled.clone(), tiles: 0 })
    }

    /// The database took the settlement, of these leases.
    pub fn on_settled(&mut self, link: &mut impl Link, settlement: &Settlement, leases: &[SettledLease]) {
        for settled in leases {
            self.note_settled(settled);
            self.end_twin(link, settled.lease);
        }
        if let Some(slice) = self.slices.get_mut(&settlement.slice)
            && slice.fence == settlement.fence
        {
            slice.version = settlement.version + 1;
            slice.settled.clone_from(&settlement.settled);
            if slice.is_finished() {
                self.remove_slice(settlement.slice);
            }
        }
    }

    fn note_settled(&mut self, settled: &SettledLease) {
        let Some(lease) = self.take_lease(settled.lease) else { return };
        let (Some(device), Some(running)) = (self.devices.get_mut(&lease.device), self.jobs.get_mut(&lease.job)) else {
            return;
        };
        device.standings.add(running.needs.program, settled.verified_kflop);
        let (kernels, most) = (running.needs.kernels, lease.flops(&running.needs));
        let flops = most.saturating_sub(settled.flops_left);
        running.note_used(most, flops);
        let is_own = device.account == running.needs.customer;
        let magnitudes = if kernels { &mut self.kernel_magnitudes } else { &mut self.magnitudes };
        magnitudes.take(device, kernels);
        device.speed_of(&running.needs).on_settled(flops, lease.took, is_own);
        magnitudes.add(device, kernels);
        device.settled_leases += 1;
        device.strikes = device.strikes.saturating_sub(1);
        self.file(lease.device);
    }

    /// A slice as it should be written once a settled lease in it is rejected. `None` when this replica does not hold
    /// the slice.
    pub fn unsettlement(&self, slice_id: SliceId, first_tile: u64, tiles: u64) -> Option<Settlement> {
        let mut slice = self.settlement(slice_id)?;
        slice.settled.clear(first_tile - slice.first_tile, tiles);
        Some(Settlement { tiles, ..slice })
    }

    /// The database took tiles back that were settled: they are done again.
    pub fn on_unsettled(&mut self, link: &mut impl Link, now: Micros, first_tile: u64, written: &Settlement) {
        if let Some(slice) = self.slices.get_mut(&written.slice)
            && slice.fence == written.fence
        {
            slice.version = written.version + 1;
            slice.settled.clone_from(&written.settled);
            let first = first_tile - slice.first_tile;
            self.free_tiles(written.slice, first, written.tiles);
        }
        self.assign(link, now);
    }

    /// A receipt in a slice of this replica that was not committed to a lease of it: another replica granted that, or it
    /// had come back. `false` when its tiles are settled, or somebody else's by now: whoever gives a lease back and commits
    /// to it all the same takes nothing from whom it went to.
    pub fn on_receipt_found(&mut self, link: &mut impl Link, now: Micros, lease: Lease) -> bool {
        let Some(slice) = self.slices.get(&lease.slice) else { return false };
        let first = lease.first_tile - slice.first_tile;
        let is_settled = !slice.settled.is_clear(first, lease.tiles);
        if is_settled || self.is_lent(lease.slice, &lease.tile_range()) {
            return false;
        }
        self.take_tiles(lease.slice, first, lease.tiles);
        self.insert_lease(lease);
        self.assign(link, now);
        true
    }

    /// The lease is not accepted: its tiles are to be done again.
    pub fn on_refused(&mut self, link: &mut impl Link, now: Micros, id: LeaseId) {
        self.give_back([id]);
        self.assign(link, now);
    }

    /// A check failed: the device gets nothing until `until`, and gives back what it holds.
    pub fn on_device_suspended(&mut self, link: &mut impl Link, now: Micros, id: DeviceId, until: Micros) {
        self.now = now;
        self.change_device(id, |device| {
            device.suspended_until = until;
            device.standings.clear();
            device.settled_leases = 0;
        });
        for lease in self.give_back(self.out_of(id)) {
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
        // Of an earlier time that it was this replica's.
        self.on_slices_lost(link, &[id].into());
        for lease in waiting {
            if !slice.taken.is_clear(lease.first_tile - slice.first_tile, lease.tiles) {
                continue;
            }
            slice.taken.set(lease.first_tile - slice.first_tile, lease.tiles);
            self.insert_lease(lease);
        }
        self.insert_slice(id, slice, job);
        self.assign(link, now);
    }

    /// The replica no longer owns these slices. Leases out go on: their receipts will not settle here.
    pub fn on_slices_lost(&mut self, link: &mut impl Link, ids: &BTreeSet<SliceId>) {
        for id in ids {
            self.remove_slice(*id);
            let lost: Vec<Lease> = self.leases_of_slice(*id).copied().collect();
            for lease in lost {
                self.take_lease(lease.id);
                self.part(lease.id);
                link.revoke(lease.device, lease.id);
            }
        }
    }

    pub fn on_job_ended(&mut self, link: &mut impl Link, now: Micros, job: JobId) {
        self.undone.remove(&job);
        self.forget_unfit(job);
        let ids = self.jobs.get(&job).map(|running| running.slices.clone()).unwrap_or_default();
        self.on_slices_lost(link, &ids);
        self.assign(link, now);
    }

    /// Leases and requests past their deadline go to others.
    pub fn on_tick(&mut self, link: &mut impl Link, now: Micros) {
        let idle = self.rechecks.expire(link, now);
        self.add_strikes(idle);
        self.file_crowded();
        let overdue = self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now);
        let overdue: Vec<LeaseId> = overdue.map(|(_, lease)| *lease).collect();
        for lease in self.give_back(overdue) {
            link.revoke(lease.device, lease.id);
            // Perhaps its tiles take more than those before.
            if let Some(running) = self.jobs.get_mut(&lease.job) {
                running.note_overdue();
            }
            self.note_undone(link, &lease);
        }
        self.assign(link, now);
        self.back_up_late_leases(link, now);
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

    /// A lease came back undone: its device falls behind others, and tiles that often come back are looked into.
    fn note_undone(&mut self, link: &mut impl Link, lease: &Lease) {
        self.change_device(lease.device, Device::add_strike);
        if self.undone.len() >= UNDONE_JOBS_MAX && !self.undone.contains_key(&lease.job) {
            self.undone.pop_first();
        }
        let times = self.undone.entry(lease.job).or_default().entry(lease.first_tile).or_default();
        *times += 1;
        if times.is_multiple_of(UNDONE_BEFORE_LOOK) {
            link.report_undone(lease.job, lease.first_tile);
        }
    }

    /// Takes leases from their devices; their tiles are free again, but for those that another lease is of too.
    fn give_back(&mut self, ids: impl IntoIterator<Item = LeaseId>) -> Vec<Lease> {
        let mut back = Vec::new();
        for lease in ids.into_iter().filter_map(|id| self.take_lease(id)).collect::<Vec<Lease>>() {
            if self.part(lease.id).is_none()
                && let Some(slice) = self.slices.get(&lease.slice)
            {
                let first = lease.first_tile - slice.first_tile;
                self.free_tiles(lease.slice, first, lease.tiles);
            }
            back.push(lease);
        }
        back
    }

    /// Puts waiting requests and then free tiles to devices that would take them: somebody waits for a
    /// check, and free tiles wait for nobody.
    pub fn assign(&mut self, link: &mut impl Link, now: Micros) {
        self.pass_time(now);
        if self.has_checkers {
            self.rechecks.assign_to_checkers(link, now);
        }
        let changed = std::mem::take(&mut self.changed);
        if self.waiting.is_empty() {
            self.newly_free.clear();
            self.rechecks.note_nobody_waits();
            return;
        }
        self.assign_rechecks(link, now, &changed);
        self.lend(link, now);
    }

    fn assign_rechecks(&mut self, link: &mut impl Link, now: Micros, changed: &BTreeSet<DeviceId>) {
        let waiting = changed.iter().filter(|id| self.waiting.contains(id));
        let judging = waiting.map(|id| (*id, self.judges.programs_of(*id).map(str::to_owned).collect()));
        let judging: Changed = judging.collect();
        let (devices, judges, questions) = (&mut self.devices, &self.judges, &mut self.questions);
        let mut candidates = Candidates { devices, judges, questions, changed, asked: BTreeSet::new() };
        self.rechecks.assign_to_devices(link, now, judging, |link, asked, returned, look| {
            candidates.find(link, asked, returned, look, now)
        });
        for id in candidates.asked {
            self.file(id);
        }
    }
}
