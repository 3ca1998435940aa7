//! Which jobs a replica claims a slice of: as much as its devices want, and a little of every job.

use std::collections::BTreeMap;

use wire::{JobId, Micros};

use super::state::Core;
use crate::job::Needs;

/// A job more than these is claimed once a device waits in vain, and not for its own sake.
const JOBS_AT_ONCE: usize = 256;

impl Core {
    /// Tiles of jobs that nobody has claimed, as far as they may come here; of all others there are none.
    pub fn on_unclaimed(&mut self, tiles: BTreeMap<JobId, u64>) {
        self.unclaimed = tiles;
    }

    /// Jobs with slices here.
    pub fn jobs_here(&self) -> Vec<JobId> {
        self.jobs.keys().copied().collect()
    }

    /// Whether a slice of the job is to be claimed here. None of its tiles waits here; and a device waits that can do it,
    /// or one that takes work can and nothing of the job is here yet, so that its turn comes beside larger ones.
    pub fn wants_slice(&self, id: JobId, needs: &Needs, now: Micros) -> bool {
        match self.jobs.get(&id) {
            Some(running) => running.free_tiles == 0 && self.is_wanted(id, needs, now),
            None if self.jobs.len() < JOBS_AT_ONCE => self.cohorts.is_anybody_awake(id, needs),
            None => self.is_wanted(id, needs, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ADA, World, established, job_id, open_job};
    use crate::job::Job;

    fn wants(world: &World, n: u64) -> bool {
        let job = Job { id: job_id(n), ..open_job() };
        world.core.wants_slice(job.id, &job.needs(), world.now)
    }

    #[test]
    fn a_job_is_wanted_once_its_tiles_here_are_all_lent_and_a_device_waits() {
        let mut world = World::new(1, 1_000);
        world.join(ADA, 1);
        assert!(!wants(&world, 1), "a tile of it waits here");

        world.ready(ADA).unwrap();
        assert!(!wants(&world, 1), "nobody waits");
        assert!(world.ready(ADA).is_none());

        assert!(wants(&world, 1));
        world.core.on_device_rest(ADA);
        assert!(!wants(&world, 1));
    }

    #[test]
    fn leases_are_cut_from_all_that_is_left_of_a_job() {
        let lent = |elsewhere: u64| {
            let mut world = World::new(300, 1_000);
            world.join(ADA, 1);
            world.core.change_device(ADA, |device| device.standings = established());
            world.core.on_unclaimed([(job_id(1), elsewhere)].into());
            world.ready(ADA).unwrap().tiles
        };

        assert_eq!((lent(0), lent(300)), (100, 200));
        assert_eq!(lent(3_000), 300, "no lease reaches into another slice");

        let mut world = World::new(300, 1_000);
        world.core.on_unclaimed([(job_id(1), 300)].into());
        world.core.on_unclaimed([].into());
        world.join(ADA, 1);
        world.core.change_device(ADA, |device| device.standings = established());
        assert_eq!(world.ready(ADA).unwrap().tiles, 100, "they were claimed since");
    }

    #[test]
    fn a_job_of_which_nothing_is_here_gets_its_turn_beside_a_large_one() {
        let mut world = World::new(1_000, 1_000);
        assert!(!wants(&world, 2), "no device takes work here");
        world.join(ADA, 1);
        assert!(!wants(&world, 2), "the device has not said that it takes any");

        world.ready(ADA).unwrap();

        assert!(wants(&world, 2), "though nobody waits for it");
        assert!(!wants(&world, 1), "of the large one there is enough");
    }
}
