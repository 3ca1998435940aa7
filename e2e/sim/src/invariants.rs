//! What holds at every step: between tiles, receipts, standing and pay.

use std::collections::BTreeMap;

use rules::scheduling::bitmap::Bitmap;
use rules::scheduling::link::Grant;
use rules::verification::draw::lease_tiles_max;
use wire::JobId;

use crate::books::State;
use crate::world::{TILE_FLOPS, World};

impl World {
    /// Notes what should not be; the first one counts.
    pub(crate) fn require(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken.get_or_insert_with(what);
        }
    }

    /// A device is lent no more than its standing allows, and nothing while it is suspended.
    pub(crate) fn require_allowed(&mut self, index: usize, grant: &Grant) {
        let record = &self.gpus[index].record;
        let standing = record.standings().of(self.program(), self.now);
        let (most, until) = (lease_tiles_max(standing, TILE_FLOPS, self.checked_by()), record.suspended_until);
        let tiles = grant.tiles.end - grant.tiles.start;
        self.require(tiles <= most, || format!("GPU {index} may have {most} tiles at once, and was lent {tiles}"));
        self.require(until <= self.now, || format!("GPU {index} is suspended, and was lent tiles"));
    }

    /// After each event, of the jobs that it changed: every tile is settled, or owed.
    pub(crate) fn look_at_touched(&mut self) {
        for id in std::mem::take(&mut self.touched) {
            let Some(running) = self.jobs.get(&id) else { continue };
            let settled: u64 = running.slices.values().map(|stored| stored.settled.count_ones()).sum();
            let (owed, tiles) = (running.remaining, running.job.tile_count());
            self.require(settled + owed == tiles, || {
                format!("{settled} tiles of {id} are settled and {owed} owed, of {tiles}")
            });
        }
    }

    /// Now and then, since it takes longer.
    pub(crate) fn look_at_everything(&mut self) {
        if let Some(what) = self.core.find_broken_invariant() {
            self.require(false, || what);
        }
        for id in self.jobs.keys().copied().collect::<Vec<JobId>>() {
            if let Some(what) = self.find_broken_tile(id) {
                self.require(false, || what);
            }
        }
        self.look_at_books();
    }

    /// A settled tile is settled by one receipt that was not taken back.
    fn find_broken_tile(&self, id: JobId) -> Option<String> {
        let running = &self.jobs[&id];
        let mut by_first: BTreeMap<u64, Bitmap> =
            running.slices.values().map(|stored| (stored.first_tile, Bitmap::new(stored.tiles))).collect();
        for lease in &running.receipts {
            let receipt = &self.receipts[lease];
            if !matches!(receipt.state, State::Accepted | State::Matured) {
                continue;
            }
            let (slice_first, settled) = by_first.range_mut(..=receipt.first_tile).next_back()?;
            let first = receipt.first_tile - slice_first;
            if !settled.is_clear(first, receipt.tiles.into()) {
                return Some(format!("a tile of {id} is settled by two receipts, {lease} among them"));
            }
            settled.set(first, receipt.tiles.into());
        }
        let differs = running.slices.values().find(|stored| by_first[&stored.first_tile] != stored.settled)?;
        Some(format!("settled tiles of {id} from {} on should be those of its receipts", differs.first_tile))
    }

    /// What was settled is accepted or matured, to the operation; and nobody is suspended who is to blame for nothing.
    fn look_at_books(&mut self) {
        let accepted = self.receipts.values().filter(|receipt| receipt.state == State::Accepted);
        let accepted: u64 = accepted.map(|receipt| receipt.kflop).sum();
        let matured: u64 = self.gpus.iter().map(|gpu| gpu.record.matured_kflop).sum();
        let settled = self.tally.settled_kflop;
        self.require(accepted + matured == settled, || {
            format!("{accepted} thousand operations are accepted and {matured} matured, of {settled} settled")
        });
        let harmed = self.gpus.iter().position(|gpu| gpu.record.failed != gpu.record.blamed);
        self.require(harmed.is_none(), || format!("GPU {harmed:?} was suspended without a cause"));
    }
}
