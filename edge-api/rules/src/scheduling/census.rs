//! What a replica can say of its devices and slices.

use std::collections::{BTreeMap, BTreeSet};

use wire::number::to;
use wire::{DeviceId, JobId, Micros, SliceId};

use super::challenge::{Challenged, Purpose, Size};
use super::device::{Census, Device, Offer};
use super::line::LineSpeed;
use super::state::{Core, RunningJob};
use super::steps::step;
use crate::job::Needs;
use crate::verification::party::Network;

impl Core {
    /// Whether some connected checker has buffers of so many bytes; `None` while none is connected.
    pub fn has_fitting_checker(&self, device_bytes: u64) -> Option<bool> {
        self.rechecks.has_fitting_checker(device_bytes)
    }

    pub fn census(&self, needs: &Needs) -> Census {
        Census {
            fitting: self.cohorts.count(None, needs),
            connected: to(self.devices.len()),
            buffer_bytes_max: self.cohorts.buffer_bytes_max(),
            flops_per_sec: self.cohorts.flops_per_sec(None, needs),
        }
    }

    /// A connected device's measured speed; 0 for one that is gone.
    pub fn flops_per_sec(&self, device: DeviceId) -> u64 {
        self.devices.get(&device).map_or(0, Device::flops_per_sec)
    }

    /// Connected devices with what each of them offers.
    pub fn supply(&self, now: Micros) -> Vec<Offer> {
        self.devices.iter().map(|(id, device)| self.offer_of(*id, device, now)).collect()
    }

    /// What a device offers, while it is connected.
    pub fn offer(&self, id: DeviceId, now: Micros) -> Option<Offer> {
        Some(self.offer_of(id, self.devices.get(&id)?, now))
    }

    fn offer_of(&self, id: DeviceId, device: &Device, now: Micros) -> Offer {
        let is_awake = self.is_awake(id, device, now);
        Offer { device: id, is_awake, flops_per_sec: if is_awake { device.flops_per_sec() } else { 0 } }
    }

    /// How long a connected device worked on what it has committed since this was last asked.
    pub fn take_busy(&mut self, device: DeviceId) -> Micros {
        self.devices.get_mut(&device).map_or(0, |device| std::mem::take(&mut device.busy))
    }

    /// Whom a challenge is put to, and what of: all that take others' work now.
    pub fn challenged(&self, now: Micros) -> Vec<(DeviceId, Size)> {
        let takes = |(id, device): &(&DeviceId, &Device)| self.is_awake(**id, device, now) && device.only_job.is_none();
        self.devices.iter().filter(takes).map(|(id, device)| (*id, device.challenge_size(Purpose::Proof))).collect()
    }

    /// The line of a connected device, as measured.
    pub fn line(&self, device: DeviceId) -> Option<LineSpeed> {
        Some(self.devices.get(&device)?.line.measured())
    }

    /// Whether the line of a connected device is to be measured on purpose.
    pub fn wants_probe(&self, device: DeviceId, now: Micros) -> bool {
        self.devices.get(&device).is_some_and(|device| device.line.wants_probe(now))
    }

    /// Where a connected device connects from.
    pub fn network_of(&self, device: DeviceId) -> Option<Network> {
        self.devices.get(&device)?.network
    }

    /// What is known of a connected device that is challenged.
    pub fn known_of(&self, device: DeviceId, purpose: Purpose) -> Option<Challenged> {
        self.devices.get(&device).map(|device| device.challenged(purpose))
    }

    /// A connected device's speed by its work alone, and as others are shown it; 0 for one that is gone.
    pub fn speeds_of(&self, device: DeviceId) -> (u64, u64) {
        self.devices.get(&device).map_or((0, 0), |device| (device.worked_flops_per_sec(), device.flops_per_sec()))
    }

    /// Whether the device takes leases: it computes one or waits for one, and is not suspended.
    pub(super) fn is_awake(&self, id: DeviceId, device: &Device, now: Micros) -> bool {
        let is_here = device.ready_credits > 0 || self.holdings.get(&id).is_some_and(|holding| !holding.out.is_empty());
        is_here && device.suspended_until <= now
    }

    /// Whether some device here could be lent the job's, whether or not it takes work now.
    pub fn fits_anybody(&self, id: JobId, needs: &Needs) -> bool {
        self.cohorts.count(Some(id), needs) > 0
    }

    pub fn devices_at_work(&self, job: JobId) -> u64 {
        to(self.at_work.get(&job).map_or(0, BTreeMap::len))
    }

