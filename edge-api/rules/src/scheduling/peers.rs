//! Which device is asked to recompute what others did.

use std::collections::{BTreeMap, BTreeSet};

use wire::{AccountId, DeviceId, JobId, Micros};

use super::device::Device;
use super::known::Known;
use super::link::Link;
use super::recheck::{Candidate, Found, Returned};
use super::recheck_request::{RecheckRequest, Whom};
use super::state::{Core, Holding};
use crate::job::Needs;
use crate::verification::party::{Parties, Party};

impl Core {
    /// Whether some device here could be a witness, now or when it is done with what it does.
    pub fn has_witness(&self, job: JobId, needs: &Needs, parties: &Parties, now: Micros) -> bool {
        self.devices.values().any(|device| device.suspended_until <= now && may_judge(device, job, needs, parties, now))
    }

    /// Accounts, other than the customer's, whose devices here may recompute such a job's tiles.
    pub fn count_judges(&self, job: JobId, needs: &Needs, now: Micros) -> usize {
        let parties = Parties::default().with(Party { account: needs.customer, network: None });
        let judges = self.devices.values().filter(|device| may_judge(device, job, needs, &parties, now));
        judges.map(|device| device.account).collect::<BTreeSet<AccountId>>().len()
    }
}

/// Devices, as far as finding one that answers needs them.
pub(super) struct Candidates<'a> {
    pub(super) devices: &'a mut BTreeMap<DeviceId, Device>,
    pub(super) holdings: &'a BTreeMap<DeviceId, Holding>,
    /// Those that wait for work.
    pub(super) waiting: &'a mut BTreeSet<DeviceId>,
    /// Those that others have verified work of.
    pub(super) known: &'a Known,
    /// Those that may take more than when everybody was last looked at.
    pub(super) changed: &'a BTreeSet<DeviceId>,
}

impl Candidates<'_> {
    /// Finds who is to answer, and takes one of its ready credits where it has one.
    pub(super) fn find(
        &mut self,
        link: &mut impl Link,
        (needs, request): (&Needs, &RecheckRequest),
        returned: &Returned,
        candidate: Candidate,
        now: Micros,
    ) -> Found {
        let may_answer = |id: &DeviceId| {
            let device = self.devices.get(id)?;
            let is_out = || self.holdings.get(id).is_some_and(|holding| !holding.out.is_empty());
            let is_awake = device.ready_credits > 0 || is_out();
            let is_free = device.suspended_until <= now && !returned.includes(device.account, now);
            let may = is_awake && is_free && may_judge(device, request.job.id, needs, &request.parties, now);
            may.then(|| (*id, device.standings.of(needs.program, now).verified_kflop))
        };
        let found = match (request.whom, candidate) {
            (Whom::Accused(id), _) => self.waiting.contains(&id).then_some(id),
            (_, Candidate::Drawn(id)) => may_answer(&id).map(|(id, _)| id),
            (_, Candidate::Any { is_tried: true }) => {
                let fitting = self.changed.iter().filter_map(may_answer).collect();
                draw_judge(link, fitting)
            }
            (_, Candidate::Any { is_tried: false }) => {
                let fitting = self.known.sample(link).iter().filter_map(may_answer).collect();
                draw_judge(link, fitting)
            }
        };
        let Some(id) = found else { return Found::NotNow };
        let Some(device) = self.devices.get_mut(&id).filter(|_| self.waiting.contains(&id)) else {
            return Found::Busy(id);
        };
        device.ready_credits -= 1;
        if device.ready_credits == 0 {
            self.waiting.remove(&id);
        }
        Found::Device { device: id, party: device.party() }
    }
}

/// Drawn among all that may answer, also those that are busy, by their standing: no id is worth making, a thousand keys
/// weigh no more than the work that was verified of them, and whoever idles judges no more than others.
fn draw_judge(link: &mut impl Link, fitting: Vec<(DeviceId, u64)>) -> Option<DeviceId> {
    let weight = fitting.iter().fold(0, |sum: u64, (_, weight)| sum.saturating_add(*weight));
    let mut drawn = if weight == 0 { 0 } else { link.draw_below(weight) };
    for (id, weight) in fitting {
        if drawn < weight {
            return Some(id);
        }
        drawn -= weight;
    }
    None
}

/// Whether a device's word on others' work counts: it has shown what it can and has that to lose, its account is no
/// guest's, and it has no part in the question.
fn may_judge(device: &Device, job: JobId, needs: &Needs, parties: &Parties, now: Micros) -> bool {
    let can = device.fits(None, needs) && !device.unfit_for.contains(&job);
    let has_standing = !device.is_guest && device.standings.of(needs.program, now).may_judge();
    can && has_standing && !parties.include(device.party())
}
