//! A job's tiles as a picture of at most 1,024 cells, however many tiles it has.

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
    let settled = slices.iter().flat_map(|slice| slice.settled.ones().map(|tile| slice.first_tile + tile));
    draw_tiles(tiles, settled)
}

/// The same of tiles that are given as runs: where each begins, and how many.
pub fn draw_runs(tiles: u64, runs: &[(u64, u64)]) -> String {
    draw_tiles(tiles, runs.iter().flat_map(|&(first, run)| first..first.saturating_add(run).min(tiles)))
}

fn draw_tiles(tiles: u64, drawn: impl Iterator<Item = u64>) -> String {
    let cells = tiles.clamp(1, CELLS_MAX);
    let mut settled = vec![0u64; usize::try_from(cells).unwrap_or(0)];
    let cell_of =
        |tile: u64| usize::try_from(u128::from(tile) * u128::from(cells) / u128::from(tiles.max(1))).unwrap_or(0);
    for tile in drawn {
        settled[cell_of(tile)] += 1;
    }
    let first_of = |cell: u64| (u128::from(cell) * u128::from(tiles)).div_ceil(u128::from(cells));
    (0..cells)
        .zip(&settled)
        .map(|(cell, &settled)| {
            let size = first_of(cell + 1) - first_of(cell);
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
    fn a_small_job_has_a_cell_a_tile() {
        let mut settled = Bitmap::new(3);
        settled.set(1, 1);

        assert_eq!(draw(5, &[SettledSlice { first_tile: 2, settled }]), "00090");
    }
}
