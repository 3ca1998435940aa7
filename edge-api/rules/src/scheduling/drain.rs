//! What a replica that goes away still holds.

use std::collections::BTreeSet;

use wire::{DeviceId, SliceId};

use super::state::Core;

impl Core {
    /// Slices in which nothing is lent and nothing awaits its check: another replica may go on with them at once.
    pub fn untouched_slices(&self) -> BTreeSet<SliceId> {
        self.slices.keys().filter(|id| !self.lent_of.contains_key(id)).copied().collect()
    }

    /// Whether the device has a lease that it has not done, or one that awaits its check.
    pub fn holds_leases(&self, device: DeviceId) -> bool {
        self.holdings.contains_key(&device)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ADA, BOB, World};

    #[test]
    fn a_slice_is_touched_from_its_first_lease_until_the_last_is_settled() {
        let mut world = World::new(100, 1_000);
        world.join(ADA, 1);
        let all = world.core.untouched_slices();

        let lease = world.ready(ADA).unwrap();

        assert!(all.contains(&lease.slice) && !world.core.untouched_slices().contains(&lease.slice));
        assert_eq!((world.core.holds_leases(ADA), world.core.holds_leases(BOB)), (true, false));
        world.settle(lease);
        assert!(world.core.untouched_slices().contains(&lease.slice));
        assert!(!world.core.holds_leases(ADA));
    }

    #[test]
    fn a_device_that_is_told_to_rest_is_lent_nothing_when_tiles_come_free() {
        let mut world = World::new(1, 1_000);
        for (id, n) in [(ADA, 1), (BOB, 2)] {
            world.join(id, n);
        }
        world.ready(ADA).unwrap();
        assert!(world.ready(BOB).is_none() && world.core.is_hungry());

        world.core.on_device_rest(BOB);
        world.core.on_device_left(&mut world.link, world.now, ADA);

        assert_eq!((world.core.untouched_slices().len(), world.link.granted.len()), (1, 1));
    }
}
