//! Tiles that this server's processor cannot recompute, put to devices: to the operator's checkers where
//! there are any, else to a device that has standing and nothing to do with it. A request waits for a device, and goes to
//! the next one when a device is lost, or gives it back.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use wire::{AccountId, DeviceId, LeaseId, Micros};

use super::line::time_to_fetch;
use super::link::{Grant, Link};
use super::recheck_request::{Answer, Answered, Answerer, RecheckError, RecheckId, RecheckRequest, Whom};
use crate::job::{Job, Needs};
use crate::verification::party::{Parties, Party};

/// Time for a request beside what it takes, in microseconds; then it is put to somebody else: for the operator's checkers, for
/// others, and for the accused in a dispute, who may end what it has in hand.
const CHECKER_WITHIN: Micros = 120_000_000;
const PEER_WITHIN: Micros = 60_000_000;
const ACCUSED_WITHIN: Micros = 180_000_000;
/// What a slow device computes in a microsecond.
const FLOPS_A_MICRO: u64 = 10_000;
/// Before a checker is asked again what it gave back, in microseconds.
const RETRY_AFTER: Micros = 30_000_000;
/// Tiles, operations, and bytes in and out of one request, unless one tile has more.
const TILES_MAX: u64 = 64;
const FLOPS_MAX: u64 = 2_000_000_000_000;
const BYTES_MAX: u64 = 32 << 20;
/// A request that waited for so long goes to devices, too, that have judged since they last did a lease.
const LATE_AFTER: Micros = 1_000_000;
/// Before a device is asked again what it gave back, or was lost over.
const ASK_AGAIN: Micros = 300_000_000;
/// Accounts, each on a network of its own, whose devices may give a request back, or be lost over it, before it is given up.
const PARTIES_MAX: usize = 8;
/// How often devices may, whosever they are: by then all that are connected have been asked.
const RETURNS_MAX: usize = 64;
/// How often checkers may.
const CHECKER_RETURNS_MAX: usize = 20;
/// Requests that a checker may hold.
const READY_CREDITS_MAX: usize = 2;

/// What fetching and computing so many tiles takes a slow device on a slow line, in microseconds.
pub fn time_to_answer(needs: &Needs, tiles: u64) -> Micros {
    let bytes = needs.code_bytes.saturating_add(tiles.saturating_mul(needs.tile_bytes));
    let computing: Micros = wire::number::to(tiles.saturating_mul(needs.tile_flops) / FLOPS_A_MICRO);
    time_to_fetch(bytes).saturating_add(computing)
}

/// Tiles as ranges for one request each: those side by side go together, as far as one request may hold them.
pub fn group_tiles(needs: &Needs, tiles: &[u32]) -> Vec<Range<u32>> {
    let most = TILES_MAX.min(FLOPS_MAX / needs.tile_flops.max(1)).min(BYTES_MAX / needs.tile_bytes.max(1)).max(1);
    let mut groups: Vec<Range<u32>> = Vec::new();
    for &tile in tiles {
        match groups.last_mut() {
            Some(last) if last.end == tile && u64::from(last.end - last.start) < most => last.end += 1,
            _ => groups.push(tile..tile + 1),
        }
    }
    groups
}

#[derive(Debug)]
struct Recheck {
    id: RecheckId,
    request: RecheckRequest,
    needs: Needs,
    /// Nobody waits for it any more.
    is_cancelled: bool,
    /// Every device that waits was looked at for it.
    is_tried: bool,
    returned: Returned,
    /// When it began to wait.
    since: Micros,
    /// Checkers that could not do it, and when they may be asked again.
    returned_by: BTreeMap<DeviceId, Micros>,
}

/// Who gave a request back, or was lost over it.
#[derive(Debug, Default)]
pub(super) struct Returned {
    /// Accounts, and until when they are not asked again.
    until: BTreeMap<AccountId, Micros>,
    /// How many they are that have nothing to do with each other.
    parties: Parties,
    count: usize,
    returns: usize,
    by_checkers: usize,
}

impl Returned {
    pub(super) fn includes(&self, account: AccountId, now: Micros) -> bool {
        self.until.get(&account).is_some_and(|until| *until > now)
    }

