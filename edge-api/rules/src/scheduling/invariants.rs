//! What always holds between the parts of a replica's state, derived anew: for tests and the simulation.

use std::collections::{BTreeMap, BTreeSet};

use wire::{DeviceId, JobId, SliceId};

use super::device::LEASES_OUT_MAX;
use super::lease::LeaseState;
use super::state::{Core, Holding, Magnitudes};

impl Core {
    /// The first thing found that should not be; slow.
    pub fn find_broken_invariant(&self) -> Option<String> {
        self.find_broken_lease().or_else(|| self.find_broken_slice()).or_else(|| self.find_broken_device())
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
        let out = self.leases.values().filter(|lease| lease.state == LeaseState::Out);
        let deadlines: BTreeSet<_> = out.map(|lease| (lease.deadline, lease.id)).collect();
        (deadlines != self.deadlines).then(|| "every lease that is out should have its deadline".to_owned())
    }

    /// Where all taken tiles are counted once, no two leases share any.
    fn find_broken_slice(&self) -> Option<String> {
        let mut lent: BTreeMap<SliceId, u64> = BTreeMap::new();
        for lease in self.leases.values() {
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
        let turns: BTreeSet<JobId> = self.round_robin.iter().copied().collect();
        if !turns.iter().eq(self.jobs.keys()) || !of_job.keys().eq(self.jobs.keys()) {
            return Some("every job with a slice should have its turn, and no other".to_owned());
        }
        for (id, running) in &self.jobs {
            let fitting = self.devices.values().filter(|device| device.fits(Some(*id), &running.needs)).count();
            if (running.free_tiles, running.fitting) != (free[id], fitting) || running.slices != of_job[id] {
                return Some(format!("a job's slices, free tiles and devices should be counted: {id}"));
            }
        }
        let with_free_tiles = free.values().filter(|free| **free > 0).count();
        (usize::try_from(self.jobs_with_free_tiles) != Ok(with_free_tiles))
            .then(|| "jobs with free tiles should be counted".to_owned())
    }

    fn find_broken_device(&self) -> Option<String> {
        let mut holdings: BTreeMap<DeviceId, Holding> = BTreeMap::new();
        for lease in self.leases.values() {
            let holding = holdings.entry(lease.device).or_default();
            match lease.state {
                LeaseState::Out => _ = holding.out.insert(lease.id),
                LeaseState::Committed => holding.committed += 1,
            }
        }
        if holdings != self.holdings {
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
