//! Who works on what. Pure: time, ids and what leaves go through arguments; nothing here awaits.
//!
//! The core holds the slices that this replica owns, the devices on its sockets and the leases
//! between them. It never decides that a tile is settled: the database does, and tells it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wire::device::DeviceClass;
use wire::{AccountId, DeviceId, JobId, LeaseId, Micros, Privacy, SliceId};

use super::bitmap::Bitmap;
use crate::verification::Standing;

/// Leases that a device may hold undone: one in hand and one to begin with at once.
const LEASES_OUT_MAX: usize = 2;
/// Tiles of a newcomer's first leases, so that little is lost when a stranger vanishes.
const NEWCOMER_TILES: u64 = 4;
/// Input and output of one lease, in bytes.
const LEASE_BYTES_MAX: u64 = 32 << 20;
/// Speed taken for granted until a device has shown its own, in operations a second.
const FIRST_RATE: f64 = 1e8;
const DEADLINE_MIN: Micros = 15_000_000;
const DEADLINE_MAX: Micros = 600_000_000;

/// What the core tells the world.
pub trait Link {
    /// A fresh, unguessable name for a lease.
    fn lease_id(&mut self) -> LeaseId;
    fn grant(&mut self, lease: &Lease, now: Micros);
    fn revoke(&mut self, device: DeviceId, lease: LeaseId);
}

#[derive(Debug, Default)]
pub struct Core {
    devices: BTreeMap<DeviceId, Device>,
    jobs: BTreeMap<JobId, Job>,
    /// Jobs in the order of their next turn.
    turns: VecDeque<JobId>,
    slices: BTreeMap<SliceId, Slice>,
    leases: BTreeMap<LeaseId, Lease>,
}

/// A connected device.
#[derive(Clone, Debug)]
pub struct Device {
    pub account: AccountId,
    pub class: DeviceClass,
    /// Its account is known to the operator.
    pub verified: bool,
    pub buffer_bytes_max: u64,
    /// It runs customers' kernels.
    pub runs_kernels: bool,
    /// It works for this job of its own account, and for nothing else.
    pub only_job: Option<JobId>,
    pub standing: Standing,
    pub suspended_until: Micros,
    /// It asked for so many leases more.
    pub wants: usize,
    /// Measured speed, in operations a second.
    pub rate: f64,
    /// Likewise with customers' kernels, whose operations are counted by their fuel: a bound.
    pub kernel_rate: f64,
    /// When it last began to work, as far as the edge can tell.
    pub busy_since: Micros,
}

impl Device {
    pub fn new(account: AccountId, class: DeviceClass, verified: bool, buffer_bytes_max: u64) -> Self {
        Self {
            account,
            class,
            verified,
            buffer_bytes_max,
            runs_kernels: false,
            only_job: None,
            standing: Standing::default(),
            suspended_until: 0,
            wants: 0,
            rate: FIRST_RATE,
            kernel_rate: FIRST_RATE,
            busy_since: 0,
        }
    }

    /// Goes on from the speed that it showed before.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub fn remember_speed(&mut self, flops_per_sec: u64) {
        if flops_per_sec > 0 {
            self.rate = flops_per_sec as f64;
        }
    }

    /// Measured, in operations a second.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, far below 2^63")]
    pub fn flops_per_sec(&self) -> u64 {
        self.rate.clamp(0.0, 1e18) as u64
    }

    /// Operations a second of such a job.
    fn rate_of(&self, job: &Job) -> f64 {
        if job.needs_kernels { self.kernel_rate } else { self.rate }
    }

    /// Whether it may do the job, which has no `id` as long as it is not submitted.
    fn fits(&self, id: Option<JobId>, job: &Job) -> bool {
        let is_own = self.account == job.account;
        let allowed = match job.privacy {
            _ if self.only_job.is_some() => is_own && self.only_job == id,
            Privacy::Open => true,
            Privacy::Known => self.verified,
            Privacy::Own => is_own,
        };
        allowed && self.buffer_bytes_max >= job.device_bytes && (self.runs_kernels || !job.needs_kernels)
    }
}

