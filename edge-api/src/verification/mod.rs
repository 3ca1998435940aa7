//! What of a receipt is checked, and when a value is right. Pure; `recompute` does the work.

pub mod checkers;
pub mod models;
pub mod recompute;

use std::collections::BTreeSet;

use wire::{CheckedBy, InferTask, MapTask, Task};

/// Accepted leases after which a device has shown that it computes what it is asked to.
const LEASES_OF_STANDING: u64 = 64;
/// Its age by then, in microseconds: a day.
const AGE_OF_STANDING: i64 = 24 * 3_600_000_000;
/// Work that the edge redoes of one lease of a newcomer, in floating-point operations.
const NEWCOMER_FLOPS: u64 = 1_000_000_000;
/// One tile in so many is redone of a device with standing.
const SAMPLE: u64 = 20;

/// Work of a tile that this server's processor redoes within 50 ms.
pub const EDGE_FLOPS: u64 = 500_000_000;
/// Most work of a tile that it redoes where there is no checker.
pub const EDGE_FLOPS_MAX: u64 = 20_000_000_000;
/// Most work of a tile that a checker redoes: a few seconds of a GPU.
pub const CHECKER_FLOPS_MAX: u64 = 2_000_000_000_000;

/// Who redoes tiles of so much work. A kernel has no reference, so devices do; what this server does
/// in a moment it does by itself.
pub fn checked_by(task: &Task, tile_flops: u64, has_checkers: bool) -> CheckedBy {
    match (task, has_checkers) {
        (Task::Infer(_), true) if tile_flops > EDGE_FLOPS => CheckedBy::Checker,
        (Task::Infer(_), _) => CheckedBy::Edge,
        (Task::Map(_), true) => CheckedBy::Checker,
        (Task::Map(_), false) => CheckedBy::Quorum,
    }
}

/// What a device has behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Accepted leases since its last failed check.
    pub passed: u64,
    /// Since it was first seen, in microseconds.
    pub age: i64,
}

impl Standing {
    pub fn is_established(self) -> bool {
        self.passed >= LEASES_OF_STANDING && self.age >= AGE_OF_STANDING
    }
}

/// Which of a lease's `tiles` to redo. All of a newcomer's, as far as the work allows; else one in
/// twenty, and never none. `seed` is drawn after the device has committed.
pub fn draw(standing: Standing, tiles: u32, tile_flops: u64, seed: [u8; 32]) -> Vec<u32> {
    let tiles = u64::from(tiles);
    let wanted = if standing.is_established() { tiles.div_ceil(SAMPLE) } else { NEWCOMER_FLOPS / tile_flops.max(1) };
    sample(tiles, wanted.clamp(1, tiles.max(1)), seed)
}

/// One tile more, for the final draw of a job.
pub fn draw_one(tiles: u32, seed: [u8; 32]) -> u32 {
    sample(u64::from(tiles), 1, seed).first().copied().unwrap_or(0)
}

/// `count` different numbers below `tiles`, in order: Floyd's algorithm (CACM 30(9), 1987).
fn sample(tiles: u64, count: u64, seed: [u8; 32]) -> Vec<u32> {
    let mut chosen = BTreeSet::new();
    let mut stream = blake3::Hasher::new_keyed(&seed).finalize_xof();
    for upper in tiles - count..tiles {
        let mut word = [0; 16];
        stream.fill(&mut word);
        let drawn = u64::try_from(u128::from_le_bytes(word) % u128::from(upper + 1)).unwrap_or(0);
        if !chosen.insert(drawn) {
            chosen.insert(upper);
        }
    }
    chosen.into_iter().filter_map(|tile| u32::try_from(tile).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Standing = Standing { passed: 64, age: AGE_OF_STANDING };

    #[test]
    fn a_newcomer_is_checked_in_every_tile_and_an_old_hand_in_one_of_twenty() {
        let newcomer = Standing { passed: 1000, age: 0 };

        assert_eq!(draw(newcomer, 5, 1_000_000, [1; 32]), [0, 1, 2, 3, 4]);
        assert_eq!(draw(newcomer, 5, 500_000_000, [1; 32]).len(), 2);
        assert_eq!(draw(newcomer, 5, u64::MAX, [1; 32]).len(), 1);
        assert_eq!(draw(OLD, 100, 1_000_000, [1; 32]).len(), 5);
        assert_eq!(draw(OLD, 1, 1_000_000, [1; 32]), [0]);
    }

    #[test]
    fn a_checker_redoes_kernels_and_what_would_hold_the_server_up() {
        let hash = wire::BlobHash([0; 32]);
        let model = Task::Infer(InferTask { model: hash, inputs: Vec::new(), outputs: Vec::new() });
        let kernel = Task::Map(MapTask { kernel: hash, params: None, record_bytes: 4, out_bytes: 4, fuel: 1 });

        assert_eq!(checked_by(&model, EDGE_FLOPS, true), CheckedBy::Edge);
        assert_eq!(checked_by(&model, EDGE_FLOPS + 1, true), CheckedBy::Checker);
        assert_eq!(checked_by(&model, EDGE_FLOPS_MAX, false), CheckedBy::Edge);
        assert_eq!(checked_by(&kernel, 1, true), CheckedBy::Checker);
        assert_eq!(checked_by(&kernel, 1, false), CheckedBy::Quorum);
    }

    #[test]
    fn every_tile_is_drawn_as_often_as_any_other() {
        let mut counts = [0u32; 10];
        for round in 0..2000u32 {
            let mut seed = [0; 32];
            seed[..4].copy_from_slice(&round.to_le_bytes());
            for tile in sample(10, 3, seed) {
                counts[usize::try_from(tile).unwrap()] += 1;
            }
        }

        assert_eq!(counts.iter().sum::<u32>(), 6000);
        assert!(counts.iter().all(|count| (500..700).contains(count)), "{counts:?}");
    }
}
