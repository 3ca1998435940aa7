//! What always holds between the parts of a replica's state, derived anew: for tests and the simulation.

use std::collections::{BTreeMap, BTreeSet};

use wire::{DeviceId, JobId, LeaseId, SliceId};

use super::cohorts::{Activity, Cohorts, Place};
use super::device::LEASES_OUT_MAX;
use super::judges::Judges;
use super::lease::{Lease, LeaseState};
use super::state::{Core, Holding, Magnitudes, RunningJob};

impl Core {
    /// The first thing found that should not be; slow.
    pub fn find_broken_invariant(&self) -> Option<String> {
        let broken = self.find_broken_lease().or_else(|| self.find_broken_slice());
        broken.or_else(|| self.find_broken_device()).or_else(|| self.find_broken_filing())
    }

    fn find_broken_lease(&self) -> Option<String> {
        for lease in self.leases.values() {
            let Some(slice) = self.slices.get(&lease.slice) else {
                return Some(format!("a lent tile's slice should be here: {lease:?}"));
            };
            let first = lease.first_tile - slice.first_tile;
            if !slice.taken.is_set(first, lease.tiles) {
                return Some(format!("a lent tile should be taken: {lease:?}"));
            }
            if !slice.settled.is_clear(first, lease.tiles) {
                return Some(format!("a lent tile should not be settled: {lease:?}"));
            }
        }
        let is_twin = |(one, other): (&LeaseId, &LeaseId)| {
            let [first, second] = [one, other].map(|id| self.leases.get(id));
            self.twins.get(other) == Some(one)
                && first.zip(second).is_some_and(|(a, b)| {
                    a.slice == b.slice && a.tile_range() == b.tile_range() && a.device != b.device
                })
        };
        if !self.twins.iter().all(is_twin) {
            return Some("two leases of the same tiles should know each other".to_owned());
        }
        let out = self.leases.values().filter(|lease| lease.state == LeaseState::Out);
        let deadlines: BTreeSet<_> = out.map(|lease| (lease.deadline, lease.id)).collect();
        (deadlines != self.deadlines).then(|| "every lease that is out should have its deadline".to_owned())
    }

    /// Where all taken tiles are counted once, no two leases share any but for backups.
    fn find_broken_slice(&self) -> Option<String> {
        let mut lent: BTreeMap<SliceId, u64> = BTreeMap::new();
        // Of two of the same tiles, one.
        let counted = |lease: &&Lease| self.twins.get(&lease.id).is_none_or(|twin| lease.id < *twin);
        for lease in self.leases.values().filter(counted) {
            *lent.entry(lease.slice).or_default() += lease.tiles;
        }
        let (mut free, mut of_job): (BTreeMap<JobId, u64>, BTreeMap<JobId, BTreeSet<SliceId>>) = Default::default();
        for (id, slice) in &self.slices {
            let taken = lent.get(id).copied().unwrap_or(0) + slice.settled.count_ones();
            if slice.taken.count_ones() != taken {
                return Some(format!("taken tiles should be lent or settled: slice {id}"));
            }
            *free.entry(slice.job).or_default() += slice.free_tiles();
            of_job.entry(slice.job).or_default().insert(*id);
        }
        if !of_job.keys().eq(self.jobs.keys()) {
            return Some("there should be every job with a slice, and no other".to_owned());
        }
        for (id, running) in &self.jobs {
            if running.free_tiles != free[id] || running.slices != of_job[id] {
                return Some(format!("a job's slices and free tiles should be counted: {id}"));
            }
        }
        let with_free_tiles = free.iter().filter(|(_, free)| **free > 0).map(|(id, _)| *id);
        (self.turns.all() != with_free_tiles.collect())
            .then(|| "jobs with free tiles should have their turns, and no others".to_owned())
    }

    /// Each device is found under all that it may be lent, and under nothing else; and whoever waits waits for a reason.
    fn find_broken_filing(&self) -> Option<String> {
        let mut cohorts = Cohorts::default();
        for (id, device) in &self.devices {
            let (out, committed) =
                self.holdings.get(id).map_or((0, 0), |holding| (holding.out.len(), holding.committed));
            let would = device.ready_credits > 0;
            let is_suspended = device.suspended_until > self.now;
            let place = self.cohorts.place(*id);
            if place.is_some()
                != (would && !is_suspended && out < LEASES_OUT_MAX && !self.crowded.contains(&(committed, *id)))
            {
                return Some(format!("a device that may be lent something should have its turn, and no other: {id}"));
            }
            let since = place.map_or(0, |place| place.since);
            let place = place.map(|_| Place { strikes: device.strikes, out, since, device: *id });
            let speeds = [false, true].map(|kernels| device.measured(kernels));
            cohorts.file(*id, device, Activity { is_awake: !is_suspended && (would || out > 0), place, speeds });
        }
        let mut judges = Judges::default();
        for (id, device) in &self.devices {
            let is_judge = device.ready_credits > 0 && !device.is_guest && device.only_job.is_none();
            judges.file(*id, is_judge.then_some(&device.standings));
        }
        if judges.all() != self.judges.all() {
            return Some("devices that judge should be among those that are drawn, and no others".to_owned());
        }
        if cohorts != self.cohorts {
            return Some("devices should be found as they are".to_owned());
        }
        let is_looked_at = |job: &JobId, id: DeviceId| self.newly_free.contains(job) || self.newly_ready.contains(&id);
        let waits_for_nothing = |(job, running): (&JobId, &RunningJob)| {
            let id = self.cohorts.first_ready(*job, &running.needs).filter(|_| running.free_tiles > 0)?;
            (!is_looked_at(job, id)).then(|| format!("{id} waits, and could be lent tiles of {job}"))
        };
        self.jobs.iter().find_map(waits_for_nothing)
    }

    fn find_broken_device(&self) -> Option<String> {
        let mut holdings: BTreeMap<DeviceId, Holding> = BTreeMap::new();
        let mut at_work: BTreeMap<JobId, BTreeMap<DeviceId, usize>> = BTreeMap::new();
        for lease in self.leases.values() {
            *at_work.entry(lease.job).or_default().entry(lease.device).or_default() += 1;
            let holding = holdings.entry(lease.device).or_default();
            match lease.state {
                LeaseState::Out => _ = holding.out.insert(lease.id),
                LeaseState::Committed => holding.committed += 1,
            }
        }
        if holdings != self.holdings || at_work != self.at_work {
            return Some("what a device holds should be its leases".to_owned());
        }
        if holdings.values().filter(|holding| holding.committed > 0).count() != self.devices_unchecked {
            return Some("devices with leases that await their check should be counted".to_owned());
        }
        if let Some((id, _)) = holdings.iter().find(|(_, holding)| holding.out.len() > LEASES_OUT_MAX) {
            return Some(format!("a device should hold few leases undone: {id}"));
        }
        let (mut magnitudes, mut kernel_magnitudes) = (Magnitudes::default(), Magnitudes::default());
        for device in self.devices.values() {
            magnitudes.add(device, false);
            kernel_magnitudes.add(device, true);
        }
        if (magnitudes, kernel_magnitudes) != (self.magnitudes, self.kernel_magnitudes) {
            return Some("devices' speeds should be summed up".to_owned());
        }
        let ready = self.devices.iter().filter(|(_, device)| device.ready_credits > 0).map(|(id, _)| id);
        (!ready.eq(&self.waiting)).then(|| "devices that are ready should wait, and no others".to_owned())
    }
}
