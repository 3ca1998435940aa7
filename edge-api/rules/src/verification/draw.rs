//! Which tiles of a receipt are computed again, and how much a device is lent before it has shown what it is.

use std::collections::BTreeSet;

use wire::CheckedBy;
use wire::number::to;

use super::standing::Standing;

/// Work of one lease of a newcomer that is redone, in floating-point operations: by this server's processor, and by a
/// device.
const REDONE_HERE_FLOPS: u64 = 1_000_000_000;
const REDONE_BY_DEVICES_FLOPS: u64 = 100_000_000_000;
/// One tile in so many is redone of an established device's leases, and of what is not mature at a job's end.
const SAMPLE: u64 = 32;
const FINAL_SAMPLE: u64 = 64;

fn redone_flops(by: CheckedBy) -> u64 {
    match by {
        CheckedBy::Edge => REDONE_HERE_FLOPS,
        CheckedBy::Checker | CheckedBy::Quorum | CheckedBy::Owner => REDONE_BY_DEVICES_FLOPS,
    }
}

/// The most tiles of a lease. A newcomer's is no larger than what can be redone of it, and nobody is trusted with more
/// at once than others have verified before.
pub fn lease_tiles_max(standing: Standing, tile_flops: u64, by: CheckedBy) -> u64 {
    let flops = if standing.is_established() { standing.verified_flops() } else { redone_flops(by) };
    (flops / tile_flops.max(1)).max(1)
}

/// Which of a lease's `tiles` to redo. Of a newcomer all that can be redone, and never none; of others one in 32, and
/// the more, the more of their standing the lease is worth: half of a lease that is worth all of it. That is so on
/// average: of a small lease there may be none, or else small leases would be redone more than large ones. `seed` is
/// drawn after the device has committed.
pub fn draw(standing: Standing, tiles: u32, tile_flops: u64, by: CheckedBy, seed: [u8; 32]) -> Vec<u32> {
    let tiles = u64::from(tiles);
    if !standing.is_established() {
        let redone = redone_flops(by) / tile_flops.max(1);
        return sample(tiles, tiles.div_ceil(SAMPLE).max(redone).clamp(1, tiles.max(1)).min(tiles), seed);
    }
    let (worth, stake) = (u128::from(tiles) * u128::from(tile_flops), 2 * u128::from(standing.verified_flops()));
    let by_standing = worth * u128::from(SAMPLE) > stake;
    let (part, whole) = if by_standing { (worth, stake) } else { (1, SAMPLE.into()) };
    sample(tiles, count_of(tiles, part, whole, seed), seed)
}

/// Which tiles of one device's leases of a job to redo at its end, by lease: on average one in 64 of them all, so by
/// what they are worth and not by how they were cut. `lease_tiles` counts each lease's.
pub fn draw_final(lease_tiles: &[u32], seed: [u8; 32]) -> Vec<Vec<u32>> {
    let total: u64 = lease_tiles.iter().map(|tiles| u64::from(*tiles)).sum();
    let mut drawn = sample(total, count_of(total, 1, FINAL_SAMPLE.into(), seed), seed).into_iter().peekable();
    let mut begin = 0;
    let draw_lease = |tiles: &u32| {
        let end = begin + *tiles;
        let mut of_lease = Vec::new();
        while let Some(tile) = drawn.next_if(|tile| *tile < end) {
            of_lease.push(tile - begin);
        }
        begin = end;
        of_lease
    };
    lease_tiles.iter().map(draw_lease).collect()
}

