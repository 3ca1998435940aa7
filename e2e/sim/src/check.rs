//! The edge around the rules: draws, comparisons, disputes, settlements, and what a failed check takes back.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use rules::scheduling::recheck::group_tiles;
use rules::scheduling::recheck_request::{Answer, Answered, Answerer, RecheckError, RecheckId, RecheckRequest, Whom};
use rules::verification::dispute::{Comparison, Dispute, Next, Outcome};
use rules::verification::draw::{draw, draw_final};
use rules::verification::party::{Parties, Party};
use rules::verification::standing::{Standing, verified_kflop};
use wire::{BlobHash, CheckedBy, JobId, LeaseId, SliceId};

use crate::books::{State, accept, mature};
use crate::case::{Case, CaseId, Cause, Open};
use crate::cheat::{Kind, Run};
use crate::world::{Event, SECOND, Stored, TILE_FLOPS, World};

/// An answer carries its value where a blob's hash would be.
fn answer_of(value: u64) -> Answer {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&value.to_le_bytes());
    Answer::Output(BlobHash(bytes))
}

fn value_of(answer: &Answer) -> u64 {
    match answer {
        Answer::Output(BlobHash(bytes)) => u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes are eight")),
        Answer::Fault(_) => u64::MAX,
    }
}

impl World {
    fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        seed
    }

    fn checked_by(&self) -> CheckedBy {
        if self.settings.has_checkers { CheckedBy::Checker } else { CheckedBy::Quorum }
    }

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
        self.open_case(lease, Cause::Commit, drawn);
    }

    fn open_case(&mut self, lease: LeaseId, cause: Cause, drawn: Vec<u32>) {
        let receipt = &self.receipts[&lease];
        let customer = self.jobs.get(&receipt.job).map(|running| running.job.customer);
        let is_own_work = customer == Some(self.gpus[receipt.device].party.account);
        self.numbers += 1;
        let id = self.numbers;
        let count = u32::try_from(drawn.len()).expect("a draw should be small");
        self.tally.recomputed_flops += u64::from(count) * TILE_FLOPS;
        let (peer, asked, dispute) = (None, None, None);
        self.cases.insert(id, Case { lease, cause, left: drawn, drawn: count, peer, asked, dispute, is_own_work });
        self.advance(id);
    }

    /// Goes on with a case until it has to wait, or is decided.
    fn advance(&mut self, id: CaseId) {
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
                    Next::Wait => return self.after(30 * SECOND, Event::LookAgain(id)),
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

    fn run_of(&self, lease: LeaseId) -> (usize, JobId, u64, Run) {
        let receipt = &self.receipts[&lease];
        (receipt.device, receipt.job, receipt.first_tile, receipt.run)
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

    fn compare_with_peer(&mut self, id: CaseId) {
        let Some(case) = self.cases.get_mut(&id) else { return };
        let Some((by, range)) = case.peer.clone() else { return };
        let (lease, tile) = (case.lease, case.left.remove(0));
        let (device, job, first, run) = self.run_of(lease);
        let signed = self.value(device, job, first + u64::from(tile), Some(run));
        let Answerer::Peer { device: peer, .. } = by else { return };
        let found = self.opinion(peer, device, job, first + u64::from(tile), run);
        if signed != found {
            let Some(case) = self.cases.get_mut(&id) else { return };
            let left = std::mem::take(&mut case.left);
            case.peer = Some((by, range));
            self.open_dispute(id, tile, (signed, found), by, left);
        }
    }

    /// What a device says of a tile of another's lease.
    fn opinion(&mut self, judge: wire::DeviceId, accused: usize, job: JobId, tile: u64, run: Run) -> u64 {
        let judge = self.index_of(judge);
        if self.gpus[judge].kind == Kind::Colluding && self.gpus[accused].kind == Kind::Colluding {
            return self.value(accused, job, tile, Some(run));
        }
        self.value(judge, job, tile, None)
    }

    fn index_of(&self, device: wire::DeviceId) -> usize {
        self.by_id[&device]
    }

    fn open_dispute(&mut self, id: CaseId, tile: u32, (signed, found): (u64, u64), by: Answerer, left: Vec<u32>) {
        let Some(case) = self.cases.get_mut(&id) else { return };
        let receipt = &self.receipts[&case.lease];
        let Some(running) = self.jobs.get(&receipt.job) else { return };
        let dispute = Dispute::new(self.gpus[receipt.device].party, running.job.customer, by);
        case.left = left;
        case.dispute = Some(Open { tile, signed, found, dispute });
        self.tally.disputes += 1;
    }

    fn request(&mut self, id: CaseId, whom: Whom, range: Range<u32>, parties: Parties) {
        let Some(case) = self.cases.get_mut(&id) else { return };
        let receipt = &self.receipts[&case.lease];
        let Some(running) = self.jobs.get(&receipt.job) else { return };
        let first = receipt.first_tile;
        let tiles = first + u64::from(range.start)..first + u64::from(range.end);
        case.asked = Some((whom, range));
        self.numbers += 1;
        let recheck = RecheckId(self.numbers);
        self.asked.insert(recheck, id);
        let request = RecheckRequest { job: Arc::clone(&running.job), tiles, whom, parties, has_fallback: false };
        self.core.on_recheck_requested(&mut self.link, self.now, recheck, request);
    }

    fn ask_peer(&mut self, id: CaseId) {
        let Some(case) = self.cases.get(&id) else { return };
        let receipt = &self.receipts[&case.lease];
        let Some(running) = self.jobs.get(&receipt.job) else { return };
        let customer = Party { account: running.job.customer, network: None };
        let parties = Parties::default().with(self.gpus[receipt.device].party).with(customer);
        let range = group_tiles(&running.job.needs(), &case.left).swap_remove(0);
        self.request(id, Whom::Checkers, range, parties);
    }

    /// `false` where there is nobody to ask.
    fn ask_witness(&mut self, id: CaseId) -> bool {
        let Some(case) = self.cases.get_mut(&id) else { return false };
        let Some(open) = &mut case.dispute else { return false };
        let (tile, parties) = (open.tile, open.dispute.parties().clone());
        let receipt = &self.receipts[&case.lease];
        let job = self.jobs.get(&receipt.job).map(|running| Arc::clone(&running.job));
        let has_witness = job.is_some_and(|job| self.core.has_witness(job.id, &job.needs(), &parties, self.now));
        if has_witness {
            self.request(id, Whom::Witness, tile..tile + 1, parties);
        } else {
            open.dispute.on_no_witness();
        }
        has_witness
    }

    fn ask_accused(&mut self, id: CaseId) {
        let Some(case) = self.cases.get(&id) else { return };
        let Some(open) = &case.dispute else { return };
        let (tile, parties) = (open.tile, open.dispute.parties().clone());
        let accused = self.gpus[self.receipts[&case.lease].device].id;
        self.request(id, Whom::Accused(accused), tile..tile + 1, parties);
    }

    /// A device has computed what it was asked to.
    pub(crate) fn on_rechecked(&mut self, index: usize, lease: LeaseId) {
        self.held.remove(&lease);
        let device = self.gpus[index].id;
        if self.core.is_recheck(device, lease) {
            self.core.on_recheck_answered(&mut self.link, lease, answer_of(0));
        }
        self.core.on_device_ready(&mut self.link, self.now, device);
    }

    pub(crate) fn on_recheck_ended(&mut self, recheck: RecheckId, outcome: Result<Answered, RecheckError>) {
        let Some(id) = self.asked.remove(&recheck) else { return };
        let Some(case) = self.cases.get_mut(&id) else { return };
        let Some((whom, range)) = case.asked.take() else { return };
        let (lease, accused_run) = (case.lease, self.receipts[&case.lease].run);
        let answered = match outcome {
            Ok(Answered { by: Answerer::Peer { party, device }, answer }) => Some((party, device, value_of(&answer))),
            _ => None,
        };
        let accused = self.receipts[&lease].device;
        match (whom, answered) {
            (Whom::Checkers, Some((party, device, _))) => case.peer = Some((Answerer::Peer { party, device }, range)),
            (Whom::Checkers, None) => {}
            (Whom::Accused(_), None) => {
                if let Some(open) = &mut case.dispute {
                    open.dispute.on_accused(false);
                }
            }
            (Whom::Witness, None) => {
                if let Some(open) = &mut case.dispute {
                    open.dispute.on_no_witness();
                }
            }
            (Whom::Witness | Whom::Accused(_), Some((party, device, _))) => {
                let Some(open) = &case.dispute else { return };
                let (signed, found, tile) = (open.signed, open.found, open.tile);
                let (_, job, first, _) = self.run_of(lease);
                let tile = first + u64::from(tile);
                let value = match whom {
                    Whom::Accused(_) => self.value(accused, job, tile, Some(accused_run)),
                    _ => self.opinion(device, accused, job, tile, accused_run),
                };
                let comparison = Comparison { with_device: value == signed, with_checker: value == found };
                let Some(open) = self.cases.get_mut(&id).and_then(|case| case.dispute.as_mut()) else { return };
                match whom {
                    Whom::Accused(_) => open.dispute.on_accused(comparison.with_device),
                    _ => open.dispute.on_witness(party, comparison),
                }
            }
        }
        self.advance(id);
    }

    /// `true` where the case is decided by it.
    fn end_dispute(&mut self, id: CaseId, outcome: Outcome) -> bool {
        let Some(case) = self.cases.get_mut(&id) else { return true };
        let Some(open) = case.dispute.take() else { return false };
        match outcome {
            Outcome::DeviceWrong => {
                self.falls(id);
                true
            }
            Outcome::CheckerWrong => {
                self.tally.checkers_wrong += 1;
                if let Some(device) = open.dispute.finder_device() {
                    let index = self.index_of(device);
                    self.suspend(index);
                }
                false
            }
            Outcome::NotReproducible => {
                self.tally.not_reproducible += 1;
                false
            }
        }
    }

    /// A failed check: the device is suspended and its standing gone.
    fn suspend(&mut self, index: usize) {
        let until = self.gpus[index].record.fail(self.now);
        self.gpus[index].suspended += until - self.now;
        if self.gpus[index].kind == Kind::Honest {
            self.tally.honest_harmed += 1;
        }
        let id = self.gpus[index].id;
        self.core.on_device_suspended(&mut self.link, self.now, id, until);
    }

    /// A checker finished what the device calls endless.
    pub(crate) fn report_fault(&mut self, index: usize, lease: LeaseId) {
        let id = self.gpus[index].id;
        if self.core.on_commit(self.now, id, lease).is_ok() {
            self.core.on_refused(&mut self.link, self.now, lease);
            self.suspend(index);
        }
    }

    fn void(&mut self, lease: LeaseId) {
        if let Some(receipt) = self.receipts.get_mut(&lease) {
            receipt.state = State::Void;
        }
    }

    fn slice_of(&self, lease: LeaseId) -> Option<SliceId> {
        let receipt = &self.receipts[&lease];
        let running = self.jobs.get(&receipt.job)?;
        let holds = |stored: &Stored| {
            stored.first_tile <= receipt.first_tile && receipt.first_tile < stored.first_tile + stored.tiles
        };
        running.slices.iter().find(|(_, stored)| holds(stored)).map(|(id, _)| *id)
    }

    /// Nothing differs, or nothing that anybody is to blame for.
    fn stands(&mut self, id: CaseId) {
        let Some(case) = self.cases.remove(&id) else { return };
        match case.cause {
            Cause::Commit => self.settle(&case),
            Cause::After => {
                if let Some(receipt) = self.receipts.get_mut(&case.lease) {
                    receipt.is_redrawn = false;
                    let job = receipt.job;
                    self.close_if_done(job);
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
        let Some(settlement) = self.core.settlement(lease) else { return self.void(lease) };
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
        stored.version += 1;
        stored.settled = settlement.settled.clone();
        running.remaining -= settlement.tiles;
        let is_own_work = running.job.customer == self.gpus[index].party.account;
        let (tiles, kflop) = (self.receipts[&lease].tiles, self.receipts[&lease].kflop);
        let recomputed = if case.is_own_work && !self.settings.has_checkers { 0 } else { case.drawn };
        let verified = verified_kflop(kflop, tiles.into(), recomputed.into(), is_own_work);
        self.core.on_settled(lease, &settlement, verified);
        let program = self.program();
        let record = &mut self.gpus[index].record;
        let ever = record.add_verified(program, verified);
        record.accepted.push(lease);
        if is_own_work {
            record.own_kflop += kflop;
        }
        if let Some(receipt) = self.receipts.get_mut(&lease) {
            accept(receipt, ever, recomputed);
        }
        mature(&mut self.gpus[index].record, &mut self.receipts, ever);
        self.tally.settled_flops += u64::from(tiles) * TILE_FLOPS;
        self.close_if_done(job);
    }

    /// The last tile is settled: the final draw.
    fn close_if_done(&mut self, job: JobId) {
        let Some(running) = self.jobs.get_mut(&job) else { return };
        if running.remaining > 0 || running.is_closing {
            return;
        }
        let unmatured: Vec<LeaseId> =
            running.receipts.iter().copied().filter(|lease| self.receipts[lease].state == State::Accepted).collect();
        let is_redrawn = unmatured.iter().any(|lease| self.receipts[lease].is_redrawn);
        if is_redrawn {
            return;
        }
        running.is_closing = true;
        let mut by_device: BTreeMap<usize, Vec<LeaseId>> = BTreeMap::new();
        for lease in unmatured {
            let receipt = &self.receipts[&lease];
            if receipt.recomputed < receipt.tiles {
                by_device.entry(receipt.device).or_default().push(lease);
            }
        }
        let mut drawn = Vec::new();
        for leases in by_device.into_values() {
            let seed = self.seed();
            let tiles: Vec<u32> = leases.iter().map(|lease| self.receipts[lease].tiles).collect();
            drawn.extend(leases.into_iter().zip(draw_final(&tiles, seed)).filter(|(_, tiles)| !tiles.is_empty()));
        }
        if let Some(running) = self.jobs.get_mut(&job) {
            running.open_finals = u32::try_from(drawn.len()).expect("leases should be few");
        }
        for (lease, tiles) in drawn {
            self.open_case(lease, Cause::Final, tiles);
        }
        self.finish(job);
    }

    /// Everything matures once nothing of the job is open.
    fn finish(&mut self, job: JobId) {
        let Some(running) = self.jobs.get(&job) else { return };
        if !running.is_closing || running.open_finals > 0 {
            return;
        }
        if running.remaining > 0 {
            if let Some(running) = self.jobs.get_mut(&job) {
                running.is_closing = false;
            }
            return;
        }
        let Some(running) = self.jobs.remove(&job) else { return };
        for lease in running.receipts {
            let Some(receipt) = self.receipts.remove(&lease) else { continue };
            if matches!(receipt.state, State::Accepted | State::Matured) {
                self.tally.note_paid(&receipt, running.is_random);
            }
            if receipt.state == State::Accepted {
                let record = &mut self.gpus[receipt.device].record;
                record.matured_kflop += receipt.kflop;
                record.accepted.retain(|accepted| *accepted != lease);
            }
        }
        self.tally.note_job(self.now - running.began);
        self.core.on_job_ended(&mut self.link, self.now, job);
        self.submit();
    }

    /// The device was wrong: the lease is done again by others, and what else of it is not mature is drawn from.
    fn falls(&mut self, id: CaseId) {
        let Some(case) = self.cases.remove(&id) else { return };
        let lease = case.lease;
        let (index, job) = (self.receipts[&lease].device, self.receipts[&lease].job);
        self.tally.rejected += 1;
        match case.cause {
            Cause::Commit => self.core.on_refused(&mut self.link, self.now, lease),
            Cause::After | Cause::Final => self.take_back(lease),
        }
        if let Some(receipt) = self.receipts.get_mut(&lease) {
            receipt.state = State::Rejected;
        }
        self.suspend(index);
        self.gpus[index].record.accepted.retain(|accepted| *accepted != lease);
        if case.cause == Cause::Final
            && let Some(running) = self.jobs.get_mut(&job)
        {
            running.open_finals -= 1;
        }
        for other in self.gpus[index].record.accepted.clone() {
            let Some(receipt) = self.receipts.get_mut(&other) else { continue };
            if std::mem::replace(&mut receipt.is_redrawn, true) {
                continue;
            }
            let tiles = receipt.tiles;
            let seed = self.seed();
            let drawn = draw(Standing::default(), tiles, TILE_FLOPS, self.checked_by(), seed);
            self.open_case(other, Cause::After, drawn);
        }
        self.finish(job);
    }

    /// Tiles that were settled are owed again; the slice is claimed anew from the database.
    fn take_back(&mut self, lease: LeaseId) {
        let Some(slice) = self.slice_of(lease) else { return };
        let (job, first_tile, tiles) = {
            let receipt = &self.receipts[&lease];
            (receipt.job, receipt.first_tile, u64::from(receipt.tiles))
        };
        self.tally.settled_flops -= tiles * TILE_FLOPS;
        let written = self.core.unsettlement(slice, first_tile, tiles);
        let Some(running) = self.jobs.get_mut(&job) else { return };
        running.remaining += tiles;
        let Some(stored) = running.slices.get_mut(&slice) else { return };
        stored.version += 1;
        stored.settled.clear(first_tile - stored.first_tile, tiles);
        match written {
            Some(written) => self.core.on_unsettled(&mut self.link, self.now, first_tile, &written),
            None => self.claim(job, slice),
        }
    }
}
