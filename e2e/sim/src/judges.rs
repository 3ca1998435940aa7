//! What other devices are asked: to check where there is no checker, and in disputes.

use std::ops::Range;
use std::sync::Arc;

use rules::scheduling::recheck::group_tiles;
use rules::scheduling::recheck_request::{Answer, Answerer, RecheckId, RecheckRequest, Whom};
use rules::verification::dispute::Comparison;
use rules::verification::party::{Parties, Party};
use wire::{BlobHash, DeviceId, JobId, LeaseId, Micros};

use crate::case::CaseId;
use crate::cheat::{Kind, Run};
use crate::world::{Event, SECOND, TILE_KFLOP, World};

/// Time for a witness, or for the accused, to answer.
const ANSWER_WITHIN: Micros = 60 * SECOND;
/// What a device says of a tile is only made up once it has answered.
const ANSWER: Answer = Answer::Output(BlobHash([0; 32]));

impl World {
    pub(crate) fn compare_with_peer(&mut self, id: CaseId) {
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
    fn opinion(&mut self, judge: DeviceId, accused: usize, job: JobId, tile: u64, run: Run) -> u64 {
        let judge = self.by_id[&judge];
        if self.gpus[judge].kind == Kind::Colluding && self.gpus[accused].kind == Kind::Colluding {
            return self.value(accused, job, tile, Some(run));
        }
        self.value(judge, job, tile, None)
    }

    fn request(&mut self, id: CaseId, whom: Whom, range: Range<u32>, parties: Parties) {
        let Some(case) = self.cases.get_mut(&id) else { return };
        let receipt = &self.receipts[&case.lease];
        let Some(running) = self.jobs.get(&receipt.job) else { return };
        let first = receipt.first_tile;
        let tiles = first + u64::from(range.start)..first + u64::from(range.end);
        case.asked = Some((whom, range));
        if whom != Whom::Checkers {
            self.tally.recomputed_kflop.disputes += TILE_KFLOP;
        }
        let job = running.job.id;
        if let Some(recheck) = self.put_request(job, tiles, whom, parties) {
            self.asked.insert(recheck, id);
            if whom != Whom::Checkers {
                self.after(ANSWER_WITHIN, Event::GiveUp(recheck));
            }
        }
    }

    /// `None` where the job is gone. What comes of it is heard once the core has acted.
    pub(crate) fn put_request(
        &mut self,
        job: JobId,
        tiles: Range<u64>,
        whom: Whom,
        parties: Parties,
    ) -> Option<RecheckId> {
        let job = Arc::clone(&self.jobs.get(&job)?.job);
        self.numbers += 1;
        let recheck = RecheckId(self.numbers);
        let request = RecheckRequest { job, tiles, whom, parties, has_fallback: false, nudge: None };
        self.core.on_recheck_requested(&mut self.link, self.now, recheck, request);
        Some(recheck)
    }

    /// Whoever was asked in a dispute has not answered in time.
    pub(crate) fn give_up(&mut self, recheck: RecheckId) {
        if self.asked.contains_key(&recheck) {
            self.core.on_recheck_cancelled(recheck);
            self.on_recheck_ended(recheck, None);
        }
    }

    pub(crate) fn ask_peer(&mut self, id: CaseId) {
        let Some(case) = self.cases.get(&id) else { return };
        let receipt = &self.receipts[&case.lease];
        let Some(running) = self.jobs.get(&receipt.job) else { return };
        let customer = Party { account: running.job.customer, network: None };
        let parties = Parties::default().with(self.gpus[receipt.device].party).with(customer);
        let range = group_tiles(&running.job.needs(), &case.left).swap_remove(0);
        self.request(id, Whom::Checkers, range, parties);
    }

    /// `false` where there is nobody to ask.
    pub(crate) fn ask_witness(&mut self, id: CaseId) -> bool {
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

    pub(crate) fn ask_accused(&mut self, id: CaseId) {
        let Some(case) = self.cases.get(&id) else { return };
        let Some(open) = &case.dispute else { return };
        let (tile, parties) = (open.tile, open.dispute.parties().clone());
        let accused = self.gpus[self.receipts[&case.lease].device].id;
        self.request(id, Whom::Accused(accused), tile..tile + 1, parties);
    }

    /// A device has computed what it was asked to.
    pub(crate) fn on_rechecked(&mut self, index: usize, lease: LeaseId) {
        if self.core.is_recheck(self.gpus[index].id, lease) {
            self.core.on_recheck_answered(&mut self.link, lease, ANSWER);
        }
    }

    /// `answered`: who did, where anybody has.
    pub(crate) fn on_recheck_ended(&mut self, recheck: RecheckId, answered: Option<(Party, DeviceId)>) {
        let Some(id) = self.asked.remove(&recheck) else { return };
        let Some(case) = self.cases.get_mut(&id) else { return };
        let Some((whom, range)) = case.asked.take() else { return };
        let (lease, accused_run) = (case.lease, self.receipts[&case.lease].run);
        let accused = self.receipts[&lease].device;
        match (whom, answered) {
            (Whom::Checkers, Some((party, device))) => {
                case.judged.push((device, u64::from(range.end - range.start)));
                case.peer = Some((Answerer::Peer { party, device }, range));
            }
            (Whom::Checkers, None) => {}
            (Whom::Accused(_), None) => {
                if let Some(open) = &mut case.dispute {
                    open.dispute.on_accused(false);
                }
            }
            (Whom::Witness, None) => {
                if let Some(open) = &mut case.dispute {
                    open.dispute.on_silent_witness();
                }
            }
            (Whom::Witness | Whom::Accused(_), Some((party, device))) => {
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
                if matches!(whom, Whom::Accused(_)) {
                    open.dispute.on_accused(comparison.with_device);
                } else {
                    open.witnesses.push((device, comparison));
                    open.dispute.on_witness(party, comparison);
                }
            }
        }
        self.after(0, Event::Advance(id));
    }
}
