//! What the core says, kept until the world acts on it.

use rules::Job;
use rules::scheduling::link::{Grant, Link};
use rules::scheduling::recheck_request::{Answered, Answerer, RecheckError, RecheckId};
use rules::verification::party::Party;
use wire::{DeviceId, JobId, LeaseId, Micros};

pub(crate) enum Said {
    Granted {
        device: DeviceId,
        job: JobId,
        grant: Grant,
    },
    Revoked {
        lease: LeaseId,
    },
    /// And by whom, if by anybody.
    Rechecked {
        id: RecheckId,
        answered: Option<(Party, DeviceId)>,
    },
}

pub(crate) struct Outbox {
    pub said: Vec<Said>,
    pub rng: fastrand::Rng,
    leases: u128,
}

impl Outbox {
    pub(crate) fn new(seed: u64) -> Self {
        Self { said: Vec::new(), rng: fastrand::Rng::with_seed(seed), leases: 0 }
    }
}

impl Link for Outbox {
    fn lease_id(&mut self) -> LeaseId {
        self.leases += 1;
        LeaseId(self.leases.to_be_bytes())
    }

    fn draw_below(&mut self, bound: u64) -> u64 {
        self.rng.u64(0..bound)
    }

    fn grant(&mut self, device: DeviceId, job: &Job, grant: Grant, _now: Micros) {
        self.said.push(Said::Granted { device, job: job.id, grant });
    }

    fn revoke(&mut self, _device: DeviceId, lease: LeaseId) {
        self.said.push(Said::Revoked { lease });
    }

    fn end_recheck(&mut self, id: RecheckId, outcome: Result<Answered, RecheckError>) {
        let answered = match outcome {
            Ok(Answered { by: Answerer::Peer { party, device }, .. }) => Some((party, device)),
            Ok(Answered { by: Answerer::Checker, .. }) | Err(_) => None,
        };
        self.said.push(Said::Rechecked { id, answered });
    }

    fn report_undone(&mut self, _job: JobId, _tile: u64) {}

    fn report_checker_failure(&mut self, _checker: DeviceId, _job: JobId) {}
}