    /// Some device asked for a lease, may have one, and has none: no free tile here was one that it could do.
    pub fn is_hungry(&self) -> bool {
        self.cohorts.ready() > 0
    }

    /// Whether a device here, which waits for work, can do the job.
    pub fn is_wanted(&self, id: JobId, needs: &Needs, now: Micros) -> bool {
        let free_by_now = self.suspended.range(..=(now, DeviceId([u8::MAX; 32]))).map(|(_, id)| id);
        let mut free_by_now = free_by_now.filter_map(|id| self.devices.get(id));
        self.cohorts.first_ready(id, needs).is_some() || free_by_now.any(|device| device.takes(Some(id), needs, now))
    }

    /// Slices that no device here works on or will: another replica may have one that can.
    pub fn idle_slices(&self) -> BTreeSet<SliceId> {
        let is_served = |(id, running): &(&JobId, &RunningJob)| self.cohorts.is_anybody_awake(**id, &running.needs);
        let unserved = self.jobs.iter().filter(|job| !is_served(job));
        let slices = unserved.flat_map(|(_, running)| &running.slices).inspect(|_| step());
        slices.filter(|id| !self.lent_of.contains_key(id)).copied().collect()
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
}

#[cfg(test)]
mod tests {
    use super::super::speed::Proof;
    use super::super::tests::{ADA, BOB, World};

    const PROOF: Proof = Proof { ops_per_sec: 3_000_000_000, at: 0 };

    impl World {
        fn offered(&self) -> u64 {
            self.core.supply(self.now).iter().map(|offer| offer.flops_per_sec).sum()
        }
    }

    #[test]
    fn the_supply_is_what_devices_that_take_work_have_proved_or_had_verified() {
        // Of work that is long enough to tell something of a device's speed.
        let mut world = World::new(100, 1_000_000_000);
        for (id, n) in [(ADA, 1), (BOB, 2)] {
            world.join(id, n);
            world.ready(id);
        }
        assert_eq!(world.offered(), 0, "whatever they say of themselves");

        world.core.on_proved(ADA, PROOF);
        assert_eq!(world.offered(), 3_000_000_000);

        let lease = *world.core.leases.values().find(|lease| lease.device == BOB).unwrap();
        world.now += 2_000_000;
        world.settle(lease);
        world.ready(BOB);
        assert_eq!(
            world.offered(),
            3_000_000_000 + lease.tiles * 500_000_000,
            "a thousand million a tile, in two seconds"
        );

        world.core.on_proved(BOB, Proof { ops_per_sec: 0, at: 0 });
        assert_eq!(world.offered(), 3_000_000_000, "one that fails a challenge shows nothing");
    }

    #[test]
    fn a_device_is_busy_while_it_works_on_what_it_commits() {
        let mut world = World::new(100, 1_000_000);
        world.join(ADA, 1);
        let first = world.ready(ADA).unwrap();
        let second = world.ready(ADA).unwrap();
        world.now += 2_000_000;
        world.settle(first);
        world.now += 1_000_000;
        world.settle(second);
        assert_eq!(world.core.take_busy(ADA), 3_000_000, "two leases in a row, one after the other");

        world.now += 60_000_000;
        let third = world.ready(ADA).unwrap();
        world.now += 500_000;
        world.core.on_lease_returned(&mut world.link, world.now, ADA, third.id);
        assert_eq!(world.core.take_busy(ADA), 0, "it idled, and gave a lease back");
    }

    #[test]
    fn a_device_that_rests_is_suspended_or_has_left_offers_nothing() {
        let mut world = World::new(1, 1_000_000);
        for (id, n) in [(ADA, 1), (BOB, 2)] {
            world.join(id, n);
            world.core.on_proved(id, PROOF);
        }
        assert_eq!(world.offered(), 0, "neither has asked for work");
        let lease = world.ready(ADA).unwrap();
        world.ready(BOB);
        assert_eq!(world.offered(), 6_000_000_000, "one of them computes, and one waits");

        world.core.on_device_rest(ADA);
        world.core.on_device_rest(BOB);
        assert_eq!(world.offered(), 3_000_000_000, "one has yet to finish what it began");
        world.settle(lease);
        assert_eq!(world.offered(), 0);

        world.ready(BOB);
        let until = world.now + 1;
        world.core.on_device_suspended(&mut world.link, world.now, BOB, until);
        assert_eq!(world.offered(), 0);
        world.now = until;
        assert_eq!(world.offered(), 3_000_000_000);
        world.core.on_device_left(&mut world.link, world.now, BOB);
        assert_eq!(world.offered(), 0);
    }
}
