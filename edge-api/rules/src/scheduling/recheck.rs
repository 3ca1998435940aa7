//! Tiles that this server's processor cannot recompute, put to devices: to the operator's checkers where
//! there are any, else to a device that has standing and nothing to do with it. A request waits for a device, and goes to
//! the next one when a device is lost, or gives it back.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use wire::{DeviceId, LeaseId, Micros};

use super::line::time_to_fetch;
use super::link::{Grant, Link};
use super::recheck_queue::{Place, Queue, Recheck, Returned};
use super::recheck_request::{Answer, Answered, Answerer, RecheckError, RecheckId, RecheckRequest, Whom};
use super::steps::step;
use crate::job::{Job, Needs};
use crate::verification::party::Party;

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
/// How often everybody that waits is looked at for every request that waits.
const LOOK_EVERY: Micros = 500_000;
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
        /// It waits on, for another.
        would_take_more: bool,
    },
    /// None that fits would take it now.
    NotNow,
}

/// Devices that may answer more than when everybody was last looked at, each with the programs that it judges.
pub(super) type Changed = BTreeMap<DeviceId, Vec<String>>;

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
    /// Those of them that would take a request.
    ready: BTreeSet<DeviceId>,
    /// One of them may take a request that it could not when all were last looked at.
    is_any_changed: bool,
    waiting: Queue,
    assigned: BTreeMap<LeaseId, Assigned>,
    assigned_to: BTreeSet<(DeviceId, LeaseId)>,
    assigned_as: BTreeMap<RecheckId, LeaseId>,
    /// The next to run out first.
    untils: BTreeSet<(Micros, LeaseId)>,
    /// When everybody is looked at once more, whatever has changed.
    look_again_at: Micros,
}

impl Rechecks {
    pub(super) fn new(has_checkers: bool) -> Self {
        Self { waiting: Queue::new(has_checkers), ..Self::default() }
    }

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
        self.waiting.forgive_checker(device);
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

    pub(super) fn add_ready_credit(&mut self, id: DeviceId) {
        if let Some(checker) = self.checkers.get_mut(&id) {
            checker.ready_credits = (checker.ready_credits + 1).min(READY_CREDITS_MAX);
            self.ready.insert(id);
            self.is_any_changed = true;
        }
    }

    pub(super) fn rest(&mut self, id: DeviceId) {
        if let Some(checker) = self.checkers.get_mut(&id) {
            checker.ready_credits = 0;
            self.ready.remove(&id);
        }
    }

    pub(super) fn push(&mut self, now: Micros, id: RecheckId, request: RecheckRequest) {
        let needs = request.job.needs();
        let (returned, returned_by) = (Returned::default(), BTreeMap::new());
        self.waiting.push_back(Recheck { id, request, needs, is_cancelled: false, returned, since: now, returned_by });
    }

    pub(super) fn cancel(&mut self, id: RecheckId) {
        let _waited = self.waiting.remove_request(id);
        // A device that has it may still answer; nobody listens.
        if let Some(assigned) = self.assigned_as.get(&id).and_then(|lease| self.assigned.get_mut(lease)) {
            assigned.recheck.is_cancelled = true;
        }
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
        let Some(Assigned { by, recheck, .. }) = self.take_assigned(lease) else { return };
        if !recheck.is_cancelled {
            link.end_recheck(recheck.id, Ok(Answered { by, answer }));
        }
    }

    /// The device is gone: its requests go to others.
    pub(super) fn remove_device(&mut self, link: &mut impl Link, now: Micros, device: DeviceId) {
        self.ready.remove(&device);
        if self.checkers.remove(&device).is_some() {
            // Perhaps it was the last one that some request was for.
            self.waiting.try_all();
        }
        let of_device = self.assigned_to.range((device, LeaseId([0; 16]))..=(device, LeaseId([u8::MAX; 16])));
        for lease in of_device.map(|(_, lease)| *lease).collect::<Vec<_>>() {
            self.take_back_one(link, now, lease);
        }
        for recheck in self.waiting.remove_of_accused(device) {
            link.end_recheck(recheck.id, Err(RecheckError::GivenUp));
        }
    }

    /// Takes requests back from devices that sit on them, and returns those that are not checkers.
    pub(super) fn expire(&mut self, link: &mut impl Link, now: Micros) -> Vec<DeviceId> {
        // Who may judge changes with time, too. A clock may step back.
        if now >= self.look_again_at || self.look_again_at > now + LOOK_EVERY {
            self.look_again_at = now + LOOK_EVERY;
            self.waiting.try_all();
        }
        let mut idle = Vec::new();
        while let Some(&(until, lease)) = self.untils.first()
            && until <= now
        {
            step();
            idle.extend(self.take_back_one(link, now, lease));
        }
        idle
    }

