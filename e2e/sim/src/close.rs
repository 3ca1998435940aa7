//! How jobs end, and what a failed check takes back.

use std::collections::{BTreeMap, BTreeSet};

use rules::verification::dispute::{UNREPRODUCIBLE_ACCOUNTS, UNREPRODUCIBLE_TILES};
use rules::verification::draw::{draw, draw_final};
use rules::verification::standing::Standing;
use wire::{AccountId, JobId, LeaseId};

use crate::books::{Receipt, State};
use crate::case::{CaseId, Cause};
use crate::world::{Event, Running, TILE_FLOPS, World, kflop_of};

impl World {
    /// A job of whose tiles several cannot be reproduced ends, with nobody blamed and what was done paid.
    pub(crate) fn end_if_unreproducible(&mut self, job: JobId) {
        let Some(running) = self.jobs.get_mut(&job) else { return };
        let accounts: BTreeSet<AccountId> = running.unreproducible.iter().copied().collect();
        let count = |length: usize| u64::try_from(length).expect("disputes should be few");
        let is_enough = count(running.unreproducible.len()) >= UNREPRODUCIBLE_TILES;
        if running.is_over || !is_enough || count(accounts.len()) < UNREPRODUCIBLE_ACCOUNTS {
            return;
        }
        self.tally.nondeterministic += 1;
        self.end_job(job);
    }

    /// It ends before all its tiles are done.
    pub(crate) fn end_job(&mut self, job: JobId) {
        let Some(running) = self.jobs.get_mut(&job) else { return };
        running.is_over = true;
        let unchecked: BTreeSet<LeaseId> = running.receipts.iter().copied().collect();
        self.core.on_job_ended(&mut self.link, self.now, job);
        // What awaits its check comes to nothing.
        self.cases.retain(|_, case| case.cause != Cause::Commit || !unchecked.contains(&case.lease));
        for lease in unchecked {
            if self.receipts[&lease].state == State::Pending {
                self.void(lease);
            }
        }
        self.faults.retain(|_, open| open.job != job);
    }

    /// The last tile is settled, or the job is over: the final draw.
    pub(crate) fn close_if_done(&mut self, job: JobId) {
        let Some(running) = self.jobs.get(&job) else { return };
        if running.is_closing || (running.remaining > 0 && !running.is_over) || self.is_redrawing(running) {
            return;
        }
        let mut by_device: BTreeMap<usize, Vec<LeaseId>> = BTreeMap::new();
        for lease in &running.receipts {
            let receipt = &self.receipts[lease];
            if receipt.state == State::Accepted && !receipt.is_final && receipt.recomputed < receipt.tiles {
                by_device.entry(receipt.device).or_default().push(*lease);
            }
        }
        let mut drawn = Vec::new();
        for leases in by_device.into_values() {
            let seed = self.seed();
            let tiles: Vec<u32> = leases.iter().map(|lease| self.receipts[lease].tiles).collect();
            for lease in &leases {
                self.receipts.entry(*lease).and_modify(|receipt| receipt.is_final = true);
            }
            drawn.extend(leases.into_iter().zip(draw_final(&tiles, seed)).filter(|(_, tiles)| !tiles.is_empty()));
        }
        if let Some(running) = self.jobs.get_mut(&job) {
            running.is_closing = true;
            running.open_finals = u32::try_from(drawn.len()).expect("leases should be few");
        }
        for (lease, tiles) in drawn {
            self.tally.recomputed_kflop.finals += kflop_of(tiles.len());
            let case = self.open_case(lease, Cause::Final, tiles);
            self.after(0, Event::Advance(case));
        }
        self.finish(job);
    }

    fn is_redrawing(&self, running: &Running) -> bool {
        let is_redrawn = |receipt: &Receipt| receipt.state == State::Accepted && receipt.is_redrawn;
        running.receipts.iter().any(|lease| is_redrawn(&self.receipts[lease]))
    }

    /// Everything matures once nothing of the job is open.
    pub(crate) fn finish(&mut self, job: JobId) {
        let Some(running) = self.jobs.get(&job) else { return };
        if !running.is_closing || running.open_finals > 0 || self.is_redrawing(running) {
            return;
        }
        if running.remaining > 0 && !running.is_over {
            if let Some(running) = self.jobs.get_mut(&job) {
                running.is_closing = false;
            }
            return;
        }
        let Some(running) = self.jobs.remove(&job) else { return };
        self.note_job(&running);
        for lease in running.receipts {
            let Some(receipt) = self.receipts.remove(&lease) else { continue };
            if matches!(receipt.state, State::Accepted | State::Matured) {
                self.tally.note_paid(&receipt, running.is_random);
            }
            if receipt.state == State::Accepted {
                let record = &mut self.gpus[receipt.device].record;
                record.matured_kflop += receipt.kflop;
                record.accepted.remove(&(receipt.matures_at, lease));
            }
        }
        self.core.on_job_ended(&mut self.link, self.now, job);
        self.submit();
    }

