//! Why nobody does a job now, as its customer is told.

use wire::{CheckedBy, JobId, Micros, Obstacle, Privacy};

use super::cohorts::{Alike, Pool};
use super::state::Core;
use crate::admission::JUDGES_MIN;
use crate::job::Needs;
use crate::program::limits::EDGE_FLOPS_MAX;

impl Core {
    /// Why no device here would be lent tiles of the job, which has no `id` as long as it is not submitted.
    pub fn device_obstacle(&self, id: Option<JobId>, needs: &Needs) -> Option<Obstacle> {
        let [strangers, known] = [false, true].map(|verified| Pool::Anybody { verified });
        let own = [Some(Pool::Own(needs.customer)), id.map(|id| Pool::Only(needs.customer, id))];
        let pools = [Some(strangers), Some(known)].into_iter().chain(own).flatten();
        let mut alike: Vec<Alike<'_>> = pools.flat_map(|pool| self.cohorts.of_pool(pool)).collect();
        let largest = alike.iter().map(|alike| alike.buffer_bytes_max).max().unwrap_or(0);
        let mut keep = |obstacle: Obstacle, may: &dyn Fn(&Alike<'_>) -> bool| {
            alike.retain(may);
            if alike.is_empty() { Err(obstacle) } else { Ok(()) }
        };
        let too_small = Obstacle::Memory { needs: needs.device_bytes, largest };
        let is_own = |alike: &Alike<'_>| !matches!(alike.pool, Pool::Anybody { .. });
        let checked = keep(Obstacle::NoDevice, &|_| true)
            .and_then(|()| match needs.privacy {
                Privacy::Open => Ok(()),
                Privacy::Known => keep(Obstacle::NoKnownDevice, &|alike| alike.pool == known || is_own(alike)),
                Privacy::Own => keep(Obstacle::NoOwnDevice, &is_own),
            })
            .and_then(|()| keep(Obstacle::NoKernelDevice, &|alike| alike.ability.runs_kernels || !needs.kernels))
            .and_then(|()| keep(too_small, &|alike| alike.buffer_bytes_max >= needs.device_bytes))
            .and_then(|()| {
                let pools: Vec<Pool> = Pool::of_job(id, needs).collect();
                keep(Obstacle::AllUnfit, &|alike| pools.contains(&alike.pool) && alike.ability.suits(id, needs))
            });
        let Ok(()) = checked else { return checked.err() };
        (!alike.iter().any(|alike| alike.cohort.is_awake())).then_some(Obstacle::AllAtRest)
    }

    /// Why nobody would check what devices compute of the job.
    pub fn check_obstacle(
        &self,
        id: JobId,
        needs: &Needs,
        checked_by: CheckedBy,
        has_checkers: bool,
        now: Micros,
    ) -> Option<Obstacle> {
        match checked_by {
            // A model's tile that no checker here can do is done by the server, if it is not too heavy.
            CheckedBy::Checker if needs.kernels || needs.tile_flops > EDGE_FLOPS_MAX => {
                match self.has_fitting_checker(needs.device_bytes) {
                    None => Some(Obstacle::NoChecker),
                    Some(false) => Some(Obstacle::CheckerMemory { needs: needs.device_bytes }),
                    Some(true) => None,
                }
            }
            CheckedBy::Quorum if !has_checkers && self.count_judges(id, needs, now) < JUDGES_MIN => {
                Some(Obstacle::FewJudges)
            }
            CheckedBy::Checker | CheckedBy::Quorum | CheckedBy::Edge | CheckedBy::Owner => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::JobId;

    use super::super::tests::{ADA, BOB, World, account, kernel, open_job};
    use super::*;
    use crate::job::Job;

    fn obstacle(world: &World, id: Option<JobId>, job: &Job) -> Option<Obstacle> {
        world.core.device_obstacle(id, &job.needs())
    }

    #[test]
    fn a_customer_is_told_the_first_thing_that_would_have_to_change() {
        let mut world = World::new(1, 1);
        assert_eq!(obstacle(&world, None, &open_job()), Some(Obstacle::NoDevice));
        world.join(ADA, 1);
        assert_eq!(obstacle(&world, None, &open_job()), Some(Obstacle::AllAtRest), "it has not asked for work");
        world.join(BOB, 2);
        world.ready(BOB);

        let own = |n: u8| Job { customer: account(n.into()), privacy: Privacy::Own, ..open_job() };
        for (job, expected) in [
            (open_job(), None),
            (own(2), None),
            (own(1), Some(Obstacle::AllAtRest)),
            (own(9), Some(Obstacle::NoOwnDevice)),
            (Job { privacy: Privacy::Known, ..open_job() }, Some(Obstacle::NoKnownDevice)),
            (Job { task: kernel(), ..open_job() }, Some(Obstacle::NoKernelDevice)),
            (Job { device_bytes: 3 << 20, ..open_job() }, Some(Obstacle::Memory { needs: 3 << 20, largest: 1 << 20 })),
        ] {
            assert_eq!(obstacle(&world, None, &job), expected, "{job:?}");
        }
    }

    #[test]
    fn devices_that_cannot_do_this_very_job_are_an_obstacle_to_it_alone() {
        let mut world = World::new(1, 1);
        world.join(ADA, 1);
        world.ready(ADA);
        let job = open_job();
        world.core.mark_unfit(ADA, job.id);

        assert_eq!(obstacle(&world, Some(job.id), &job), Some(Obstacle::AllUnfit));
        assert_eq!(obstacle(&world, None, &job), None);
    }

    #[test]
    fn what_only_a_checker_can_check_waits_for_one() {
        let world = World::new(1, 1);
        let light = open_job();
        let heavy = Job { row_flops: EDGE_FLOPS_MAX + 1, ..open_job() };
        let of_kernel = Job { task: kernel(), ..open_job() };
        let check = |job: &Job, by| world.core.check_obstacle(job.id, &job.needs(), by, true, world.now);

        assert_eq!(check(&light, CheckedBy::Edge), None);
        assert_eq!(check(&light, CheckedBy::Checker), None, "the server does it in the end");
        assert_eq!(check(&heavy, CheckedBy::Checker), Some(Obstacle::NoChecker));
        assert_eq!(check(&of_kernel, CheckedBy::Checker), Some(Obstacle::NoChecker));
        assert_eq!(check(&of_kernel, CheckedBy::Owner), None);
        let by_quorum =
            world.core.check_obstacle(of_kernel.id, &of_kernel.needs(), CheckedBy::Quorum, false, world.now);
        assert_eq!(by_quorum, Some(Obstacle::FewJudges));
    }
}