/// Connected devices, as far as a quote needs to know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// Those that may run the job.
    pub fitting: u64,
    pub connected: u64,
    /// The largest buffer among all, in bytes.
    pub buffer_bytes_max: u64,
    /// Of those that may run the job, in operations a second.
    pub flops_per_sec: u64,
}

/// What the core needs of a running job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub account: AccountId,
    pub privacy: Privacy,
    pub device_bytes: u64,
    /// It is a `map` job.
    pub needs_kernels: bool,
    pub tile_flops: u64,
    /// Input and output of one tile, in bytes.
    pub tile_bytes: u64,
}

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
    pub state: LeaseState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    Out,
    /// The device has committed; the check decides.
    Committed,
}

/// Why a commit is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    #[error("this lease is not this device's, or has ended")]
    Unknown,
    #[error("this lease is committed already")]
    Twice,
}

/// A settlement as the database must see it: nothing moved in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub slice: SliceId,
    pub fence: i64,
    pub version: i64,
    /// The slice's settled tiles afterwards.
    pub settled: Bitmap,
    pub tiles: u64,
}

impl Core {
    pub fn on_device_joined(&mut self, id: DeviceId, device: Device) {
        self.devices.insert(id, device);
    }

    /// The socket closed: whatever the device had not committed goes to others at once.
    pub fn on_device_left(&mut self, link: &mut impl Link, now: Micros, id: DeviceId) {
        self.devices.remove(&id);
        self.give_back(|lease| lease.device == id && lease.state == LeaseState::Out);
        self.assign(link, now);
    }

    pub fn on_device_ready(&mut self, link: &mut impl Link, now: Micros, id: DeviceId) {
        self.note_ready(id);
        self.assign(link, now);
    }

    /// Takes one wish of a device that may do the job and is of none of the accounts; the device asks
    /// for no lease more with it.
    pub fn take_peer(&mut self, job: &Job, not: &BTreeSet<AccountId>, now: Micros) -> Option<(DeviceId, AccountId)> {
        let (id, device) = self.devices.iter_mut().find(|(_, device)| {
            device.wants > 0
                && device.suspended_until <= now
                && device.fits(None, job)
                && !not.contains(&device.account)
        })?;
        device.wants -= 1;
        Some((*id, device.account))
    }

    /// The device wants a lease more; [`Core::assign`] lends it one.
    pub fn note_ready(&mut self, id: DeviceId) {
        if let Some(device) = self.devices.get_mut(&id) {
            device.wants = (device.wants + 1).min(LEASES_OUT_MAX);
        }
    }

    /// The device wants no more for a while.
    pub fn on_device_rest(&mut self, id: DeviceId) {
        if let Some(device) = self.devices.get_mut(&id) {
            device.wants = 0;
        }
    }

    pub fn on_lease_returned(&mut self, link: &mut impl Link, now: Micros, device: DeviceId, id: LeaseId) {
        self.give_back(|lease| lease.id == id && lease.device == device && lease.state == LeaseState::Out);
        self.assign(link, now);
    }

