//! Lending: which device is lent which free tiles, how many, and for how long.

use wire::device::DeviceClass;
use wire::{DeviceId, JobId, Micros, SliceId};

use super::cohorts::Place;
use super::device::Device;
use super::lease::{Lease, LeaseState};
use super::link::{Grant, Link};
use super::speed::Took;
use super::state::{Core, RunningJob};
use super::steps::step;
use crate::verification::draw::lease_tiles_max;

/// Tiles of a newcomer's first leases, so that little is lost when a stranger vanishes: so many for the first, and
/// twice as many after each few that were settled.
const NEWCOMER_TILES: u64 = 4;
const NEWCOMER_LEASES: u64 = 64;
const LEASES_A_DOUBLING: u64 = 16;
/// Input and output of one lease, in bytes.
const LEASE_BYTES_MAX: u64 = 32 << 20;
/// How many times as much as one of ordinary speed a device may get towards a job's end, or as little.
const PACE_MAX: f64 = 8.0;
/// How many times as many operations as tiles of a job take in the mean some may take, as far as deadlines go.
const BEYOND_MEAN: f64 = 16.0;
const DEADLINE_MIN: Micros = 15_000_000;
const DEADLINE_MAX: Micros = 600_000_000;

impl Core {
    /// Lends free tiles until nothing fits. Of what there was before, whoever waits found nothing: so it is enough to look at
    /// devices that wait since, and at jobs that have free tiles since.
    pub(super) fn lend(&mut self, link: &mut impl Link, now: Micros) {
        for id in self.lending_order() {
            while self.lend_one(link, now, id) {}
        }
        for job in std::mem::take(&mut self.newly_free) {
            step();
            while let Some(id) = self.first_ready(job)
                && self.lend_one(link, now, id)
            {}
        }
    }

    /// Devices that may be lent something since free tiles were last lent, each in its turn.
    pub(super) fn lending_order(&mut self) -> Vec<DeviceId> {
        let newly_ready = std::mem::take(&mut self.newly_ready);
        if self.turns.jobs() == 0 {
            return Vec::new();
        }
        let mut order: Vec<Place> = newly_ready.into_iter().filter_map(|id| self.cohorts.place(id)).collect();
        order.sort_unstable();
        order.into_iter().map(|place| place.device).collect()
    }

    fn first_ready(&self, job: JobId) -> Option<DeviceId> {
        let running = self.jobs.get(&job).filter(|running| running.free_tiles > 0)?;
        self.cohorts.first_ready(job, &running.needs)
    }

    fn lend_one(&mut self, link: &mut impl Link, now: Micros, id: DeviceId) -> bool {
        // Others may have committed meanwhile, so that it has more to wait for than it may have.
        if self.committed_of(id) >= self.unchecked_max() {
            self.file(id);
        }
        let Some(lease) = self.find_work(link, now, id) else { return false };
        self.grant(link, lease, now);
        true
    }

    /// The device waits no longer: it is told of its lease.
    pub(super) fn grant(&mut self, link: &mut impl Link, lease: Lease, now: Micros) {
        self.change_device(lease.device, |device| device.ready_credits -= 1);
        let (slice, tiles) = (Some(lease.slice), lease.tile_range());
        let grant = Grant { lease: lease.id, slice, tiles, deadline: lease.deadline, nudge: None };
        link.grant(lease.device, &self.jobs[&lease.job].job, grant, now);
        self.insert_lease(lease);
    }

    /// The job whose tiles the device is lent next.
    fn next_job(&self, device: &Device) -> Option<JobId> {
        let has_free = |id: &JobId| self.jobs.get(id).is_some_and(|running| running.free_tiles > 0);
        let fits = |id: JobId| self.jobs.get(&id).is_some_and(|running| device.fits(Some(id), &running.needs));
        match device.only_job {
            Some(only) => Some(only).filter(has_free).filter(|id| fits(*id)),
            None => self.turns.next(device, fits),
        }
    }

