//! A job's tiles as a picture of at most 1,024 cells, however many tiles it has.

use wire::number::to;

use super::bitmap::Bitmap;

const CELLS_MAX: u64 = 1024;

/// One slice's settled tiles.
#[derive(Clone, Debug)]
pub struct SettledSlice {
    pub first_tile: u64,
    pub settled: Bitmap,
}

/// A digit a cell, from 0 (none settled) to 9 (all).
pub fn draw(tiles: u64, slices: &[SettledSlice]) -> String {
    let runs = |slice: &'_ SettledSlice| {
        let of_job = |(first, run)| (slice.first_tile + first, run);
        slice.settled.set_runs().map(of_job).collect::<Vec<_>>()
    };
    draw_runs(tiles, &slices.iter().flat_map(runs).collect::<Vec<_>>())
}

/// The same of tiles that are given as runs: where each begins, and how many.
pub fn draw_runs(tiles: u64, runs: &[(u64, u64)]) -> String {
    let cells = tiles.clamp(1, CELLS_MAX);
    let mut settled = vec![0u64; to(cells)];
    let cell_of = |tile: u64| to::<u64>(u128::from(tile) * u128::from(cells) / u128::from(tiles.max(1)));
    let first_of = |cell: u64| to::<u64>((u128::from(cell) * u128::from(tiles)).div_ceil(u128::from(cells)));
    for &(first, run) in runs {
        let (mut at, end) = (first, first.saturating_add(run).min(tiles));
        while at < end {
            let cell = cell_of(at);
            let next = first_of(cell + 1).min(end);
            settled[to::<usize>(cell)] += next - at;
            at = next;
        }
    }
    (0..cells)
        .zip(&settled)
        .map(|(cell, &settled)| {
            let size = u128::from(first_of(cell + 1) - first_of(cell));
            // Nine only when nothing is missing, zero only when nothing is there.
            let digit = match u128::from(settled) {
                0 => 0,
                settled if settled >= size => 9,
                settled => (settled * 9 / size).clamp(1, 8),
            };
            u32::try_from(digit).ok().and_then(|digit| char::from_digit(digit, 10)).unwrap_or('0')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_nine_only_when_all_its_tiles_are_settled() {
        let mut settled = Bitmap::new(4096);
        settled.set(0, 4);
        settled.set(4, 1);

        let picture = draw(4096, &[SettledSlice { first_tile: 0, settled }]);

        assert_eq!(picture.len(), 1024);
        assert_eq!(&picture[..3], "920");
    }

    #[test]
    fn runs_of_tiles_are_drawn_like_settled_ones_and_never_beyond_the_last() {
        assert_eq!(draw_runs(5, &[(1, 2), (4, 9)]), "09909");
        assert_eq!(&draw_runs(4096, &[(0, 6)])[..3], "940");
        assert_eq!(draw_runs(3, &[]), "000");
    }

    #[test]
    fn every_tile_is_in_one_cell_whatever_the_number_of_tiles() {
        for tiles in [1, 7, 1023, 1025, 1500, 4095, 10_000] {
            assert_eq!(draw_runs(tiles, &[(0, tiles)]), "9".repeat(to(tiles.min(1024))), "{tiles}");
            let halves = [(0, tiles / 2), (tiles / 2, tiles - tiles / 2)];
            assert_eq!(draw_runs(tiles, &halves), draw_runs(tiles, &[(0, tiles)]), "{tiles}");
        }
    }

    #[test]
    fn a_small_job_has_a_cell_a_tile() {
        let mut settled = Bitmap::new(3);
        settled.set(1, 1);

        assert_eq!(draw(5, &[SettledSlice { first_tile: 2, settled }]), "00090");
    }
}
