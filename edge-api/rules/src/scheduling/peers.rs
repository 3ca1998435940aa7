//! Which device is asked to recompute what others did.

use std::collections::{BTreeMap, BTreeSet};

use wire::number::to;
use wire::{AccountId, DeviceId, JobId, Micros};

use super::device::Device;
use super::link::Link;
use super::recheck::{Found, Look, Returned};
use super::recheck_request::{RecheckRequest, Whom};
use super::state::Core;
use crate::job::Needs;
use crate::verification::party::{Parties, Party};

/// Questions that any device may be asked between two leases of its own, and how many times as many as all are on average.
const QUESTIONS_LEAST: u64 = 12;
const QUESTIONS_OVER_MEAN: u64 = 4;

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
    /// Those that wait for work.
    pub(super) waiting: &'a mut BTreeSet<DeviceId>,
    /// That all of them together were asked since each last did a lease.
    pub(super) questions: &'a mut u64,
    /// Those that may take more than when everybody was last looked at.
    pub(super) changed: &'a BTreeSet<DeviceId>,
}

impl Candidates<'_> {
    /// Finds who is to answer, and takes one of its ready credits. Who was asked a dozen times, and several times as often as
    /// others, is asked again once it has done a lease, so that whoever idles judges little more than who works; a request
    /// that finds nobody so goes to anybody after a while.
    pub(super) fn find(
        &mut self,
        link: &mut impl Link,
        (needs, request): (&Needs, &RecheckRequest),
        returned: &Returned,
        look: Look,
        now: Micros,
    ) -> Found {
        let mean = *self.questions / to::<u64>(self.devices.len()).max(1);
        let most = QUESTIONS_LEAST.saturating_add(QUESTIONS_OVER_MEAN.saturating_mul(mean));
        let may_answer = |id: &DeviceId| {
            let device = self.devices.get(id)?;
            let has_turn = look.is_late || device.questions < most;
            let is_free = device.takes(None, needs, now) && has_turn && !returned.includes(device.account, now);
            let may = is_free && may_judge(device, request.job.id, needs, &request.parties, now);
            may.then(|| (*id, device.standings.of(needs.program, now).verified_kflop))
        };
        let found = match request.whom {
            Whom::Accused(id) => self.waiting.contains(&id).then_some(id),
            Whom::Checkers | Whom::Witness => {
                let among = if look.is_tried { self.changed } else { &*self.waiting };
                let fitting = among.iter().filter_map(may_answer).collect();
                draw_judge(link, fitting)
            }
        };
        let Some((id, device)) = found.and_then(|id| Some((id, self.devices.get_mut(&id)?))) else {
            return Found::NotNow;
        };
        device.ready_credits -= 1;
        device.questions += 1;
        *self.questions += 1;
        if device.ready_credits == 0 {
            self.waiting.remove(&id);
        }
        Found::Device { device: id, party: device.party() }
    }
}

/// Drawn among all that may answer, by their standing: no id is worth making, and a thousand keys weigh no more than the
/// work that was verified of them.
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