/// `part` of `whole` of so many tiles: the whole number below or above that, by chance such that it is exact on average.
fn count_of(tiles: u64, part: u128, whole: u128, seed: [u8; 32]) -> u64 {
    // Another stream than the tiles are drawn from: how many says nothing about which.
    let mut word = [0; 16];
    blake3::Hasher::new_keyed(&seed).update(b"count").finalize_xof().fill(&mut word);
    let remainder = u128::from_le_bytes(word) % whole;
    let count = u128::from(tiles).saturating_mul(part).saturating_add(remainder) / whole;
    to(count.min(tiles.into()))
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
    use crate::verification::standing::ESTABLISHED_KFLOP;

    const OLD: Standing = Standing { verified_kflop: ESTABLISHED_KFLOP, age: 0 };
    const NEW: Standing = Standing { verified_kflop: ESTABLISHED_KFLOP - 1, age: i64::MAX };

    #[test]
    fn all_that_can_be_redone_of_a_newcomer_is() {
        let count = |tiles, tile_flops, by| draw(NEW, tiles, tile_flops, by, [1; 32]).len();

        assert_eq!(draw(NEW, 5, 1_000_000, CheckedBy::Edge, [1; 32]), [0, 1, 2, 3, 4]);
        assert_eq!(count(5, 500_000_000, CheckedBy::Edge), 2);
        assert_eq!(count(5, 500_000_000, CheckedBy::Checker), 5);
        assert_eq!(count(5, u64::MAX, CheckedBy::Edge), 1);
        assert_eq!(count(8192, 200_000_000, CheckedBy::Edge), 256, "one in 32, where that is more");
    }

    #[test]
    fn a_newcomers_lease_is_no_larger_than_what_is_redone_of_it() {
        for tile_flops in [0, 1, 999, 20_000_000, 400_000_000, 5_000_000_000, u64::MAX] {
            for by in [CheckedBy::Edge, CheckedBy::Checker, CheckedBy::Quorum] {
                let tiles = u32::try_from(lease_tiles_max(NEW, tile_flops, by).min(1000)).unwrap();

                assert_eq!(draw(NEW, tiles, tile_flops, by, [1; 32]).len(), usize::try_from(tiles).unwrap());
            }
        }
    }

    fn seed(round: u32) -> [u8; 32] {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&round.to_le_bytes());
        seed
    }

    #[test]
    fn an_old_hand_is_checked_by_what_the_lease_is_worth_beside_its_standing() {
        let tile_flops = OLD.verified_flops() / 1000;
        let redone = |tiles| draw(OLD, tiles, tile_flops, CheckedBy::Edge, [1; 32]).len();

        assert_eq!([0, 32, 200, 500, 1000].map(redone), [0, 1, 20, 125, 500]);
        assert_eq!(lease_tiles_max(OLD, tile_flops, CheckedBy::Edge), 1000);
    }

    #[test]
    fn as_much_is_redone_of_small_leases_as_of_large_ones() {
        for (tiles, leases) in [(1, 32_000), (5, 6400), (32, 1000), (100, 320)] {
            let redone = |round| draw(OLD, tiles, 1, CheckedBy::Checker, seed(round)).len();

            let all: usize = (0..leases).map(redone).sum();

            assert!((900..=1100).contains(&all), "{all} of {leases} leases of {tiles} tiles");
        }
    }

    #[test]
    fn whether_a_tile_is_drawn_has_nothing_to_do_with_its_place() {
        let mut counts = [0u32; 4];
        for round in 0..64_000 {
            for tile in draw(OLD, 4, 1, CheckedBy::Checker, seed(round)) {
                counts[usize::try_from(tile).unwrap()] += 1;
            }
        }

        assert!(counts.iter().all(|count| (1800..2200).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_final_draw_takes_one_in_64_however_the_leases_were_cut() {
        let count = |drawn: Vec<Vec<u32>>| drawn.iter().map(Vec::len).sum::<usize>();
        let mixed = draw_final(&[1, 180, 11], [7; 32]);

        assert_eq!(count(draw_final(&[1; 192], [7; 32])), 3);
        assert!(mixed.iter().zip([1, 180, 11]).all(|(drawn, tiles)| drawn.iter().all(|tile| *tile < tiles)));
        assert_eq!(count(mixed), 3);
        let of_one_tile: usize = (0..64_000).map(|round| count(draw_final(&[1], seed(round)))).sum();
        assert!((900..=1100).contains(&of_one_tile), "{of_one_tile}");
        assert_eq!(draw_final(&[], [7; 32]), Vec::<Vec<u32>>::new());
    }

    #[test]
    fn every_tile_is_drawn_as_often_as_any_other() {
        let mut counts = [0u32; 10];
        for round in 0..2000u32 {
            for tile in sample(10, 3, seed(round)) {
                counts[usize::try_from(tile).unwrap()] += 1;
            }
        }

        assert_eq!(counts.iter().sum::<u32>(), 6000);
        assert!(counts.iter().all(|count| (500..700).contains(count)), "{counts:?}");
    }
}
