//! Backup leases: where nothing is left to lend of a job, tiles whose device is late are lent to another one too. Whichever
//! answer is verified first counts, and the other lease ends; after section 3.6 of "`MapReduce`: Simplified Data
//! Processing on Large Clusters" (OSDI 2004).

use wire::{JobId, LeaseId, Micros};

use super::assign::deadline;
use super::lease::{Lease, LeaseState};
use super::link::Link;
use super::state::Core;
use super::steps::step;

/// A late lease of which nobody took the tiles is looked at again after this.
const LOOK_AGAIN: Micros = 1_000_000;

impl Core {
    /// Lends tiles of late leases once more, to devices that wait for nothing else.
    pub(super) fn back_up_late_leases(&mut self, link: &mut impl Link, now: Micros) {
        // Where nobody waits, nobody can help.
        while let Some(&(at, id)) = self.late.first()
            && at <= now
            && !self.waiting.is_empty()
        {
            step();
            self.late.pop_first();
            let lease = self.leases.get(&id).filter(|lease| lease.state == LeaseState::Out).copied();
            let Some(lease) = lease.filter(|lease| !self.twins.contains_key(&lease.id)) else { continue };
            if !self.back_up(link, now, &lease) {
                self.late.insert((now + LOOK_AGAIN, id));
            }
        }
    }

    fn back_up(&mut self, link: &mut impl Link, now: Micros, late: &Lease) -> bool {
        if self.has_tiles_left(late.job) {
            return false;
        }
        let Some(running) = self.jobs.get(&late.job) else { return false };
        let helper = self.cohorts.first_ready(late.job, &running.needs).filter(|helper| *helper != late.device);
        let Some((id, device)) = helper.and_then(|id| Some((id, self.devices.get(&id)?))) else { return false };
        let deadline = deadline(device, running, late.tiles, now);
        let lease = Lease { id: link.lease_id(), device: id, granted_at: now, deadline, ..*late };
        self.twins.insert(late.id, lease.id);
        self.twins.insert(lease.id, late.id);
        self.take_turn(late.job, late.tiles);
        self.grant(link, lease, now);
        true
    }

    fn has_tiles_left(&self, job: JobId) -> bool {
        let is_free_here = self.jobs.get(&job).is_some_and(|running| running.free_tiles > 0);
        is_free_here || self.unclaimed.get(&job).is_some_and(|tiles| *tiles > 0)
    }

    /// A lease has ended: of two of the same tiles, the one that goes on. It may be backed up again.
    pub(super) fn part(&mut self, ended: LeaseId) -> Option<LeaseId> {
        let twin = self.twins.remove(&ended)?;
        self.twins.remove(&twin);
        let lease = self.leases.get(&twin)?;
        if lease.state == LeaseState::Out {
            self.late.insert((self.now + LOOK_AGAIN, twin));
        }
        Some(twin)
    }

