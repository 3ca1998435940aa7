use std::collections::BTreeMap;

use wire::{AccountId, DeviceId, JobId, Privacy};

use super::lease::Lease;
use super::tests::{ADA, BOB, World, account, job_id, kernel, open_job};
use crate::job::Job;

impl World {
    fn order(&mut self, n: u64, customer: u64, tiles: u64) {
        self.claim(n, tiles, Job { customer: account(customer), row_flops: 100_000_000, ..open_job() });
    }

    /// Whoever it is that asks is lent something, and is done with it.
    #[track_caller]
    fn work(&mut self, id: DeviceId) -> Lease {
        let lease = self.ready(id).expect("there should be tiles to lend");
        self.settle(lease);
        lease
    }

    /// Operations that are lent of each account's jobs in so many leases.
    fn lent(&mut self, leases: usize) -> BTreeMap<AccountId, u64> {
        let mut lent = BTreeMap::new();
        for _ in 0..leases {
            let customer_of = |world: &Self, job: JobId| world.core.jobs[&job].needs.customer;
            let lease = self.ready(ADA).expect("there should be tiles to lend");
            *lent.entry(customer_of(self, lease.job)).or_default() += lease.tiles * 100_000_000;
            self.settle(lease);
        }
        lent
    }
}

fn empty() -> World {
    let mut world = World::of_rechecks(false);
    world.join(ADA, 50);
    world
}

#[test]
fn an_account_with_a_hundred_jobs_is_lent_no_more_than_one_with_one() {
    let mut world = empty();
    for n in 1..=100 {
        world.order(n, 1, 1_000);
    }
    world.order(101, 2, 100_000);

    let lent = world.lent(400);

    let (many, one) = (lent[&account(1)], lent[&account(2)]);
    assert!(many.abs_diff(one) <= (many + one) / 20, "{many} and {one}");
}

#[test]
fn every_job_of_an_account_has_its_turn() {
    let mut world = empty();
    for n in 1..=10 {
        world.order(n, 1, 1_000);
    }

    let mut jobs: Vec<JobId> = (0..10).map(|_| world.work(ADA).job).collect();

    jobs.sort_unstable();
    assert_eq!(jobs, (1..=10).map(job_id).collect::<Vec<_>>());
}

#[test]
fn a_small_job_beside_one_of_a_million_tiles_begins_with_the_next_lease() {
    for (customer, whose) in [(2, "another's"), (1, "the same account's")] {
        let mut world = empty();
        world.order(1, 1, 1_000_000);
        for _ in 0..50 {
            world.work(ADA);
        }

        world.order(2, customer, 10);

        assert_eq!(world.work(ADA).job, job_id(2), "{whose}");
    }
}

#[test]
fn a_small_job_begins_with_the_next_lease_also_where_many_accounts_are_served() {
    let mut world = empty();
    for n in 1..=20 {
        world.order(n, n, 100_000);
    }
    for _ in 0..137 {
        world.work(ADA);
    }

    world.order(99, 99, 10);

    assert_eq!(world.work(ADA).job, job_id(99));
}

#[test]
fn an_account_that_was_idle_for_long_has_saved_nothing_up() {
    let mut world = empty();
    world.order(1, 1, 4);
    world.order(2, 2, 1_000_000);
    for _ in 0..200 {
        world.work(ADA);
    }
    assert!(!world.core.jobs.contains_key(&job_id(1)), "its job is done for long");

    world.order(3, 1, 1_000_000);

    let lent = world.lent(100);
    let (idle, other) = (lent[&account(1)], lent[&account(2)]);
    assert!(idle.abs_diff(other) <= (idle + other) / 10, "{idle} and {other}");
}

#[test]
fn an_account_whose_jobs_nobody_could_do_has_saved_up_a_few_leases_and_no_more() {
    let mut world = empty();
    world.order(1, 1, 1_000_000);
    world.claim(2, 100, Job { customer: account(2), task: kernel(), ..open_job() });
    for _ in 0..200 {
        world.work(ADA);
    }

    world.order(3, 2, 1_000_000);

    let lent = world.lent(100);
    let (waited, other) = (lent[&account(2)], lent[&account(1)]);
    assert!(waited > other && waited <= other * 3 / 2, "{waited} and {other}");
}

#[test]
fn who_orders_job_after_job_gets_no_more_than_who_orders_all_at_once() {
    let mut world = empty();
    world.order(1, 1, 1_000_000);
    for _ in 0..40 {
        world.work(ADA);
    }

    let (mut lent, mut next) = (BTreeMap::new(), 2);
    for _ in 0..200 {
        if !world.core.jobs.values().any(|running| running.needs.customer == account(2)) {
            world.order(next, 2, 4);
            next += 1;
        }
        for (account, flops) in world.lent(1) {
            *lent.entry(account).or_insert(0) += flops;
        }
    }

    let (one_by_one, at_once) = (lent[&account(2)], lent[&account(1)]);
    assert!(one_by_one <= at_once * 11 / 10, "{one_by_one} and {at_once}");
}

#[test]
fn jobs_that_few_devices_may_do_are_made_up_for_by_those_that_may() {
    let mut world = empty();
    world.join(BOB, 2);
    world.claim(1, 1_000_000, Job { customer: account(1), row_flops: 100_000_000, ..open_job() });
    let own = Job { customer: account(2), privacy: Privacy::Own, row_flops: 100_000_000, ..open_job() };
    world.claim(2, 1_000_000, own);

    let mut of_own_device = Vec::new();
    for _ in 0..40 {
        assert_eq!(world.work(ADA).job, job_id(1), "a stranger's device");
        of_own_device.push(world.work(BOB).job);
    }

    assert!(of_own_device.iter().all(|job| *job == job_id(2)), "{of_own_device:?}");
}
