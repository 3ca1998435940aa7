//! Which device is asked to recompute what others did.

use std::collections::{BTreeMap, BTreeSet};

use wire::{AccountId, DeviceId, JobId, Micros};

use super::device::Device;
use super::link::Link;
use super::recheck::Found;
use super::recheck_request::{RecheckRequest, Whom};
use super::state::Core;
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

/// Devices, those of them that wait, and those of the waiting that are looked at: `None` is all.
pub(super) type Candidates<'a> =
    (&'a mut BTreeMap<DeviceId, Device>, &'a mut BTreeSet<DeviceId>, Option<&'a BTreeSet<DeviceId>>);

/// Takes one ready credit of a device that may answer.
pub(super) fn take_device(
    link: &mut impl Link,
    (devices, waiting, among): Candidates<'_>,
    needs: &Needs,
    request: &RecheckRequest,
    now: Micros,
) -> Found {
    let found = match request.whom {
        Whom::Accused(id) => waiting.contains(&id).then_some(id),
        Whom::Checkers | Whom::Witness => {
            let among = among.unwrap_or(waiting);
            let candidates = among.iter().filter_map(|id| Some((*id, devices.get(id)?)));
            draw_judge(link, candidates, needs, request, now)
        }
    };
    let Some((id, device)) = found.and_then(|id| Some((id, devices.get_mut(&id)?))) else { return Found::NotNow };
    device.ready_credits -= 1;
    if device.ready_credits == 0 {
        waiting.remove(&id);
    }
    Found::Device { device: id, party: device.party() }
}

/// Drawn among all that may answer, by their standing: no id is worth making, and a thousand keys weigh no more than
/// the work that was verified of them.
fn draw_judge<'a>(
    link: &mut impl Link,
    candidates: impl Iterator<Item = (DeviceId, &'a Device)>,
    needs: &Needs,
    request: &RecheckRequest,
    now: Micros,
) -> Option<DeviceId> {
    let may_answer = |device: &Device| {
        may_judge(device, request.job.id, needs, &request.parties, now) && device.takes(None, needs, now)
    };
    let fitting: Vec<(DeviceId, u64)> = candidates
        .filter(|(_, device)| may_answer(device))
        .map(|(id, device)| (id, device.standings.of(needs.program, now).verified_kflop))
        .collect();
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
