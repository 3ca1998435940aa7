//! What events cost in a large network: counted in entries looked at, since time says more of the machine.

use std::sync::Arc;

use wire::device::DeviceClass;
use wire::{DeviceId, JobId, LeaseId, Privacy};

use super::bitmap::Bitmap;
use super::device::Device;
use super::lease::{Lease, LeaseState, Slice};
use super::recheck_request::RecheckId;
use super::speed::Took;
use super::steps::steps_of;
use super::tests::{World, account, established, job_id, kernel, open_job, slice_id};
use crate::job::Job;

const DEVICES: u32 = 10_000;
const JOBS: u64 = 1_000;
/// What one event may cost beside ten thousand devices and thousands of jobs.
const SOME_TENS: u64 = 60;

fn device_id(n: u32) -> DeviceId {
    DeviceId(std::array::from_fn(|at| n.to_be_bytes()[at % 4]))
}

impl World {
    /// A job of which nothing is known but that it is there.
    fn add_job(&mut self, n: u64, tiles: u64, is_taken: bool, job: Job) {
        let [taken, settled] = [Bitmap::new(tiles), Bitmap::new(tiles)];
        let slice = Slice { job: job_id(n), first_tile: 0, tiles, fence: 1, version: 0, settled, taken };
        let committed = Lease {
            id: LeaseId((u128::from(n) << 64).to_be_bytes()),
            device: device_id(u32::MAX - u32::try_from(n).unwrap()),
            job: job_id(n),
            slice: slice_id(n),
            first_tile: 0,
            tiles,
            granted_at: 0,
            deadline: 0,
            took: Took::Unknown,
            state: LeaseState::Committed,
        };
        let waiting = if is_taken { vec![committed] } else { Vec::new() };
        let (core, link) = (&mut self.core, &mut self.link);
        core.on_slice_claimed(link, self.now, slice_id(n), slice, Arc::new(job), waiting);
    }

    /// Devices of a few kinds that wait, each of an account of its own; jobs whose tiles all wait for their checks; and jobs
    /// that no device may do, each of a customer of its own.
    fn of_a_large_network() -> Self {
        let mut world = Self::of_rechecks(false);
        for n in 0..DEVICES {
            let (class, verified) =
                if n % 3 == 0 { (DeviceClass::Tab, false) } else { (DeviceClass::Native, n % 2 == 0) };
            let mut device = Device::new(account(u64::from(n) + 1_000_000), class, verified, 1 << (16 + n % 6));
            device.runs_kernels = n % 4 == 0;
            world.core.on_device_joined(device_id(n), device);
            world.core.on_device_ready(&mut world.link, world.now, device_id(n));
        }
        for n in 1..=JOBS {
            let customer = account(n);
            world.add_job(n, 10, true, Job { customer, ..open_job() });
            let too_large = Job { customer, task: kernel(), device_bytes: 1 << 24, ..open_job() };
            world.add_job(JOBS + n, 10, false, too_large);
            world.add_job(2 * JOBS + n, 10, false, Job { customer, privacy: Privacy::Own, ..open_job() });
        }
        world.core.sanity_check();
        assert_eq!((world.core.counts().devices_waiting, world.asked().len()), (10_000, 0));
        world
    }

    #[track_caller]
    fn costs_little(&mut self, what: &str, event: impl FnOnce(&mut Self)) {
        let steps = steps_of(|| event(self));

        assert!(steps <= SOME_TENS, "{what} costs {steps} steps");
    }
}