    fn find_work(&mut self, link: &mut impl Link, now: Micros, id: DeviceId) -> Option<Lease> {
        self.cohorts.place(id)?;
        let device = self.devices.get(&id)?;
        let job_id = self.next_job(device)?;
        let running = &self.jobs[&job_id];
        let (slice_id, first, tiles) = self.free_run(running, self.lease_tiles(device, (job_id, running), now))?;
        let deadline = deadline(device, running, tiles, now);
        let (mean, transfer) = (time_for(tiles, device, running, 1.0), device.line.time_for(&running.needs, tiles));
        let first_tile = self.slices.get(&slice_id)?.first_tile + first;
        self.take_turn(job_id, tiles);
        self.take_tiles(slice_id, first, tiles);
        let lease = Lease {
            id: link.lease_id(),
            device: id,
            job: job_id,
            slice: slice_id,
            first_tile,
            tiles,
            granted_at: now,
            deadline,
            took: Took::Unknown,
            state: LeaseState::Out,
        };
        self.expect(&lease, mean, transfer);
        Some(lease)
    }

    /// So many tiles of the job are lent: others come before it now.
    pub(super) fn take_turn(&mut self, id: JobId, tiles: u64) {
        let Some(running) = self.jobs.get_mut(&id) else { return };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, clamped")]
        let tile_flops = running.tile_flops().clamp(1.0, 1e18) as u64;
        running.turn = self.turns.lend(id, &running.needs, running.turn, tile_flops.saturating_mul(tiles));
    }

    /// Free tiles of a job: at most `most` in a row.
    fn free_run(&self, running: &RunningJob, most: u64) -> Option<(SliceId, u64, u64)> {
        let id = running.free_slices.first()?;
        let (first, tiles) = self.slices.get(id)?.taken.clear_run(0, most)?;
        Some((*id, first, tiles))
    }

    /// About a second's work for a newcomer, five for a tab, thirty for a native device; less
    /// towards a job's end, so that everybody ends together.
    fn lease_tiles(&self, device: &Device, (id, running): (JobId, &RunningJob), now: Micros) -> u64 {
        let needs = &running.needs;
        let standing = device.standings.of(needs.program, now);
        let checked_by = running.job.checked_by(self.has_checkers);
        let secs = match (standing.is_established(), device.class) {
            (false, _) => 1.0,
            (true, DeviceClass::Tab) => 5.0,
            (true, DeviceClass::Native) => 30.0,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, clamped")]
        let by_rate = (device.reliable_rate_for(needs) * secs / running.tile_flops()).clamp(1.0, 1e9) as u64;
        let doublings = device.settled_leases.saturating_sub(NEWCOMER_LEASES - LEASES_A_DOUBLING) / LEASES_A_DOUBLING;
        let by_ramp = if standing.is_established() { u64::MAX } else { NEWCOMER_TILES << doublings.min(16) };
        let by_standing = lease_tiles_max(standing, needs.tile_flops, checked_by).min(by_ramp);
        let by_bytes = LEASE_BYTES_MAX / needs.tile_bytes.max(1);
        let by_device = by_rate.min(by_standing).min(by_bytes);
        let by_share = self.fair_share(device, (id, running));
        let most = self.lease_tiles_max.unwrap_or(u64::MAX);
        (by_device.min(by_share).min(most) >> device.strikes.min(6)).max(1)
    }

    /// A third of what is left, here and unclaimed, shared by those that come to this job in one round of all accounts and jobs: so that they take
    /// the same time for it, by how fast they are, like the mean that they are held against.
    fn fair_share(&self, device: &Device, (id, running): (JobId, &RunningJob)) -> u64 {
        let magnitudes = if running.needs.kernels { self.kernel_magnitudes } else { self.magnitudes };
        let rate = device.rate_for(&running.needs);
        let pace = magnitudes.mean_rate().map_or(1.0, |mean| (rate / mean).clamp(1.0 / PACE_MAX, PACE_MAX));
        let left = running.free_tiles.saturating_add(self.unclaimed.get(&id).copied().unwrap_or_default());
        let shared = left.saturating_mul(self.turns.leases_a_round(running.needs.customer));
        let fitting = self.cohorts.count(Some(id), &running.needs);
        let by_count = shared.div_ceil(fitting.saturating_mul(3).max(1));
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate, clamped"
        )]
        let by_pace = (by_count as f64 * pace).clamp(1.0, 1e9) as u64;
        by_pace
    }
}

/// Until when a device that is lent so many tiles of a job now is waited for.
pub(super) fn deadline(device: &Device, running: &RunningJob, tiles: u64, now: Micros) -> Micros {
    let expected = time_for(tiles, device, running, BEYOND_MEAN);
    let transfer = device.line.time_for(&running.needs, tiles);
    now + expected.saturating_mul(4).clamp(DEADLINE_MIN, DEADLINE_MAX) + transfer
}

