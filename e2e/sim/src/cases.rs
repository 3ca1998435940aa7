//! How a case begins, and how a dispute within it.

use rules::scheduling::recheck_request::Answerer;
use rules::verification::dispute::Dispute;
use wire::LeaseId;

use crate::case::{Case, CaseId, Cause, Open};
use crate::world::World;

impl World {
    /// Nothing is compared yet.
    pub(crate) fn open_case(&mut self, lease: LeaseId, cause: Cause, drawn: Vec<u32>) -> CaseId {
        let receipt = &self.receipts[&lease];
        let customer = self.jobs.get(&receipt.job).map(|running| running.job.customer);
        let is_own_work = customer == Some(self.gpus[receipt.device].party.account);
        self.numbers += 1;
        let id = self.numbers;
        let count = u32::try_from(drawn.len()).expect("a draw should be small");
        let (peer, asked, judged, dispute) = (None, None, Vec::new(), None);
        let case = Case { lease, cause, left: drawn, drawn: count, peer, asked, judged, dispute, is_own_work };
        self.cases.insert(id, case);
        id
    }

    pub(crate) fn open_dispute(
        &mut self,
        id: CaseId,
        tile: u32,
        (signed, found): (u64, u64),
        by: Answerer,
        left: Vec<u32>,
    ) {
        let Some(case) = self.cases.get_mut(&id) else { return };
        let receipt = &self.receipts[&case.lease];
        let Some(running) = self.jobs.get(&receipt.job) else { return };
        let dispute = Dispute::new(self.gpus[receipt.device].party, running.job.customer, by);
        case.left = left;
        case.dispute = Some(Open { tile, signed, found, dispute, witnesses: Vec::new() });
        self.tally.disputes += 1;
    }
}
