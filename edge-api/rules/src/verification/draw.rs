//! Which tiles of a receipt are computed again.

use std::collections::BTreeSet;

use super::standing::Standing;

/// Work that the edge redoes of one lease of a newcomer, in floating-point operations.
const NEWCOMER_FLOPS: u64 = 1_000_000_000;
/// One tile in so many is redone of a device with standing.
const SAMPLE: u64 = 20;

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
    use crate::verification::standing::AGE_OF_STANDING;

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