    fn add(&mut self, by: Answerer, now: Micros) {
        let Answerer::Peer { party, .. } = by else {
            self.by_checkers += 1;
            return;
        };
        self.until.insert(party.account, now + ASK_AGAIN);
        self.returns += 1;
        if !self.parties.include(party) {
            self.parties.add(party);
            self.count += 1;
        }
    }

    fn is_enough(&self) -> bool {
        self.count >= PARTIES_MAX || self.returns >= RETURNS_MAX || self.by_checkers >= CHECKER_RETURNS_MAX
    }
}

/// Among whom a device is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Every device that waits was looked at for it: only those are that changed since.
    pub(super) is_tried: bool,
    /// It has waited for long.
    pub(super) is_late: bool,
}

#[derive(Debug)]
struct Assigned {
    device: DeviceId,
    by: Answerer,
    until: Micros,
    recheck: Recheck,
}

/// A device for a request.
pub(super) enum Found {
    Device {
        device: DeviceId,
        party: Party,
    },
    /// None that fits would take it now.
    NotNow,
}

#[derive(Debug)]
struct Checker {
    buffer_bytes_max: u64,
    ready_credits: usize,
}

impl Checker {
    fn fits(&self, recheck: &Recheck) -> bool {
        self.buffer_bytes_max >= recheck.needs.device_bytes
    }
}

/// Requests that wait or are with a device, and the operator's checkers.
#[derive(Debug, Default)]
pub(super) struct Rechecks {
    /// Those connected.
    checkers: BTreeMap<DeviceId, Checker>,
    waiting: VecDeque<Recheck>,
    assigned: BTreeMap<LeaseId, Assigned>,
}