#[test]
fn an_event_beside_ten_thousand_idle_devices_and_thousands_of_jobs_costs_some_tens_of_steps() {
    let mut world = World::of_a_large_network();
    let newcomer = device_id(DEVICES);
    let device = || Device::new(account(1), DeviceClass::Native, true, 1 << 20);

    world.costs_little("a device that connects", |world| world.core.on_device_joined(newcomer, device()));
    world.costs_little("one that waits already and says so again", |world| {
        world.core.on_device_ready(&mut world.link, world.now, device_id(7));
    });
    world.costs_little("one that rests", |world| world.core.on_device_rest(device_id(7)));
    world.costs_little("one that goes", |world| world.core.on_device_left(&mut world.link, world.now, device_id(8)));
    world.costs_little("one that is suspended", |world| {
        world.core.on_device_suspended(&mut world.link, world.now, device_id(9), world.now + 1);
    });
    world.costs_little("a tick", |world| {
        world.now += 2;
        world.core.on_tick(&mut world.link, world.now);
    });
    world.costs_little("a quote", |world| {
        assert_eq!(world.core.census(&open_job().needs()).fitting, 10_000);
    });
    world.costs_little("a look at why nobody does a job", |world| {
        world.core.device_obstacle(Some(JobId::from_parts(1, [0; 10])), &open_job().needs());
    });
    world.core.sanity_check();

    let before = world.asked().len();
    world.costs_little("the one job that the one device may do", |world| {
        world.core.on_device_ready(&mut world.link, world.now, newcomer);
    });
    assert_eq!(world.asked()[before..], [newcomer], "it is its own account's");
    let lease = world.last_lease();
    world.costs_little("a lease that comes back", |world| {
        world.core.on_lease_returned(&mut world.link, world.now, newcomer, lease);
    });
    world.core.on_device_ready(&mut world.link, world.now, newcomer);
    let lease = world.last_lease();
    world.costs_little("a commit", |world| {
        world.core.on_commit(world.now, newcomer, lease).unwrap();
    });
    world.costs_little("a refused lease", |world| world.core.on_refused(&mut world.link, world.now, lease));
    world.core.sanity_check();
}

#[test]
fn a_job_that_every_device_may_do_costs_so_many_steps_as_leases_are_lent() {
    let mut world = World::of_a_large_network();

    let steps = steps_of(|| world.add_job(5_000, 1_000_000, false, open_job()));

    assert_eq!(world.asked().len(), 10_000, "each device that waits is lent of it");
    assert!(steps <= SOME_TENS * 10_000, "{steps} steps for 10,000 leases");
    world.core.sanity_check();
    let lease = world.last_lease();
    let device = world.core.lease(lease).unwrap().device;
    world.costs_little("a device that asks for one more", |world| {
        world.core.on_device_ready(&mut world.link, world.now, device);
    });
    world.costs_little("the end of a job", |world| world.core.on_job_ended(&mut world.link, world.now, job_id(3)));
}

#[test]
fn jobs_that_wait_in_line_cost_a_device_nothing_that_is_lent_of_one() {
    let mut world = World::of_rechecks(false);
    for n in 1..=JOBS {
        world.add_job(n, 1_000, false, Job { customer: account(n % 100), ..open_job() });
    }
    world.core.on_device_joined(device_id(1), Device::new(account(1), DeviceClass::Native, true, 1 << 20));

    world.costs_little("a device that asks for work", |world| {
        world.core.on_device_ready(&mut world.link, world.now, device_id(1));
    });

    assert_eq!(world.asked(), [device_id(1)]);
}

#[test]
fn a_request_to_recompute_tiles_costs_some_tens_of_steps_among_ten_thousand_that_may() {
    let mut world = World::of_rechecks(false);
    for n in 0..DEVICES {
        let mut device = Device::new(account(n.into()), DeviceClass::Native, true, 1 << 20);
        device.standings = established();
        world.core.on_device_joined(device_id(n), device);
        world.core.on_device_ready(&mut world.link, world.now, device_id(n));
    }
    world.link.drawn = (1..=50).map(|n| n * 7_000_000_000).collect();

    for id in 0..50 {
        world.costs_little("a request", |world| world.ask(id, &[3], false));
        assert_eq!(world.asked().len(), usize::try_from(id).unwrap() + 1);
    }

    let lease = world.last_lease();
    world.costs_little("one that comes back", |world| {
        world.core.on_recheck_returned(&mut world.link, world.now, lease);
    });
    world.core.sanity_check();
}

#[test]
fn requests_that_nobody_may_answer_cost_nothing_as_devices_come_and_go() {
    let mut world = World::of_rechecks(false);
    for id in 0..JOBS {
        world.ask(id, &[], false);
    }
    for n in 0..3 {
        world.core.on_device_joined(device_id(n), Device::new(account(n.into()), DeviceClass::Native, true, 1 << 20));
    }

    world.costs_little("a newcomer that asks for work", |world| {
        world.core.on_device_ready(&mut world.link, world.now, device_id(1));
        world.core.on_device_ready(&mut world.link, world.now, device_id(2));
    });
    world.costs_little("one that goes", |world| world.core.on_device_left(&mut world.link, world.now, device_id(2)));
    world.costs_little("a request that is withdrawn", |world| world.core.on_recheck_cancelled(RecheckId(500)));
    world.now += 1_000_000;
    world.core.on_tick(&mut world.link, world.now);
    world.costs_little("a tick soon after one", |world| {
        world.now += 1_000;
        world.core.on_tick(&mut world.link, world.now);
    });
}
