//! Requests to recompute tiles that wait for somebody, in the order that they are put to devices, and found by whatever
//! lets one of them go on.

use std::collections::{BTreeMap, BTreeSet};

use wire::{AccountId, DeviceId, Micros};

use super::recheck_request::{Answerer, RecheckId, RecheckRequest, Whom};
use super::steps::step;
use crate::job::Needs;
use crate::verification::party::Parties;

/// Before a device is asked again what it gave back, or was lost over.
const ASK_AGAIN: Micros = 300_000_000;
/// Accounts, each on a network of its own, whose devices may give a request back, or be lost over it, before it is given up.
const PARTIES_MAX: usize = 8;
/// How often devices may, whosever they are: by then all that are connected have been asked.
const RETURNS_MAX: usize = 64;
/// How often checkers may.
const CHECKER_RETURNS_MAX: usize = 20;

#[derive(Debug)]
pub(super) struct Recheck {
    pub(super) id: RecheckId,
    pub(super) request: RecheckRequest,
    pub(super) needs: Needs,
    /// Nobody waits for it any more.
    pub(super) is_cancelled: bool,
    pub(super) returned: Returned,
    /// When it began to wait.
    pub(super) since: Micros,
    /// Checkers that could not do it, and when they may be asked again.
    pub(super) returned_by: BTreeMap<DeviceId, Micros>,
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

    pub(super) fn add(&mut self, by: Answerer, now: Micros) {
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

    pub(super) fn is_enough(&self) -> bool {
        self.count >= PARTIES_MAX || self.returns >= RETURNS_MAX || self.by_checkers >= CHECKER_RETURNS_MAX
    }
}

/// Where a request stands: those of lower places come first.
pub(super) type Place = i64;

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Requests for checkers wait for those of the operator alone.
    has_checkers: bool,
    requests: BTreeMap<Place, Recheck>,
    places: BTreeMap<RecheckId, Place>,
    /// Nobody was looked at for these since something changed about them.
    untried: BTreeSet<Place>,
    for_checkers: BTreeSet<Place>,
    /// For any device that judges a program.
    for_judges: BTreeSet<(&'static str, Place)>,
    for_accused: BTreeSet<(DeviceId, Place)>,
    first: Place,
    last: Place,
}

impl Queue {
    pub(super) fn new(has_checkers: bool) -> Self {
        Self { has_checkers, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(super) fn get(&self, place: Place) -> Option<&Recheck> {
        self.requests.get(&place)
    }

    pub(super) fn push_back(&mut self, recheck: Recheck) {
        self.last += 1;
        self.insert(self.last, recheck);
    }

    pub(super) fn push_front(&mut self, recheck: Recheck) {
        self.first -= 1;
        self.insert(self.first, recheck);
    }

    fn insert(&mut self, place: Place, recheck: Recheck) {
        step();
        match recheck.request.whom {
            Whom::Checkers if self.has_checkers => _ = self.for_checkers.insert(place),
            Whom::Checkers | Whom::Witness => _ = self.for_judges.insert((recheck.needs.program, place)),
            Whom::Accused(device) => _ = self.for_accused.insert((device, place)),
        }
        self.untried.insert(place);
        self.places.insert(recheck.id, place);
        self.requests.insert(place, recheck);
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<Recheck> {
        step();
        let recheck = self.requests.remove(&place)?;
        self.places.remove(&recheck.id);
        self.untried.remove(&place);
        self.for_checkers.remove(&place);
        self.for_judges.remove(&(recheck.needs.program, place));
        if let Whom::Accused(device) = recheck.request.whom {
            self.for_accused.remove(&(device, place));
        }
        Some(recheck)
    }

    pub(super) fn remove_request(&mut self, id: RecheckId) -> Option<Recheck> {
        self.remove(*self.places.get(&id)?)
    }

    /// Requests that only this device can answer.
    pub(super) fn remove_of_accused(&mut self, device: DeviceId) -> Vec<Recheck> {
        let of_device = self.for_accused.range((device, Place::MIN)..=(device, Place::MAX));
        let places: Vec<Place> = of_device.map(|(_, place)| *place).collect();
        places.into_iter().filter_map(|place| self.remove(place)).collect()
    }

    /// Everybody is looked at once more for all of them.
    pub(super) fn try_all(&mut self) {
        self.untried.extend(self.requests.keys().inspect(|_| step()));
    }

    pub(super) fn note_all_tried(&mut self) {
        self.untried.clear();
    }

    /// A checker may have been started anew, with another backend.
    pub(super) fn forgive_checker(&mut self, checker: DeviceId) {
        for place in &self.for_checkers {
            step();
            if let Some(recheck) = self.requests.get_mut(place) {
                recheck.returned_by.remove(&checker);
            }
            self.untried.insert(*place);
        }
    }

    /// Everybody that waits is looked at for it: `false` where that has been done.
    pub(super) fn begin_to_try(&mut self, place: Place) -> bool {
        self.untried.remove(&place)
    }

    /// The first at or after a place that a checker is looked for.
    pub(super) fn next_for_checkers(&self, from: Place, is_any_ready: bool) -> Option<Place> {
        step();
        if is_any_ready {
            return self.for_checkers.range(from..).next().copied();
        }
        self.untried.range(from..).find(|place| self.for_checkers.contains(place)).copied()
    }

    /// The first at or after a place that a device is looked for: one that nobody was looked at for, or one that those which
    /// changed may answer.
    pub(super) fn next_for_devices<'a>(
        &self,
        from: Place,
        changed: impl Iterator<Item = (DeviceId, &'a [String])>,
    ) -> Option<Place> {
        step();
        let untried = self.untried.range(from..).find(|place| !self.for_checkers.contains(place)).copied();
        let of_changed = changed.filter_map(|(device, programs)| {
            step();
            let accused = self.for_accused.range((device, from)..=(device, Place::MAX)).next();
            let judged = programs.iter().filter_map(|program| of_program(&self.for_judges, program, from));
            judged.chain(accused.map(|(_, place)| *place)).min()
        });
        of_changed.chain(untried).min()
    }
}

fn of_program(requests: &BTreeSet<(&str, Place)>, program: &str, from: Place) -> Option<Place> {
    requests.range((program, from)..=(program, Place::MAX)).next().map(|(_, place)| *place)
}