impl Rechecks {
    pub(super) fn checkers(&self) -> usize {
        self.checkers.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn assigned(&self) -> usize {
        self.assigned.len()
    }

    pub(super) fn add_checker(&mut self, device: DeviceId, buffer_bytes_max: u64) {
        self.checkers.insert(device, Checker { buffer_bytes_max, ready_credits: 0 });
        // It may have been started anew, with another backend.
        self.waiting.iter_mut().for_each(|recheck| {
            recheck.returned_by.remove(&device);
        });
    }

    pub(super) fn is_checker(&self, device: DeviceId) -> bool {
        self.checkers.contains_key(&device)
    }

    /// Whether some connected checker has buffers of so many bytes; `None` while none is connected.
    pub(super) fn has_fitting_checker(&self, device_bytes: u64) -> Option<bool> {
        let mut connected = self.checkers.values().peekable();
        connected.peek()?;
        Some(connected.any(|checker| checker.buffer_bytes_max >= device_bytes))
    }

    pub(super) fn add_ready_credit(&mut self, checker: DeviceId) {
        if let Some(checker) = self.checkers.get_mut(&checker) {
            checker.ready_credits = (checker.ready_credits + 1).min(READY_CREDITS_MAX);
        }
    }

    pub(super) fn rest(&mut self, checker: DeviceId) {
        if let Some(checker) = self.checkers.get_mut(&checker) {
            checker.ready_credits = 0;
        }
    }

    pub(super) fn push(&mut self, now: Micros, id: RecheckId, request: RecheckRequest) {
        let needs = request.job.needs();
        let returned_by = BTreeMap::new();
        self.waiting.push_back(Recheck {
            id,
            request,
            needs,
            is_cancelled: false,
            is_tried: false,
            returned: Returned::default(),
            since: now,
            returned_by,
        });
    }

    pub(super) fn cancel(&mut self, id: RecheckId) {
        self.waiting.retain(|recheck| recheck.id != id);
        // A device that has it may still answer; nobody listens.
        let assigned = self.assigned.values_mut().filter(|assigned| assigned.recheck.id == id);
        assigned.for_each(|assigned| assigned.recheck.is_cancelled = true);
    }

    /// Whether the lease is a request put to this device.
    pub(super) fn is_assigned(&self, device: DeviceId, lease: LeaseId) -> bool {
        self.assigned.get(&lease).is_some_and(|assigned| assigned.device == device)
    }

    /// The size of the answer to a request.
    pub(super) fn output_bytes(&self, lease: LeaseId) -> Option<u64> {
        let request = &self.assigned.get(&lease)?.recheck.request;
        Some(request.job.tiles(request.tiles.clone()).output_bytes())
    }

    /// The job and the first tile of a request that this device has.
    pub(super) fn request_of(&self, device: DeviceId, lease: LeaseId) -> Option<(Arc<Job>, u64)> {
        let assigned = self.assigned.get(&lease).filter(|assigned| assigned.device == device)?;
        let request = &assigned.recheck.request;
        Some((Arc::clone(&request.job), request.tiles.start))
    }

    pub(super) fn answer(&mut self, link: &mut impl Link, lease: LeaseId, answer: Answer) {
        let Some(Assigned { by, recheck, .. }) = self.assigned.remove(&lease) else { return };
        if !recheck.is_cancelled {
            link.end_recheck(recheck.id, Ok(Answered { by, answer }));
        }
    }

    /// The device is gone: its requests go to others.
    pub(super) fn remove_device(&mut self, link: &mut impl Link, now: Micros, device: DeviceId) {
        self.checkers.remove(&device);
        let _gone = self.take_back(link, now, |assigned| assigned.device == device);
        self.waiting.retain(|recheck| {
            let is_for_it = recheck.request.whom == Whom::Accused(device);
            if is_for_it {
                link.end_recheck(recheck.id, Err(RecheckError::GivenUp));
            }
            !is_for_it
        });
    }

    /// Takes requests back from devices that sit on them, and returns those that are not checkers.
    pub(super) fn expire(&mut self, link: &mut impl Link, now: Micros) -> Vec<DeviceId> {
        // Who may judge changes with time, too.
        self.waiting.iter_mut().for_each(|recheck| recheck.is_tried = false);
        self.take_back(link, now, |assigned| assigned.until <= now)
    }

    fn take_back(&mut self, link: &mut impl Link, now: Micros, which: impl Fn(&Assigned) -> bool) -> Vec<DeviceId> {
        let leases: Vec<LeaseId> =
            self.assigned.iter().filter(|(_, assigned)| which(assigned)).map(|(id, _)| *id).collect();
        leases.into_iter().filter_map(|lease| self.take_back_one(link, now, lease)).collect()
    }

    /// Returns the device that had the request, unless it is a checker or nobody waits for the request any more.
    pub(super) fn take_back_one(&mut self, link: &mut impl Link, now: Micros, lease: LeaseId) -> Option<DeviceId> {
        let Assigned { device, by, mut recheck, .. } = self.assigned.remove(&lease)?;
        recheck.is_tried = false;
        if recheck.is_cancelled {
            return None;
        }
        recheck.returned.add(by, now);
        // It is not merely gone.
        if by == Answerer::Checker && self.is_checker(device) {
            link.report_checker_failure(device, recheck.request.job.id);
            recheck.returned_by.insert(device, now + RETRY_AFTER);
        }
        let is_for_others = !matches!(recheck.request.whom, Whom::Accused(_));
        if is_for_others && !recheck.returned.is_enough() {
            // Others first, where a checker broke over it.
            if by == Answerer::Checker { self.waiting.push_back(recheck) } else { self.waiting.push_front(recheck) }
        } else {
            // The server does it itself where it can.
            let error = if recheck.request.has_fallback { RecheckError::NoChecker } else { RecheckError::GivenUp };
            link.end_recheck(recheck.id, Err(error));
        }
        (by != Answerer::Checker).then_some(device)
    }

    /// Puts waiting requests to the operator's checkers.
    pub(super) fn assign_to_checkers(&mut self, link: &mut impl Link, now: Micros) {
        for recheck in std::mem::take(&mut self.waiting) {
            if recheck.request.whom != Whom::Checkers {
                self.waiting.push_back(recheck);
                continue;
            }
            if recheck.request.has_fallback && self.is_hopeless(&recheck) {
                link.end_recheck(recheck.id, Err(RecheckError::NoChecker));
                continue;
            }
            match self.take_checker(&recheck, now) {
                Some(device) => self.assign(link, now, device, Answerer::Checker, recheck),
                None => self.waiting.push_back(recheck),
            }
        }
    }

    /// Puts waiting requests to devices that `find` finds. `has_checkers`: those for checkers are left to them.
    pub(super) fn assign_to_devices<L: Link>(
        &mut self,
        link: &mut L,
        now: Micros,
        has_checkers: bool,
        mut find: impl FnMut(&mut L, (&Needs, &RecheckRequest), &Returned, Look) -> Found,
    ) {
        let mut at = 0;
        while let Some(recheck) = self.waiting.get_mut(at) {
            if has_checkers && recheck.request.whom == Whom::Checkers {
                at += 1;
                continue;
            }
            let is_tried = std::mem::replace(&mut recheck.is_tried, true);
            let look = Look { is_tried, is_late: now - recheck.since >= LATE_AFTER };
            match find(link, (&recheck.needs, &recheck.request), &recheck.returned, look) {
                Found::Device { device, party } => {
                    if let Some(recheck) = self.waiting.remove(at) {
                        self.assign(link, now, device, Answerer::Peer { party, device }, recheck);
                    }
                }
                Found::NotNow => at += 1,
            }
        }
    }

    fn assign(&mut self, link: &mut impl Link, now: Micros, device: DeviceId, by: Answerer, recheck: Recheck) {
        let RecheckRequest { tiles, nudge, whom, .. } = &recheck.request;
        let patience = match (whom, by) {
            (Whom::Accused(_), _) => ACCUSED_WITHIN,
            (_, Answerer::Checker) => CHECKER_WITHIN,
            (_, Answerer::Peer { .. }) => PEER_WITHIN,
        };
        // It may have another one before it.
        let times = if nudge.is_some() { 2 } else { 1 };
        let taking = time_to_answer(&recheck.needs, tiles.end - tiles.start).saturating_mul(times);
        let (lease, until) = (link.lease_id(), now.saturating_add(patience).saturating_add(taking));
        let grant = Grant { lease, slice: None, tiles: tiles.clone(), deadline: until, nudge: *nudge };
        link.grant(device, &recheck.request.job, grant, now);
        self.assigned.insert(lease, Assigned { device, by, until, recheck });
    }

    /// A checker that takes this request now.
    fn take_checker(&mut self, recheck: &Recheck, now: Micros) -> Option<DeviceId> {
        let takes = |(id, checker): &(&DeviceId, &mut Checker)| {
            let may_again = recheck.returned_by.get(*id).is_none_or(|again| *again <= now);
            checker.ready_credits > 0 && may_again && checker.fits(recheck)
        };
        let (id, checker) = self.checkers.iter_mut().find(takes)?;
        checker.ready_credits -= 1;
        Some(*id)
    }

    /// Whether no connected checker can take this request, though some are connected.
    fn is_hopeless(&self, recheck: &Recheck) -> bool {
        let can = |(id, checker): (&DeviceId, &Checker)| checker.fits(recheck) && !recheck.returned_by.contains_key(id);
        !self.checkers.is_empty() && !self.checkers.iter().any(can)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduling::tests::open_job;

    #[test]
    fn tiles_side_by_side_are_one_request_as_far_as_it_holds_them() {
        let needs = |tile_flops, tile_bytes| Needs { tile_flops, tile_bytes, ..open_job().needs() };
        let all: Vec<u32> = (0..70).collect();

        assert_eq!(group_tiles(&needs(1, 1), &[0, 1, 2, 5, 7, 8]), [0..3, 5..6, 7..9]);
        assert_eq!(group_tiles(&needs(1, 1), &all), [0..64, 64..70]);
        assert_eq!(group_tiles(&needs(FLOPS_MAX / 40, 1), &all), [0..40, 40..70]);
        assert_eq!(group_tiles(&needs(1, BYTES_MAX / 40), &all), [0..40, 40..70]);
        assert_eq!(
            group_tiles(&needs(FLOPS_MAX * 2, BYTES_MAX * 2), &[3, 4]),
            [3..4, 4..5],
            "one tile goes whatever it has"
        );
        assert_eq!(group_tiles(&needs(0, 0), &[]), []);
    }
}
