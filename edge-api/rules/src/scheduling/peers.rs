//! Which device is asked to recompute what others did.

use std::collections::{BTreeMap, BTreeSet};

use wire::number::to;
use wire::{AccountId, DeviceId, JobId, Micros};

use super::device::Device;
use super::link::Link;
use super::recheck::Found;
use super::recheck_request::{RecheckRequest, Whom};
use crate::job::Needs;

/// Takes one ready credit of a device that may answer: drawn among all that may, so that no id is worth making.
pub(super) fn take_device(
    link: &mut impl Link,
    devices: &mut BTreeMap<DeviceId, Device>,
    needs: &Needs,
    request: &RecheckRequest,
    has_checkers: bool,
    now: Micros,
) -> Found {
    let id = match request.whom {
        Whom::Accused(id) => match devices.get(&id) {
            Some(device) if device.ready_credits > 0 => id,
            Some(_) => return Found::NotNow,
            None => return Found::Gone,
        },
        Whom::Checkers | Whom::Witness => {
            let may_answer = |device: &Device| {
                may_witness(device, request.job.id, needs, &request.excluded_accounts, has_checkers)
                    && device.takes(None, needs, now)
            };
            let fitting: Vec<DeviceId> =
                devices.iter().filter(|(_, device)| may_answer(device)).map(|(id, _)| *id).collect();
            if fitting.is_empty() {
                return Found::NotNow;
            }
            fitting[to::<usize>(link.draw_below(to(fitting.len())))]
        }
    };
    let Some(device) = devices.get_mut(&id) else { return Found::Gone };
    device.ready_credits -= 1;
    Found::Device { device: id, account: device.account }
}

/// Whether a device's word on others' work counts. Where there are no checkers all are strangers to each other; else a
/// witness must have shown what it can.
pub(super) fn may_witness(
    device: &Device,
    job: JobId,
    needs: &Needs,
    excluded: &BTreeSet<AccountId>,
    has_checkers: bool,
) -> bool {
    let is_known = !has_checkers || device.standing.is_established();
    let can = device.fits(None, needs) && !device.unfit_for.contains(&job);
    can && is_known && !excluded.contains(&device.account)
}
