//! A receipt that stands: what is written of it.

use rules::scheduling::lease::SettledLease;
use rules::verification::standing::{matures_at, verified_kflop};

use crate::books::{State, mature};
use crate::case::{Case, CaseId, Cause};
use crate::world::World;

impl World {
    /// Nothing differs, or nothing that anybody is to blame for.
    pub(crate) fn stands(&mut self, id: CaseId) {
        let Some(case) = self.cases.remove(&id) else { return };
        self.pay_for_check(&case);
        match case.cause {
            Cause::Commit => self.settle(&case),
            Cause::After => {
                if let Some(receipt) = self.receipts.get_mut(&case.lease) {
                    receipt.is_redrawn = false;
                    let job = receipt.job;
                    self.close_if_done(job);
                    self.finish(job);
                }
            }
            Cause::Final => {
                let job = self.receipts[&case.lease].job;
                if let Some(running) = self.jobs.get_mut(&job) {
                    running.open_finals -= 1;
                }
                self.finish(job);
            }
        }
    }

    fn settle(&mut self, case: &Case) {
        let lease = case.lease;
        let held = self.core.lease(lease).copied();
        let Some(held) = held else { return self.void(lease) };
        let Some(mut settlement) = self.core.settlement(held.slice) else { return self.void(lease) };
        if !settlement.add(&held) {
            return self.void(lease);
        }
        let (index, job) = (self.receipts[&lease].device, self.receipts[&lease].job);
        if self.gpus[index].record.suspended_until > self.now {
            // It was caught in the meantime.
            self.core.on_refused(&mut self.link, self.now, lease);
            return self.void(lease);
        }
        let Some(running) = self.jobs.get_mut(&job) else { return self.void(lease) };
        let Some(stored) = running.slices.get_mut(&settlement.slice) else { return };
        if stored.fence != settlement.fence || stored.version != settlement.version {
            return self.void(lease);
        }
        let is_new = stored.settled.count_ones() + settlement.tiles == settlement.settled.count_ones();
        stored.version += 1;
        stored.settled.clone_from(&settlement.settled);
        running.remaining -= settlement.tiles;
        let is_own_work = running.job.customer == self.gpus[index].party.account;
        let (tiles, kflop) = (self.receipts[&lease].tiles, self.receipts[&lease].kflop);
        let recomputed = if case.is_own_work && !self.settings.has_checkers { 0 } else { case.drawn };
        let verified = verified_kflop(kflop, tiles.into(), recomputed.into(), is_own_work);
        let done = SettledLease { lease, verified_kflop: verified, flops_left: 0 };
        self.core.on_settled(&mut self.link, &settlement, &[done]);
        let program = self.program();
        let record = &mut self.gpus[index].record;
        let ever = record.add_verified(program, verified);
        if let Some(receipt) = self.receipts.get_mut(&lease) {
            receipt.state = State::Accepted;
            receipt.recomputed = recomputed;
            receipt.matures_at = matures_at(ever, kflop);
            record.accepted.insert((receipt.matures_at, lease));
        }
        if is_own_work {
            record.own_kflop += kflop;
        }
        mature(&mut self.gpus[index].record, &mut self.receipts, ever);
        self.tally.settled_kflop += kflop;
        self.touched.push(job);
        self.require(is_new, || format!("a tile of {lease} was settled before"));
        self.end_if_unreproducible(job);
        self.close_if_done(job);
    }
}