    /// The device says that it is done: from here on the check decides, and no deadline counts.
    pub fn on_commit(&mut self, now: Micros, device: DeviceId, id: LeaseId) -> Result<Lease, CommitError> {
        let lease = self.leases.get_mut(&id).filter(|lease| lease.device == device).ok_or(CommitError::Unknown)?;
        if lease.state == LeaseState::Committed {
            return Err(CommitError::Twice);
        }
        lease.state = LeaseState::Committed;
        let lease = *lease;
        if let (Some(device), Some(job)) = (self.devices.get_mut(&device), self.jobs.get(&lease.job)) {
            let busy = (now - lease.granted_at.max(device.busy_since)).max(1);
            device.busy_since = now;
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let measured = (lease.tiles.saturating_mul(job.tile_flops)) as f64 / (busy as f64 / 1e6);
            let rate = if job.needs_kernels { &mut device.kernel_rate } else { &mut device.rate };
            *rate = f64::midpoint(*rate, measured);
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

    /// The database took the settlement.
    pub fn on_settled(&mut self, id: LeaseId, settlement: &Settlement) {
        let Some(lease) = self.leases.remove(&id) else { return };
        if let Some(slice) = self.slices.get_mut(&settlement.slice)
            && slice.fence == settlement.fence
        {
            slice.version = settlement.version + 1;
            slice.settled = settlement.settled.clone();
        }
        if let Some(device) = self.devices.get_mut(&lease.device) {
            device.standing.passed += 1;
        }
        self.drop_finished();
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
            device.standing.passed = 0;
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
        job: Job,
        waiting: Vec<Lease>,
    ) {
        if !self.jobs.contains_key(&slice.job) {
            self.turns.push_back(slice.job);
        }
        self.jobs.insert(slice.job, job);
        for lease in waiting {
            if !slice.taken.is_clear(lease.first_tile - slice.first_tile, lease.tiles) {
                continue;
            }
            slice.taken.set(lease.first_tile - slice.first_tile, lease.tiles);
            self.leases.insert(lease.id, lease);
        }
        self.slices.insert(id, slice);
        self.assign(link, now);
    }

    /// The replica no longer owns these slices. Leases out go on: their receipts will not settle here.
    pub fn on_slices_lost(&mut self, link: &mut impl Link, ids: &BTreeSet<SliceId>) {
        self.slices.retain(|id, _| !ids.contains(id));
        let lost: Vec<Lease> = self.leases.values().filter(|lease| ids.contains(&lease.slice)).copied().collect();
        for lease in lost {
            self.leases.remove(&lease.id);
            link.revoke(lease.device, lease.id);
        }
        self.drop_finished();
    }

    pub fn on_job_ended(&mut self, link: &mut impl Link, now: Micros, job: JobId) {
        let ids = self.slices.iter().filter(|(_, slice)| slice.job == job).map(|(id, _)| *id).collect();
        self.on_slices_lost(link, &ids);
        self.assign(link, now);
    }

    /// Leases past their deadline go to others.
    pub fn on_tick(&mut self, link: &mut impl Link, now: Micros) {
        for lease in self.give_back(|lease| lease.state == LeaseState::Out && lease.deadline <= now) {
            link.revoke(lease.device, lease.id);
        }
        self.assign(link, now);
    }

    pub fn lease(&self, id: LeaseId) -> Option<&Lease> {
        self.leases.get(&id)
    }

    pub fn census(&self, job: &Job) -> Census {
        let fitting: Vec<&Device> = self.devices.values().filter(|device| device.fits(None, job)).collect();
        Census {
            fitting: crate::db::uncount(crate::db::count(fitting.len())),
            connected: crate::db::uncount(crate::db::count(self.devices.len())),
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
        crate::db::uncount(crate::db::count(devices.len()))
    }

    /// Some device asked for a lease and has none: no free tile here was one that it could do.
    pub fn is_hungry(&self) -> bool {
        self.devices.values().any(|device| device.wants > 0)
    }

    /// Whether a device here, which waits for work, can do the job.
    pub fn is_wanted(&self, id: JobId, job: &Job, now: Micros) -> bool {
        self.devices
            .values()
            .any(|device| device.wants > 0 && device.suspended_until <= now && device.fits(Some(id), job))
    }

    /// Slices that no device here works on or will: another replica may have one that can.
    pub fn idle_slices(&self, now: Micros) -> BTreeSet<SliceId> {
        let busy: BTreeSet<SliceId> = self.leases.values().map(|lease| lease.slice).collect();
        let at_work: BTreeSet<DeviceId> = self.leases.values().map(|lease| lease.device).collect();
        let is_served = |id: &JobId| {
            let job = &self.jobs[id];
            self.devices.iter().any(|(device_id, device)| {
                let is_awake = device.wants > 0 || at_work.contains(device_id);
                is_awake && device.suspended_until <= now && device.fits(Some(*id), job)
            })
        };
        let served: BTreeSet<JobId> = self.jobs.keys().filter(|id| is_served(id)).copied().collect();
        let idle = self.slices.iter().filter(|(id, slice)| !busy.contains(id) && !served.contains(&slice.job));
        idle.map(|(id, _)| *id).collect()
    }

    pub fn owns(&self, slice: SliceId) -> bool {
        self.slices.contains_key(&slice)
    }

    fn give_back(&mut self, which: impl Fn(&Lease) -> bool) -> Vec<Lease> {
        let back: Vec<Lease> = self.leases.values().filter(|lease| which(lease)).copied().collect();
        for lease in &back {
            self.leases.remove(&lease.id);
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
        self.turns.retain(|id| live.contains(id));
    }

    /// Lends free tiles to devices that asked, job by job in turn, until nothing fits.
    pub fn assign(&mut self, link: &mut impl Link, now: Micros) {
        let waiting: Vec<DeviceId> = self
            .devices
            .iter()
            .filter(|(_, device)| device.wants > 0 && device.suspended_until <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            while let Some(lease) = self.find_work(link, now, id) {
                link.grant(&lease, now);
                self.leases.insert(lease.id, lease);
            }
        }
    }

    fn find_work(&mut self, link: &mut impl Link, now: Micros, id: DeviceId) -> Option<Lease> {
        let out = self.leases.values().filter(|lease| lease.device == id && lease.state == LeaseState::Out).count();
        let device = self.devices.get(&id)?;
        if device.wants == 0 || out >= LEASES_OUT_MAX {
            return None;
        }
        for turn in 0..self.turns.len() {
            let job_id = self.turns[turn];
            let job = &self.jobs[&job_id];
            if !device.fits(Some(job_id), job) {
                continue;
            }
            let size = self.lease_tiles(device, job_id, job);
            let Some((slice_id, first, tiles)) = self.free_run(job_id, size) else { continue };
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an estimate, clamped")]
            let expected = (tiles.saturating_mul(job.tile_flops) as f64 / device.rate_of(job).max(1.0) * 1e6) as Micros;
            let deadline = now + expected.saturating_mul(4).clamp(DEADLINE_MIN, DEADLINE_MAX);
            // The job goes to the back: each has its turn.
            self.turns.remove(turn);
            self.turns.push_back(job_id);
            let slice = self.slices.get_mut(&slice_id)?;
            slice.taken.set(first, tiles);
            let first_tile = slice.first_tile + first;
            if let Some(device) = self.devices.get_mut(&id) {
                device.wants -= 1;
            }
            let id_of_lease = link.lease_id();
            return Some(Lease {
                id: id_of_lease,
                device: id,
                job: job_id,
                slice: slice_id,
                first_tile,
                tiles,
                granted_at: now,
                deadline,
                state: LeaseState::Out,
            });
        }
        None
    }

    /// Free tiles of `job`: at most `most` in a row.
    fn free_run(&self, job: JobId, most: u64) -> Option<(SliceId, u64, u64)> {
        self.slices
            .iter()
            .filter(|(_, slice)| slice.job == job)
            .find_map(|(id, slice)| slice.taken.clear_run(0, most).map(|(first, tiles)| (*id, first, tiles)))
    }

    /// About a second's work for a newcomer, five for a tab, thirty for a native device; less
    /// towards a job's end, so that everybody ends together.
    fn lease_tiles(&self, device: &Device, job_id: JobId, job: &Job) -> u64 {
        let established = device.standing.is_established();
        let secs = match (established, device.class) {
            (false, _) => 1.0,
            (true, DeviceClass::Tab) => 5.0,
            (true, DeviceClass::Native) => 30.0,
        };
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate, clamped"
        )]
        let by_rate = (device.rate_of(job) * secs / job.tile_flops.max(1) as f64).clamp(1.0, 1e9) as u64;
        let by_standing = if established {
            u64::MAX
        } else {
            NEWCOMER_TILES << (device.standing.passed / 16).saturating_sub(3).min(16)
        };
        let by_bytes = LEASE_BYTES_MAX / job.tile_bytes.max(1);
        let free: u64 = self
            .slices
            .values()
            .filter(|slice| slice.job == job_id)
            .map(|slice| slice.tiles - slice.taken.count_ones())
            .sum();
        let fitting = self.devices.values().filter(|device| device.fits(Some(job_id), job)).count();
        let by_share = free.div_ceil(2 * crate::db::uncount(crate::db::count(fitting)).max(1));
        by_rate.min(by_standing).min(by_bytes).min(by_share).max(1)
    }

    /// Re-derives every cross-invariant. For tests, after each step.
    #[cfg(test)]
    fn sanity_check(&self) {
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
        let turns: BTreeSet<JobId> = self.turns.iter().copied().collect();
        assert_eq!(turns, self.jobs.keys().copied().collect());
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
