//! Lending: which device is lent which free tiles, how many, and for how long.

use std::collections::BTreeSet;

use wire::device::DeviceClass;
use wire::number::to;
use wire::{DeviceId, Micros, SliceId};

use super::device::{Device, LEASES_OUT_MAX};
use super::lease::{Lease, LeaseState};
use super::link::{Grant, Link};
use super::speed::Took;
use super::state::{Core, RunningJob};
use crate::verification::draw::lease_tiles_max;

/// Tiles of a newcomer's first leases, so that little is lost when a stranger vanishes: so many for the first, and
/// twice as many after each few that were settled.
const NEWCOMER_TILES: u64 = 4;
const NEWCOMER_LEASES: u64 = 64;
const LEASES_A_DOUBLING: u64 = 16;
/// Input and output of one lease, in bytes.
const LEASE_BYTES_MAX: u64 = 32 << 20;
/// Leases of a device that may await their check: a device that answers faster than anybody can look is not lent more
/// meanwhile.
const UNCHECKED_MAX: usize = 16;
/// Leases of all devices that may await theirs, shared among those that have any: when checkers fall behind, everybody
/// is lent less, and whoever fills the queue with a thousand keys leaves everybody two: one is checked while the next is
/// computed.
const CHECK_QUEUE: usize = 1 << 16;
/// How many times as much as one of ordinary speed a device may get towards a job's end, or as little.
const PACE_MAX: f64 = 8.0;
/// How many times as many operations as tiles of a job take in the mean some may take, as far as deadlines go.
const BEYOND_MEAN: f64 = 16.0;
const DEADLINE_MIN: Micros = 15_000_000;
const DEADLINE_MAX: Micros = 600_000_000;

impl Core {
    /// Lends free tiles to those that asked, job by job in turn, until nothing fits.
    pub(super) fn lend(&mut self, link: &mut impl Link, now: Micros, order: Vec<DeviceId>) {
        for id in order {
            if self.jobs_with_free_tiles == 0 {
                return;
            }
            while let Some(lease) = self.find_work(link, now, id) {
                let (slice, tiles) = (Some(lease.slice), lease.tile_range());
                let grant = Grant { lease: lease.id, slice, tiles, deadline: lease.deadline, nudge: None };
                link.grant(id, &self.jobs[&lease.job].job, grant, now);
                self.insert_lease(lease);
            }
        }
    }