/// How long a device may take for so many tiles, where each takes `factor` times as much as others did, and no more than it
/// may.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an estimate, clamped")]
fn time_for(tiles: u64, device: &Device, running: &RunningJob, factor: f64) -> Micros {
    let flops = (running.tile_flops() * factor).min(running.needs.tile_flops as f64);
    (tiles as f64 * flops / device.rate_for(&running.needs).max(1.0) * 1e6) as Micros
}

#[cfg(test)]
mod tests {
    use super::super::filing::{CHECK_QUEUE, UNCHECKED_MAX};
    use super::super::line::Direction;
    use super::super::tests::{ADA, World, account, established, job_id, open_job};
    use super::*;
    use crate::job::Job;

    const SECOND: Micros = 1_000_000;

    #[test]
    fn a_deadline_leaves_time_to_fetch_the_model_once_at_the_measured_speed() {
        let with_a_model = || {
            let mut world = World::new(100, 1_000);
            world.core = Core::default();
            world.claim(2, 100, Job { id: job_id(2), code_bytes: 60_000_000, ..open_job() });
            world.join(ADA, 1);
            world
        };
        let mut world = with_a_model();
        let first = world.ready(ADA).unwrap();
        world.settle(first);
        let second = world.ready(ADA).unwrap();
        let time = |lease: &Lease| (lease.deadline - lease.granted_at) / SECOND;
        assert_eq!((time(&first), time(&second)), (15 + 120, 15), "the model is there by now");

        let mut world = with_a_model();
        for _ in 0..20 {
            world.core.on_transfer(ADA, Direction::Down, 5_000_000, 50 * SECOND);
        }
        let slow = world.ready(ADA).unwrap();
        assert!((1_100..=1_215).contains(&time(&slow)), "{}", time(&slow));
    }

    #[test]
    fn a_job_that_takes_less_than_it_may_is_lent_in_larger_leases() {
        let mut world = World::new(10_000, 500_000_000);
        world.join(ADA, 1);
        world.core.change_device(ADA, |device| device.standings = established());
        world.core.on_proved(ADA, super::super::speed::Proof { ops_per_sec: 100_000_000, at: 0 });
        let first = world.ready(ADA).unwrap();
        world.now += SECOND;
        world.settle_with(first, first.tiles * 495_000_000);
        let second = world.ready(ADA).unwrap();

        assert!(second.tiles >= 20 * first.tiles, "{} and {}", first.tiles, second.tiles);
        let time = second.deadline - second.granted_at;
        assert!(time > 4 * 15 * SECOND, "some tiles may take all that they may: {time}");
    }

    #[test]
    fn a_device_whose_times_vary_is_lent_smaller_leases() {
        let lent_after = |times: [Micros; 2]| {
            let mut world = World::new(1_000_000, 10_000_000);
            let mut device = Device::new(account(1), DeviceClass::Native, false, 1 << 20);
            device.standings = established();
            device.remember_speed(1_000_000_000);
            for time in times.iter().cycle().take(20) {
                device.speed.on_settled(1_000_000_000, Took::Measured(*time), false);
            }
            world.core.on_device_joined(ADA, device);
            let estimate = world.core.devices[&ADA].rate_for(&open_job().needs());
            (world.ready(ADA).unwrap().tiles, estimate)
        };

        let ((steady, _), (varying, faster)) = (lent_after([SECOND, SECOND]), lent_after([2 * SECOND, SECOND / 2]));

        assert!(faster > 1e9, "{faster}");
        assert!(varying < steady, "{varying} and {steady}");
    }

    #[test]
    fn when_checkers_fall_behind_everybody_is_lent_less_and_nobody_nothing() {
        let mut world = World::new(200_000, 3_000_000_000);
        let device = |n: u16| DeviceId(std::array::from_fn(|at| n.to_be_bytes()[at % 2]));
        let mut most = Vec::new();
        for n in 1..=8_192 {
            world.join(device(n), n.into());
            world.core.change_device(device(n), |device| device.standings = established());
            let mut committed = 0;
            loop {
                world.core.on_device_ready(&mut world.link, world.now, device(n));
                let Some(lease) = world.core.out_of(device(n)).first().copied() else { break };
                world.now += 30 * SECOND;
                world.core.on_commit(world.now, device(n), lease).unwrap();
                committed += 1;
            }
            most.push(committed);
        }
        world.core.sanity_check();

        assert_eq!((most[0], most[8_191]), (UNCHECKED_MAX, CHECK_QUEUE / 8_192));
        assert!(most.is_sorted_by(|earlier, later| earlier >= later));
    }
}