    /// Returns the device that had the request, unless it is a checker or nobody waits for the request any more.
    pub(super) fn take_back_one(&mut self, link: &mut impl Link, now: Micros, lease: LeaseId) -> Option<DeviceId> {
        let Assigned { device, by, mut recheck, .. } = self.take_assigned(lease)?;
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
        let is_any_changed = std::mem::take(&mut self.is_any_changed);
        let mut from = Place::MIN;
        while let Some(place) = self.waiting.next_for_checkers(from, is_any_changed && !self.ready.is_empty()) {
            from = place + 1;
            self.waiting.begin_to_try(place);
            let Some(recheck) = self.waiting.get(place) else { continue };
            let is_hopeless = recheck.request.has_fallback && self.is_hopeless(recheck);
            let checker = self.find_checker(recheck, now);
            if is_hopeless {
                let ended = self.waiting.remove(place);
                ended.into_iter().for_each(|recheck| link.end_recheck(recheck.id, Err(RecheckError::NoChecker)));
            } else if let Some(device) = checker
                && let Some(recheck) = self.waiting.remove(place)
            {
                self.take_credit(device);
                self.assign(link, now, device, Answerer::Checker, recheck);
            }
        }
    }

    /// No device waits: whichever will is a change.
    pub(super) fn note_nobody_waits(&mut self) {
        self.waiting.note_all_tried();
    }

    /// Puts waiting requests to devices that `find` finds. `changed` are those that may answer what nobody could who was
    /// looked at before.
    pub(super) fn assign_to_devices<L: Link>(
        &mut self,
        link: &mut L,
        now: Micros,
        mut changed: Changed,
        mut find: impl FnMut(&mut L, (&Needs, &RecheckRequest), &Returned, Look) -> Found,
    ) {
        let mut from = Place::MIN;
        loop {
            let by_now = changed.iter().map(|(device, programs)| (*device, programs.as_slice()));
            let Some(place) = self.waiting.next_for_devices(from, by_now) else { return };
            from = place + 1;
            let is_tried = !self.waiting.begin_to_try(place);
            let Some(recheck) = self.waiting.get(place) else { continue };
            let look = Look { is_tried, is_late: now - recheck.since >= LATE_AFTER };
            match find(link, (&recheck.needs, &recheck.request), &recheck.returned, look) {
                Found::Device { device, party, would_take_more } => {
                    if let Some(recheck) = self.waiting.remove(place) {
                        self.assign(link, now, device, Answerer::Peer { party, device }, recheck);
                    }
                    if !would_take_more {
                        changed.remove(&device);
                    }
                }
                Found::NotNow => {}
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
        self.assigned_to.insert((device, lease));
        self.assigned_as.insert(recheck.id, lease);
        self.untils.insert((until, lease));
        self.assigned.insert(lease, Assigned { device, by, until, recheck });
    }

    fn take_assigned(&mut self, lease: LeaseId) -> Option<Assigned> {
        step();
        let assigned = self.assigned.remove(&lease)?;
        self.assigned_to.remove(&(assigned.device, lease));
        self.assigned_as.remove(&assigned.recheck.id);
        self.untils.remove(&(assigned.until, lease));
        Some(assigned)
    }

    /// A checker that takes this request now.
    fn find_checker(&self, recheck: &Recheck, now: Micros) -> Option<DeviceId> {
        let takes = |id: &DeviceId| {
            let may_again = recheck.returned_by.get(id).is_none_or(|again| *again <= now);
            may_again && self.checkers.get(id).is_some_and(|checker| checker.fits(recheck))
        };
        self.ready.iter().inspect(|_| step()).find(|id| takes(id)).copied()
    }

    fn take_credit(&mut self, id: DeviceId) {
        let Some(checker) = self.checkers.get_mut(&id) else { return };
        checker.ready_credits -= 1;
        if checker.ready_credits == 0 {
            self.ready.remove(&id);
        }
    }

    /// Whether no connected checker can take this request, though some are connected.
    fn is_hopeless(&self, recheck: &Recheck) -> bool {
        let can = |(id, checker): (&DeviceId, &Checker)| checker.fits(recheck) && !recheck.returned_by.contains_key(id);
        !self.checkers.is_empty() && !self.checkers.iter().inspect(|_| step()).any(can)
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