    /// Devices that may be lent something, those first that gave least back.
    pub(super) fn lending_order(&self, now: Micros, candidates: &BTreeSet<DeviceId>) -> Vec<DeviceId> {
        let may = |device: &Device| device.ready_credits > 0 && device.suspended_until <= now;
        let candidates = candidates.iter().filter_map(|id| Some((id, self.devices.get(id)?)));
        let mut order: Vec<(u32, DeviceId)> =
            candidates.filter(|(_, device)| may(device)).map(|(id, device)| (device.strikes, *id)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, id)| id).collect()
    }

    fn find_work(&mut self, link: &mut impl Link, now: Micros, id: DeviceId) -> Option<Lease> {
        let device = self.devices.get(&id)?;
        let (out, committed) = self.holdings.get(&id).map_or((0, 0), |holding| (holding.out.len(), holding.committed));
        if device.ready_credits == 0 || out >= LEASES_OUT_MAX || committed >= self.unchecked_max() {
            return None;
        }
        for turn in 0..self.round_robin.len() {
            let job_id = self.round_robin[turn];
            let running = &self.jobs[&job_id];
            let needs = &running.needs;
            if running.free_tiles == 0 || !device.fits(Some(job_id), needs) {
                continue;
            }
            let size = self.lease_tiles(device, running, now);
            let Some((slice_id, first, tiles)) = self.free_run(running, size) else { continue };
            let expected = time_for(tiles, device, running);
            let transfer = device.line.time_for(needs, tiles);
            let deadline = now + expected.saturating_mul(4).clamp(DEADLINE_MIN, DEADLINE_MAX) + transfer;
            // The job goes to the back: each has its turn.
            self.round_robin.remove(turn);
            self.round_robin.push_back(job_id);
            let first_tile = self.slices.get(&slice_id)?.first_tile + first;
            self.take_tiles(slice_id, first, tiles);
            if let Some(device) = self.devices.get_mut(&id) {
                device.ready_credits -= 1;
                if device.ready_credits == 0 {
                    self.waiting.remove(&id);
                }
            }
            return Some(Lease {
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
            });
        }
        None
    }

    /// Leases of one device that may await their check now.
    pub(super) fn unchecked_max(&self) -> usize {
        (CHECK_QUEUE / self.devices_unchecked.max(1)).clamp(LEASES_OUT_MAX, UNCHECKED_MAX)
    }

    /// Free tiles of a job: at most `most` in a row.
    fn free_run(&self, running: &RunningJob, most: u64) -> Option<(SliceId, u64, u64)> {
        let id = running.free_slices.first()?;
        let (first, tiles) = self.slices.get(id)?.taken.clear_run(0, most)?;
        Some((*id, first, tiles))
    }

    /// About a second's work for a newcomer, five for a tab, thirty for a native device; less
    /// towards a job's end, so that everybody ends together.
    fn lease_tiles(&self, device: &Device, running: &RunningJob, now: Micros) -> u64 {
        let needs = &running.needs;
        let standing = device.standings.of(needs.program, now);
        let checked_by = running.job.checked_by(self.has_checkers);
        let secs = match (standing.is_established(), device.class) {
            (false, _) => 1.0,
            (true, DeviceClass::Tab) => 5.0,
            (true, DeviceClass::Native) => 30.0,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, clamped")]
        let by_rate = (device.rate_for(needs) * secs / running.tile_flops()).clamp(1.0, 1e9) as u64;
        let doublings = device.settled_leases.saturating_sub(NEWCOMER_LEASES - LEASES_A_DOUBLING) / LEASES_A_DOUBLING;
        let by_ramp = if standing.is_established() { u64::MAX } else { NEWCOMER_TILES << doublings.min(16) };
        let by_standing = lease_tiles_max(standing, needs.tile_flops, checked_by).min(by_ramp);
        let by_bytes = LEASE_BYTES_MAX / needs.tile_bytes.max(1);
        let by_device = by_rate.min(by_standing).min(by_bytes);
        let by_share = self.fair_share(device, running);
        let most = self.lease_tiles_max.unwrap_or(u64::MAX);
        (by_device.min(by_share).min(most) >> device.strikes.min(6)).max(1)
    }

    /// A third of what is left, shared by those that come to this job in one turn of all jobs: so that they take the same
    /// time for it, by how fast they are.
    fn fair_share(&self, device: &Device, running: &RunningJob) -> u64 {
        let magnitudes = if running.needs.kernels { self.kernel_magnitudes } else { self.magnitudes };
        let rate = device.rate_for(&running.needs);
        let pace = magnitudes.mean_rate().map_or(1.0, |mean| (rate / mean).clamp(1.0 / PACE_MAX, PACE_MAX));
        let shared = running.free_tiles.saturating_mul(self.jobs_with_free_tiles.max(1));
        let by_count = shared.div_ceil(3 * to::<u64>(running.fitting).max(1));
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

/// How long a device may take for so many tiles, as far as its deadline goes: some may take much more than others did.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an estimate, clamped")]
fn time_for(tiles: u64, device: &Device, running: &RunningJob) -> Micros {
    let flops = (running.tile_flops() * BEYOND_MEAN).min(running.needs.tile_flops as f64);
    (tiles as f64 * flops / device.rate_for(&running.needs).max(1.0) * 1e6) as Micros
}

#[cfg(test)]
mod tests {
    use super::super::line::Direction;
    use super::super::tests::{ADA, World, established, job_id, open_job};
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
        if let Some(device) = world.core.devices.get_mut(&ADA) {
            device.standings = established();
        }
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
    fn when_checkers_fall_behind_everybody_is_lent_less_and_nobody_nothing() {
        let mut world = World::new(200_000, 3_000_000_000);
        let device = |n: u16| DeviceId(std::array::from_fn(|at| n.to_be_bytes()[at % 2]));
        let mut most = Vec::new();
        for n in 1..=8_192 {
            world.join(device(n), n.into());
            if let Some(device) = world.core.devices.get_mut(&device(n)) {
                device.standings = established();
            }
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