    fn note_job(&mut self, running: &Running) {
        if running.is_over {
            return;
        }
        let speed: f64 = self.gpus.iter().filter(|gpu| gpu.is_online).map(|gpu| gpu.speed).sum();
        self.tally.jobs += 1;
        self.tally.job_time += self.now - running.began;
        #[expect(clippy::cast_precision_loss, reason = "a duration")]
        let flops = running.job.flops() as f64;
        self.tally.job_time_ideal += flops / speed.max(1.0);
    }

    /// The device was wrong: the lease is done again by others, and what else of it is not mature is drawn from.
    pub(crate) fn falls(&mut self, id: CaseId) {
        let Some(case) = self.cases.remove(&id) else { return };
        self.pay_for_check(&case);
        let lease = case.lease;
        let (index, job) = (self.receipts[&lease].device, self.receipts[&lease].job);
        if case.cause == Cause::Final
            && let Some(running) = self.jobs.get_mut(&job)
        {
            running.open_finals -= 1;
        }
        let settled = match (case.cause, self.receipts[&lease].state) {
            (Cause::Commit, State::Pending) => false,
            (Cause::After | Cause::Final, State::Accepted) => true,
            // It has fallen for another cause, or has matured in the meantime.
            (Cause::Commit | Cause::After | Cause::Final, _) => return self.finish(job),
        };
        self.tally.rejected += 1;
        self.gpus[index].record.blamed += 1;
        self.suspend(index);
        if settled {
            self.take_back(lease);
        } else {
            self.core.on_refused(&mut self.link, self.now, lease);
        }
        if let Some(receipt) = self.receipts.get_mut(&lease) {
            (receipt.state, receipt.is_redrawn) = (State::Rejected, false);
        }
        self.drop_cases_of(lease, job);
        self.draw_again(index);
        self.close_if_done(job);
        self.finish(job);
    }

    /// It has fallen, so nothing of it is compared any more.
    fn drop_cases_of(&mut self, lease: LeaseId, job: JobId) {
        let dropped = self.cases.extract_if(.., |_, case| case.lease == lease);
        let finals = dropped.filter(|(_, case)| case.cause == Cause::Final).count();
        if let Some(running) = self.jobs.get_mut(&job) {
            running.open_finals -= u32::try_from(finals).expect("a lease should be drawn from once");
        }
    }

    /// What else of a device that was caught is not mature.
    fn draw_again(&mut self, index: usize) {
        for (_, other) in self.gpus[index].record.accepted.clone() {
            let Some(receipt) = self.receipts.get_mut(&other) else { continue };
            if std::mem::replace(&mut receipt.is_redrawn, true) {
                continue;
            }
            let tiles = receipt.tiles;
            let seed = self.seed();
            let drawn = draw(Standing::default(), tiles, TILE_FLOPS, self.checked_by(), seed);
            self.tally.recomputed_kflop.disputes += kflop_of(drawn.len());
            let case = self.open_case(other, Cause::After, drawn);
            self.after(0, Event::Advance(case));
        }
    }

    /// Tiles that were settled are owed again; the slice is claimed anew from the database.
    fn take_back(&mut self, lease: LeaseId) {
        let Some(slice) = self.slice_of(lease) else { return };
        let receipt = self.receipts[&lease].clone();
        let (job, first_tile, tiles) = (receipt.job, receipt.first_tile, u64::from(receipt.tiles));
        let record = &mut self.gpus[receipt.device].record;
        record.accepted.remove(&(receipt.matures_at, lease));
        self.tally.settled_kflop -= receipt.kflop;
        self.touched.push(job);
        let written = self.core.unsettlement(slice, first_tile, tiles);
        let Some(running) = self.jobs.get_mut(&job) else { return };
        if running.job.customer == self.gpus[receipt.device].party.account {
            self.gpus[receipt.device].record.own_kflop -= receipt.kflop;
        }
        running.remaining += tiles;
        let is_over = running.is_over;
        let Some(stored) = running.slices.get_mut(&slice) else { return };
        stored.version += 1;
        stored.settled.clear(first_tile - stored.first_tile, tiles);
        match written {
            Some(written) => self.core.on_unsettled(&mut self.link, self.now, first_tile, &written),
            None if is_over => {}
            None => self.claim(job, slice),
        }
    }
}
