//! A device says that a tile of its lease runs out of fuel, which none does.

use rules::scheduling::recheck_request::{RecheckId, Whom};
use rules::verification::fault::{FaultCase, Next, Outcome, Said};
use rules::verification::party::Party;
use wire::{DeviceId, JobId, LeaseId, Micros};

use crate::case::OpenFault;
use crate::cheat::Kind;
use crate::world::{Event, SECOND, World};

/// Time for others to say whether it does.
const CONFIRM_WITHIN: Micros = 600 * SECOND;

impl World {
    pub(crate) fn report_fault(&mut self, gpu: usize, (job, tile): (JobId, u64), lease: LeaseId) {
        if self.core.on_commit(self.now, self.gpus[gpu].id, lease).is_err() {
            return;
        }
        let Some(running) = self.jobs.get(&job) else { return };
        let case = FaultCase::new(self.gpus[gpu].party, running.job.customer);
        self.faults.insert(lease, OpenFault { gpu, job, tile, case, asked: None, finished: Vec::new() });
        self.after(CONFIRM_WITHIN, Event::FaultTimesOut(lease));
        self.advance_fault(lease);
    }

    /// Goes on until somebody has to be waited for, or it is decided.
    pub(crate) fn advance_fault(&mut self, lease: LeaseId) {
        while let Some(open) = self.faults.get_mut(&lease) {
            match open.case.next() {
                Next::Decided(outcome) => return self.end_fault(lease, outcome),
                Next::AskWhoeverChecks if self.settings.has_checkers => open.case.on_checker(true),
                Next::AskWhoeverChecks => return self.ask_of_fault(lease, Whom::Checkers),
                Next::AskWitness => {
                    let parties = open.case.parties().clone();
                    let job = self.jobs.get(&open.job).map(|running| &running.job);
                    if job.is_some_and(|job| self.core.has_witness(job.id, &job.needs(), &parties, self.now)) {
                        return self.ask_of_fault(lease, Whom::Witness);
                    }
                    open.case.on_witness(None);
                }
            }
        }
    }

    fn ask_of_fault(&mut self, lease: LeaseId, whom: Whom) {
        let Some(open) = self.faults.get(&lease) else { return };
        let (job, tile, parties) = (open.job, open.tile, open.case.parties().clone());
        let Some(asked) = self.put_request(job, tile..tile + 1, whom, parties) else { return };
        if let Some(open) = self.faults.get_mut(&lease) {
            open.asked = Some((asked, whom));
        }
        self.asked_of_faults.insert(asked, lease);
    }

    /// `true` where the request was one about a fault.
    pub(crate) fn on_fault_answered(&mut self, recheck: RecheckId, answered: Option<(Party, DeviceId)>) -> bool {
        let Some(lease) = self.asked_of_faults.remove(&recheck) else { return false };
        let Some(open) = self.faults.get(&lease) else { return true };
        let (gpu, job, tile) = (open.gpu, open.job, open.tile);
        let said = answered.map(|(party, device)| (party, device, self.say_of_fault(gpu, device, (job, tile))));
        let Some(open) = self.faults.get_mut(&lease) else { return true };
        let Some((_, whom)) = open.asked.take() else { return true };
        match (whom, said) {
            (Whom::Witness, said) => {
                open.case
                    .on_witness(said.map(|(.., value)| value.map_or(Said::RanDry, |_| Said::Finished { like: None })));
            }
            (_, Some((party, device, value))) => {
                let said = match value {
                    None => Said::RanDry,
                    Some(value) => {
                        let like = open.finished.iter().find(|(_, before)| *before == value).map(|(before, _)| *before);
                        open.finished.push((device, value));
                        Said::Finished { like }
                    }
                };
                open.case.on_device(party, device, said);
            }
            (_, None) => {}
        }
        self.after(0, Event::AdvanceFault(lease));
        true
    }

    /// What a device answers; `None`: that it runs dry, too. Those who lie so vouch for each other.
    fn say_of_fault(&mut self, reporter: usize, device: DeviceId, (job, tile): (JobId, u64)) -> Option<u64> {
        let index = self.by_id[&device];
        let vouches = self.gpus[index].kind == Kind::FalseFaults && self.gpus[reporter].kind == Kind::FalseFaults;
        (!vouches).then(|| self.value(index, job, tile, None))
    }

    /// Nobody could say in time.
    pub(crate) fn time_fault_out(&mut self, lease: LeaseId) {
        if let Some(open) = self.faults.remove(&lease) {
            if let Some((asked, _)) = open.asked {
                self.core.on_recheck_cancelled(asked);
                self.asked_of_faults.remove(&asked);
            }
            self.core.on_fault_unclear(&mut self.link, self.now, lease);
        }
    }

    fn end_fault(&mut self, lease: LeaseId, outcome: Outcome) {
        let Some(OpenFault { gpu, job, case, .. }) = self.faults.remove(&lease) else { return };
        for judge in case.judges() {
            self.pay_for_dispute(*judge);
        }
        match outcome {
            Outcome::Confirmed => {
                self.tally.ended_by_false_faults += 1;
                self.end_job(job);
                self.close_if_done(job);
            }
            Outcome::Finished => {
                self.gpus[gpu].record.blamed += 1;
                self.suspend(gpu);
                self.core.on_fault_unclear(&mut self.link, self.now, lease);
            }
            Outcome::OfBackend => self.core.on_fault_of_backend(&mut self.link, self.now, lease),
        }
    }
}
