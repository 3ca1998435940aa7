//! Lending: which device is lent which free tiles, how many, and for how long.

use wire::device::DeviceClass;
use wire::number::to;
use wire::{DeviceId, JobId, Micros, SliceId};

use super::device::{Device, LEASES_OUT_MAX};
use super::lease::{Lease, LeaseState};
use super::link::{Grant, Link};
use super::state::Core;
use crate::job::Needs;
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
const DEADLINE_MIN: Micros = 15_000_000;
const DEADLINE_MAX: Micros = 600_000_000;

impl Core {
    /// Lends free tiles to devices that asked, job by job in turn, until nothing fits.
    pub(super) fn lend(&mut self, link: &mut impl Link, now: Micros) {
        for id in self.lending_order(now) {
            while let Some(lease) = self.find_work(link, now, id) {
                let (slice, tiles) = (Some(lease.slice), lease.tile_range());
                let grant = Grant { lease: lease.id, slice, tiles, deadline: lease.deadline };
                link.grant(id, &self.jobs[&lease.job].job, grant, now);
                self.insert_lease(lease);
            }
        }
    }

    /// Devices that may be lent something, those first that gave least back.
    pub(super) fn lending_order(&self, now: Micros) -> Vec<DeviceId> {
        let may = |device: &Device| device.ready_credits > 0 && device.suspended_until <= now;
        let waiting = self.waiting.iter().filter_map(|id| Some((id, self.devices.get(id)?)));
        let mut waiting: Vec<(u32, DeviceId)> =
            waiting.filter(|(_, device)| may(device)).map(|(id, device)| (device.strikes, *id)).collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, id)| id).collect()
    }

    fn find_work(&mut self, link: &mut impl Link, now: Micros, id: DeviceId) -> Option<Lease> {
        let device = self.devices.get(&id)?;
        let holding = self.holdings.get(&id).copied().unwrap_or_default();
        if device.ready_credits == 0 || holding.out >= LEASES_OUT_MAX || holding.committed >= UNCHECKED_MAX {
            return None;
        }
        for turn in 0..self.round_robin.len() {
            let job_id = self.round_robin[turn];
            let needs = &self.jobs[&job_id].needs;
            if !device.fits(Some(job_id), needs) {
                continue;
            }
            let size = self.lease_tiles(device, job_id, needs, now);
            let Some((slice_id, first, tiles)) = self.free_run(job_id, size) else { continue };
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an estimate, clamped")]
            let expected =
                (tiles.saturating_mul(needs.tile_flops) as f64 / device.rate_for(needs).max(1.0) * 1e6) as Micros;
            let deadline = now + expected.saturating_mul(4).clamp(DEADLINE_MIN, DEADLINE_MAX);
            // The job goes to the back: each has its turn.
            self.round_robin.remove(turn);
            self.round_robin.push_back(job_id);
            let slice = self.slices.get_mut(&slice_id)?;
            slice.taken.set(first, tiles);
            let first_tile = slice.first_tile + first;
            if let Some(device) = self.devices.get_mut(&id) {
                device.ready_credits -= 1;
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
                state: LeaseState::Out,
            });
        }
        None
    }

    /// Free tiles of `job`: at most `most` in a row.
    fn free_run(&self, job: JobId, most: u64) -> Option<(SliceId, u64, u64)> {
        self.slices
            .iter()
            .filter(|(_, slice)| slice.job == job)
            .find_map(|(id, slice)| slice.taken.clear_run(0, most).map(|(first, tiles)| (*id, first, tiles)))
    }

    /// About a second's work for a newcomer, five for a tab, thirty for a native device; less
    /// towards a job's end, so that everybody ends together.
    fn lease_tiles(&self, device: &Device, job_id: JobId, needs: &Needs, now: Micros) -> u64 {
        let standing = device.standings.of(needs.program, now);
        let checked_by = self.jobs[&job_id].job.checked_by(self.has_checkers);
        let secs = match (standing.is_established(), device.class) {
            (false, _) => 1.0,
            (true, DeviceClass::Tab) => 5.0,
            (true, DeviceClass::Native) => 30.0,
        };
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate, clamped"
        )]
        let by_rate = (device.rate_for(needs) * secs / needs.tile_flops.max(1) as f64).clamp(1.0, 1e9) as u64;
        let doublings = device.settled_leases.saturating_sub(NEWCOMER_LEASES - LEASES_A_DOUBLING) / LEASES_A_DOUBLING;
        let by_ramp = if standing.is_established() { u64::MAX } else { NEWCOMER_TILES << doublings.min(16) };
        let by_standing = lease_tiles_max(standing, needs.tile_flops, checked_by).min(by_ramp);
        let by_bytes = LEASE_BYTES_MAX / needs.tile_bytes.max(1);
        let free: u64 = self
            .slices
            .values()
            .filter(|slice| slice.job == job_id)
            .map(|slice| slice.tiles - slice.taken.count_ones())
            .sum();
        let by_device = by_rate.min(by_standing).min(by_bytes);
        let share_of = |devices: usize| free.div_ceil(2 * to::<u64>(devices).max(1));
        // Devices that fit are counted where it matters alone: towards a job's end.
        let by_share = if share_of(self.devices.len()) >= by_device {
            by_device
        } else {
            share_of(self.devices.values().filter(|device| device.fits(Some(job_id), needs)).count())
        };
        (by_device.min(by_share) >> device.strikes.min(6)).max(1)
    }
}
