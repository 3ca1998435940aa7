//! What the edge writes down of devices and receipts, as far as the rules need it: the database's part.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rules::verification::standing::{Standings, suspension};
use wire::{JobId, LeaseId, Micros};

use crate::cheat::Run;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Accepted,
    Matured,
    Rejected,
    /// Its job ended, or another settled its tiles.
    Void,
}

/// A device's receipt.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    pub device: usize,
    pub job: JobId,
    pub first_tile: u64,
    pub tiles: u32,
    pub kflop: u64,
    pub run: Run,
    pub state: State,
    /// Tiles that others computed again before it was settled.
    pub recomputed: u32,
    pub matures_at: u64,
    /// It is being drawn from once more.
    pub is_redrawn: bool,
    /// It was part of its job's final draw.
    pub is_final: bool,
}

/// A device's record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub since: Micros,
    /// Ever, by program, and at its last failed check; in thousands of operations.
    pub verified: BTreeMap<&'static str, u64>,
    pub verified_at_failure: BTreeMap<&'static str, u64>,
    pub failed: u64,
    /// What it was to blame for: a rejected lease, a fault that was none, a wrong word on another's tile.
    pub blamed: u64,
    pub suspended_until: Micros,
    /// Paid for good, and not yet; in thousands of operations.
    pub matured_kflop: u64,
    /// The next to mature first.
    pub accepted: BTreeSet<(u64, LeaseId)>,
    pub own_kflop: u64,
    /// Paid for having computed again what others did.
    pub judged_kflop: u64,
}

impl Record {
    pub(crate) fn standings(&self) -> Standings {
        let since_failure = |(program, kflop): (&&'static str, &u64)| {
            let before = self.verified_at_failure.get(program).copied().unwrap_or(0);
            ((*program).to_owned(), kflop - before)
        };
        Standings { since: self.since, verified_kflop: self.verified.iter().map(since_failure).collect() }
    }

    /// Adds what others verified; returns all that they ever did.
    pub(crate) fn add_verified(&mut self, program: &'static str, kflop: u64) -> u64 {
        let verified = self.verified.entry(program).or_default();
        *verified += kflop;
        *verified
    }

    /// Notes a failed check; returns until when the device is suspended.
    pub(crate) fn fail(&mut self, now: Micros) -> Micros {
        self.failed += 1;
        self.verified_at_failure = self.verified.clone();
        self.suspended_until = now + suspension(self.failed);
        self.suspended_until
    }
}

/// Matures what a device's verified work allows.
pub(crate) fn mature(record: &mut Record, receipts: &mut HashMap<LeaseId, Receipt>, verified_ever: u64) {
    let due: Vec<(u64, LeaseId)> =
        record.accepted.iter().take_while(|(matures_at, _)| *matures_at <= verified_ever).copied().collect();
    for (matures_at, lease) in due {
        let Some(receipt) = receipts.get_mut(&lease).filter(|receipt| !receipt.is_redrawn) else { continue };
        receipt.state = State::Matured;
        record.matured_kflop += receipt.kflop;
        record.accepted.remove(&(matures_at, lease));
    }
}
