//! Draws and comparisons: a case goes on until it has to wait for somebody, or is decided.

use rules::scheduling::recheck_request::Answerer;
use rules::verification::dispute::{Next, Outcome};
use rules::verification::draw::draw;
use wire::{LeaseId, Micros};

use crate::case::{CaseId, Cause};
use crate::world::{Event, SECOND, TILE_FLOPS, World, kflop_of};

/// Before a dispute that waits for a witness looks again whether one is connected.
const LOOK_AGAIN: Micros = 2 * SECOND;

impl World {
    /// A receipt was committed: tiles are drawn and compared.
    pub(crate) fn open_check(&mut self, lease: LeaseId) {
        let Some(receipt) = self.receipts.get(&lease) else { return };
        if self.core.lease(lease).is_none() {
            // Its job has ended, or its slice is claimed anew with the tiles free again.
            self.void(lease);
            return;
        }
        let (device, tiles) = (receipt.device, receipt.tiles);
        let standing = self.gpus[device].record.standings().of(self.program(), self.now);
        let seed = self.seed();
        let drawn = draw(standing, tiles, TILE_FLOPS, self.checked_by(), seed);
        let recomputed = &mut self.tally.recomputed_kflop;
        let because = if standing.is_established() { &mut recomputed.commits } else { &mut recomputed.newcomers };
        *because += kflop_of(drawn.len());
        let case = self.open_case(lease, Cause::Commit, drawn);
        self.advance(case);
    }

    /// Goes on with a case until it has to wait, or is decided.
    pub(crate) fn advance(&mut self, id: CaseId) {
        while let Some(case) = self.cases.get_mut(&id) {
            if let Some(open) = &mut case.dispute {
                match open.dispute.next() {
                    Next::Decided(outcome) => {
                        if self.end_dispute(id, outcome) {
                            return;
                        }
                    }
                    Next::AskWitness => {
                        if self.ask_witness(id) {
                            return;
                        }
                    }
                    Next::AskAccused => return self.ask_accused(id),
                    Next::Wait => return self.after(LOOK_AGAIN, Event::LookAgain(id)),
                }
                continue;
            }
            if case.left.is_empty() || (case.is_own_work && !self.settings.has_checkers) {
                return self.stands(id);
            }
            match (self.settings.has_checkers, &case.peer) {
                (true, _) => self.compare_with_checker(id),
                (false, Some((_, range))) if range.contains(&case.left[0]) => self.compare_with_peer(id),
                (false, _) => return self.ask_peer(id),
            }
        }
    }

    pub(crate) fn look_again(&mut self, id: CaseId) {
        if let Some(open) = self.cases.get_mut(&id).and_then(|case| case.dispute.as_mut()) {
            open.dispute.look_again();
            self.advance(id);
        }
    }

    /// The operator's checkers answer for all tiles at once.
    fn compare_with_checker(&mut self, id: CaseId) {
        let (lease, tiles) = {
            let Some(case) = self.cases.get_mut(&id) else { return };
            (case.lease, std::mem::take(&mut case.left))
        };
        let (device, job, first, run) = self.run_of(lease);
        let is_random = self.jobs.get(&job).is_some_and(|running| running.is_random);
        let may_differ = run.wrong_share > 0.0 || is_random || self.settings.checker_errs > 0.0;
        if !may_differ {
            return;
        }
        for (at, tile) in tiles.iter().enumerate() {
            let signed = self.value(device, job, first + u64::from(*tile), Some(run));
            let errs = is_random || self.rng.f64() < self.settings.checker_errs;
            let found = if errs { self.rng.u64(1..) } else { 0 };
            if signed != found {
                self.open_dispute(id, *tile, (signed, found), Answerer::Checker, tiles[at + 1..].to_vec());
                return;
            }
        }
    }

    /// `true` where the case is decided by it.
    fn end_dispute(&mut self, id: CaseId, outcome: Outcome) -> bool {
        let Some(case) = self.cases.get_mut(&id) else { return true };
        let Some(open) = case.dispute.take() else { return false };
        let case_lease = case.lease;
        if outcome == Outcome::CheckerWrong {
            // Its word was dropped.
            case.judged.pop();
        }
        self.pay_witnesses(&open, outcome);
        match outcome {
            Outcome::DeviceWrong => {
                self.falls(id);
                true
            }
            Outcome::CheckerWrong => {
                self.tally.checkers_wrong += 1;
                if let Some(device) = open.dispute.finder_to_blame() {
                    let index = self.by_id[&device];
                    self.gpus[index].record.blamed += 1;
                    self.suspend(index);
                }
                false
            }
            Outcome::NotReproducible => {
                self.tally.not_reproducible += 1;
                let receipt = &self.receipts[&case_lease];
                let account = self.gpus[receipt.device].party.account;
                if let Some(running) = self.jobs.get_mut(&receipt.job) {
                    running.unreproducible.push(account);
                }
                false
            }
        }
    }
}
