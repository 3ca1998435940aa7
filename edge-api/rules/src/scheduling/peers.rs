//! Which device is asked to recompute what others did.

use std::collections::{BTreeMap, BTreeSet};

use wire::{AccountId, DeviceId, JobId, Micros};

use super::device::Device;
use super::link::Link;
use super::recheck::{Draw, Found};
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

/// Devices, what they hold, those of them that wait, and those among which a judge is drawn: `None` is all.
pub(super) type Candidates<'a> = (
    &'a mut BTreeMap<DeviceId, Device>,
    &'a BTreeMap<DeviceId, Holding>,
    &'a mut BTreeSet<DeviceId>,
    Option<&'a BTreeSet<DeviceId>>,
);

/// Takes one ready credit of the device that is to answer.
pub(super) fn take_device(
    link: &mut impl Link,
    (devices, holdings, waiting, among): Candidates<'_>,
    needs: &Needs,
    request: &RecheckRequest,
    draw: &mut Draw,
    now: Micros,
) -> Found {
    let found = match request.whom {
        Whom::Accused(id) => Some(id),
        Whom::Checkers | Whom::Witness => {
            let may_answer = |id: &DeviceId, device: &Device| {
                let is_awake =
                    device.ready_credits > 0 || holdings.get(id).is_some_and(|holding| !holding.out.is_empty());
                let is_free = device.suspended_until <= now && !draw.has_returned(device.account, now);
                is_awake && is_free && may_judge(device, request.job.id, needs, &request.parties, now)
            };
            let still = |id: &DeviceId| devices.get(id).is_some_and(|device| may_answer(id, device));
            let drawn = draw.standing(now).filter(still).or_else(|| {
                let fitting = devices.iter().filter(|(id, device)| may_answer(id, device));
                let looked_at = fitting.filter(|(id, _)| among.is_none_or(|among| among.contains(id)));
                draw_judge(link, looked_at, needs, now)
            });
            draw.keep(drawn, now);
            drawn
        }
    };
    let Some((id, device)) = found.and_then(|id| Some((id, devices.get_mut(&id)?))) else { return Found::NotNow };
    if !waiting.contains(&id) {
        return Found::NotNow;
    }
    device.ready_credits -= 1;
    if device.ready_credits == 0 {
        waiting.remove(&id);
    }
    Found::Device { device: id, party: device.party() }
}

/// Drawn among all that may answer, also those that are busy, by their standing: no id is worth making, a thousand keys
/// weigh no more than the work that was verified of them, and whoever idles judges no more than others.
fn draw_judge<'a>(
    link: &mut impl Link,
    candidates: impl Iterator<Item = (&'a DeviceId, &'a Device)>,
    needs: &Needs,
    now: Micros,
) -> Option<DeviceId> {
    let fitting: Vec<(DeviceId, u64)> =
        candidates.map(|(id, device)| (*id, device.standings.of(needs.program, now).verified_kflop)).collect();
    let weight = fitting.iter().fold(0, |sum: u64, (_, weight)| sum.saturating_add(*weight));
    let mut drawn = if weight == 0 { 0 } else { link.draw_below(weight) };
    for (id, weight) in &fitting {
        if drawn < *weight {
            return Some(*id);
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
