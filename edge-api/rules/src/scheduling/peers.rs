//! Which device is asked to recompute what others did.

use std::collections::{BTreeMap, BTreeSet};

use wire::number::to;
use wire::{AccountId, DeviceId, JobId, Micros};

use super::device::Device;
use super::judges::Judges;
use super::link::Link;
use super::recheck::{Found, Look};
use super::recheck_queue::Returned;
use super::recheck_request::{RecheckRequest, Whom};
use super::state::Core;
use super::steps::step;
use crate::job::Needs;
use crate::verification::party::{Parties, Party};

/// Questions that any device may be asked between two leases of its own, and how many times as many as all are on average.
const QUESTIONS_LEAST: u64 = 12;
const QUESTIONS_OVER_MEAN: u64 = 4;
/// How often one is drawn among all that judge, before those are looked for one by one that may judge this.
const DRAWS_MAX: usize = 16;

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
    /// Those of them that wait and whose word counts.
    pub(super) judges: &'a Judges,
    /// That all of them together were asked since each last did a lease.
    pub(super) questions: &'a mut u64,
    /// Those that may take more than when everybody was last looked at.
    pub(super) changed: &'a BTreeSet<DeviceId>,
    /// Those that were asked.
    pub(super) asked: BTreeSet<DeviceId>,
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
            step();
            self.devices.get(id).is_some_and(|device| {
                let has_turn = look.is_late || device.questions < most;
                let is_free = device.takes(None, needs, now) && has_turn && !returned.includes(device.account, now);
                is_free && may_judge(device, request.job.id, needs, &request.parties, now)
            })
        };
        let weight_of = |id: &DeviceId| self.devices[id].standings.of(needs.program, now).verified_kflop;
        let of_all = |ids: &mut dyn Iterator<Item = DeviceId>| {
            let fitting = ids.filter(may_answer).map(|id| (id, weight_of(&id)));
            fitting.collect::<BTreeMap<DeviceId, u64>>()
        };
        let found = match (request.whom, self.judges.of(needs.program)) {
            (Whom::Accused(id), _) => {
                self.devices.get(&id).is_some_and(|device| device.ready_credits > 0).then_some(id)
            }
            (Whom::Checkers | Whom::Witness, None) => None,
            (Whom::Checkers | Whom::Witness, Some(_)) if look.is_tried => {
                draw_judge(link, of_all(&mut self.changed.iter().copied()))
            }
            (Whom::Checkers | Whom::Witness, Some(judges)) => {
                let drawn = (0..DRAWS_MAX).find_map(|_| {
                    let total = judges.total();
                    let drawn = (total > 0).then(|| judges.find(link.draw_below(total))).flatten();
                    drawn.filter(may_answer)
                });
                drawn.or_else(|| draw_judge(link, of_all(&mut judges.devices())))
            }
        };
        let Some((id, device)) = found.and_then(|id| Some((id, self.devices.get_mut(&id)?))) else {
            return Found::NotNow;
        };
        device.ready_credits -= 1;
        device.questions += 1;
        *self.questions += 1;
        self.asked.insert(id);
        Found::Device { device: id, party: device.party(), would_take_more: device.ready_credits > 0 }
    }
}

/// Drawn among all that may answer, by their standing: no id is worth making, and a thousand keys weigh no more than the
/// work that was verified of them.
fn draw_judge(link: &mut impl Link, fitting: BTreeMap<DeviceId, u64>) -> Option<DeviceId> {
    let weight = fitting.values().fold(0, |sum: u64, weight| sum.saturating_add(*weight));
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