    /// A lease was settled: the other one of its tiles ends, and its device is told that nobody waits for it.
    pub(super) fn end_twin(&mut self, link: &mut impl Link, settled: LeaseId) {
        let Some(twin) = self.part(settled).and_then(|twin| self.take_lease(twin)) else { return };
        if twin.state == LeaseState::Out {
            link.revoke(twin.device, twin.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lease::CommitError;
    use super::super::tests::{ADA, BOB, World, job_id};
    use super::*;

    const SECOND: Micros = 1_000_000;

    /// Ada has had all of a job's tiles for so long, and Bob waits.
    fn late(secs: Micros) -> (World, Lease) {
        let mut world = World::new(1, 1_000_000);
        world.join(ADA, 1);
        world.join(BOB, 2);
        let lease = world.ready(ADA).unwrap();
        assert!(world.ready(BOB).is_none());
        world.now += secs * SECOND;
        (world, lease)
    }

    /// What a tick lends.
    fn tick(world: &mut World) -> Option<Lease> {
        let before = world.link.granted.len();
        world.core.on_tick(&mut world.link, world.now);
        world.core.sanity_check();
        let (_, grant) = world.link.granted.get(before)?;
        world.core.lease(grant.lease).copied()
    }

    #[test]
    fn tiles_of_a_late_device_are_lent_to_another_too_and_the_first_verified_answer_ends_both() {
        let (mut world, slow) = late(3);
        assert_eq!(tick(&mut world), None, "it is not late yet");
        world.now += 2 * SECOND;

        let backup = tick(&mut world).unwrap();
        assert_eq!((backup.device, backup.tile_range()), (BOB, slow.tile_range()));
        assert!(backup.deadline > slow.deadline);
        assert_eq!(tick(&mut world), None, "twice is enough");
        world.settle(backup);

        assert_eq!(world.link.revoked, [slow.id]);
        assert_eq!(world.core.on_commit(world.now, ADA, slow.id), Err(CommitError::Unknown));
        assert!(world.core.jobs.is_empty(), "all is settled");
        assert_eq!(world.core.devices[&ADA].strikes, 0, "it was slow, and gave nothing back");
    }

    #[test]
    fn a_late_device_that_is_done_first_is_paid_and_its_backup_ends() {
        let (mut world, slow) = late(5);
        let backup = tick(&mut world).unwrap();
        world.core.on_commit(world.now, BOB, backup.id).unwrap();

        world.settle(slow);

        assert_eq!(world.link.revoked, [], "it has committed, and hears of its check");
        assert!(world.core.lease(backup.id).is_none(), "nothing of it is settled");
    }

    #[test]
    fn nobody_is_backed_up_while_other_tiles_are_left_here_or_unclaimed() {
        let (mut world, _) = late(5);
        world.core.on_unclaimed([(job_id(1), 7)].into());
        assert_eq!(tick(&mut world), None);
        world.core.on_unclaimed([].into());
        assert_eq!(tick(&mut world), None, "it is looked at again a second later");
        world.now += SECOND;
        assert!(tick(&mut world).is_some());

        let mut world = World::new(100, 1_000_000);
        world.join(ADA, 1);
        world.ready(ADA).unwrap();
        world.now += 5 * SECOND;
        assert_eq!(tick(&mut world), None);
    }

    #[test]
    fn a_device_does_not_back_itself_up() {
        let mut world = World::new(1, 1_000_000);
        world.join(ADA, 1);
        world.ready(ADA).unwrap();
        assert!(world.ready(ADA).is_none(), "it waits");
        world.now += 5 * SECOND;

        assert_eq!(tick(&mut world), None);
    }

    #[test]
    fn tiles_are_free_once_both_leases_are_given_back() {
        let (mut world, slow) = late(5);
        let backup = tick(&mut world).unwrap();

        world.core.on_lease_returned(&mut world.link, world.now, BOB, backup.id);
        world.core.sanity_check();
        assert_eq!(world.core.jobs[&job_id(1)].free_tiles, 0, "Ada has them");
        world.core.on_device_ready(&mut world.link, world.now, BOB);
        world.now += SECOND;
        let again = tick(&mut world).unwrap();
        assert_eq!((again.device, again.tile_range()), (BOB, slow.tile_range()), "it is tried again");

        world.core.on_device_left(&mut world.link, world.now, ADA);
        world.core.sanity_check();
        assert_eq!(world.core.jobs[&job_id(1)].free_tiles, 0, "Bob has them");
        world.core.on_lease_returned(&mut world.link, world.now, BOB, again.id);
        world.core.sanity_check();
        assert_eq!(world.core.jobs[&job_id(1)].free_tiles, 1);
    }

    #[test]
    fn a_wrong_answer_leaves_the_tiles_to_the_other() {
        let (mut world, slow) = late(5);
        let backup = tick(&mut world).unwrap();
        world.core.on_commit(world.now, ADA, slow.id).unwrap();

        world.core.on_refused(&mut world.link, world.now, slow.id);
        world.core.sanity_check();

        assert_eq!(world.core.jobs[&job_id(1)].free_tiles, 0);
        world.settle(backup);
        assert!(world.core.jobs.is_empty());
    }

    #[test]
    fn both_end_with_their_slice() {
        let (mut world, slow) = late(5);
        let backup = tick(&mut world).unwrap();

        world.core.on_job_ended(&mut world.link, world.now, job_id(1));
        world.core.sanity_check();

        let mut revoked = world.link.revoked.clone();
        revoked.sort_unstable();
        let mut both = [slow.id, backup.id];
        both.sort_unstable();
        assert_eq!(revoked, both);
        assert!(world.core.twins.is_empty());
    }
}
