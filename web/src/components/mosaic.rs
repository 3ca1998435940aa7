use leptos::prelude::*;

use crate::format;
use crate::text::text;

/// How many tiles are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TileCounts {
    pub tiles: u64,
    pub verified: u64,
    /// Computed, and being checked.
    pub checking: u64,
    /// The job has: nobody computes the others any more.
    pub ended: bool,
}

/// A job's tiles as a picture that fills in, with what its colours mean: one path a state, so a million tiles are three
/// nodes. What is being checked is smaller besides, for those who do not see the colours.
#[component]
pub fn Mosaic(
    /// A digit a cell, from 0 (nothing settled) to 9 (all), in order.
    #[prop(into)]
    cells: Signal<String>,
    /// The same of what is computed and being checked, as many cells; left out where that is not known.
    #[prop(optional)]
    checking: Option<Signal<String>>,
    /// How many tiles there are of each.
    #[prop(into)]
    counts: Signal<TileCounts>,
) -> impl IntoView {
    let t = text();
    let size = Memo::new(move |_| columns_and_rows(cells.with(String::len)));
    let label = move || {
        let TileCounts { tiles, verified, checking, .. } = counts.get();
        let (verified, tiles, colon) = (format::count(verified), format::count(tiles), t.site.colon);
        let checking = (checking > 0)
            .then(|| format!("{}{}{colon}{}", t.site.semicolon, t.jobs.tiles_checking, format::count(checking)));
        let (mosaic, stop) = (t.jobs.mosaic, t.site.stop);
        format!("{mosaic}{stop}{}{colon}{verified} / {tiles}{}", t.site.verified, checking.unwrap_or_default())
    };
    let path = move |draw: fn(&Cells<'_>, usize) -> String| {
        move || {
            let (columns, _) = size.get();
            let checking = checking.map(|checking| checking.get()).unwrap_or_default();
            cells.with(|settled| draw(&Cells { settled, checking: &checking }, columns))
        }
    };
    let others = move || {
        if counts.get().ended {
            t.jobs.tiles_left
        } else if checking.is_some() {
            t.jobs.tiles_waiting
        } else {
            t.jobs.tiles_unverified
        }
    };
    let entry = move |class: &'static str, label: Signal<&'static str>, count: fn(TileCounts) -> u64| {
        view! { <li><span class=format!("swatch {class}") aria-hidden="true"></span>{move || label.get()} " " <span class="soft">{move || format::count(count(counts.get()))}</span></li> }
    };
    view! {
        <figure class="tiles">
            <svg class="mosaic" role="img" aria-label=label viewBox=move || { let (columns, rows) = size.get(); format!("0 0 {} {rows}", columns.max(COLUMNS_LEAST)) } preserveAspectRatio="xMinYMid meet">
                <path class="waiting" d=path(waiting_path)/>
                <path class="checking" d=path(checking_path)/>
                <path class="verified" d=path(verified_path)/>
            </svg>
            <figcaption>
                <ul class="legend">
                    {entry("waiting", Signal::derive(others), |counts| counts.tiles.saturating_sub(counts.verified + counts.checking))}
                    {checking.map(|_| entry("checking", Signal::stored(t.jobs.tiles_checking), |counts| counts.checking))}
                    {entry("verified", Signal::stored(t.jobs.tiles_verified), |counts| counts.verified)}
                </ul>
            </figcaption>
        </figure>
    }
}

/// The picture has room for so many cells beside each other, so that a few are no larger than those of many.
const COLUMNS_LEAST: usize = 20;

/// A picture about three times as wide as high; a few cells are one line.
fn columns_and_rows(cells: usize) -> (usize, usize) {
    let cells = cells.max(1);
    let columns = (1..=cells).find(|columns| columns * columns >= 3 * cells).unwrap_or(cells);
    let columns = columns.max(cells.min(COLUMNS_LEAST));
    (columns, cells.div_ceil(columns))
}

/// A cell's side in hundredths of its place.
const SIDE: u32 = 88;
/// Of what is being checked: as high, and so far from either end where it has room.
const CHECKING_HEIGHT: u32 = 50;
const CHECKING_INSET: u32 = 19;

/// A cell fills from the left: first what is verified, then what is being checked.
struct Cells<'a> {
    settled: &'a str,
    checking: &'a str,
}

impl Cells<'_> {
    /// Of each cell, how many ninths are verified and how many are being checked.
    fn ninths(&self) -> impl Iterator<Item = (u32, u32)> {
        let ninth = |digit: u8| u32::from(digit.saturating_sub(b'0').min(9));
        let checking = self.checking.bytes().chain(std::iter::repeat(b'0'));
        self.settled.bytes().zip(checking).map(move |(settled, checking)| {
            let settled = ninth(settled);
            (settled, ninth(checking).min(9 - settled))
        })
    }

    /// Of each cell where `part` begins, how wide it is, and how far from the upper and the lower edge.
    fn path(&self, columns: usize, part: impl Fn(u32, u32) -> Option<(u32, u32, u32)>) -> String {
        let squares = self.ninths().enumerate().filter_map(|(i, (settled, checking))| {
            let (start, width, inset) = part(settled, checking)?;
            let (left, top, height) = (6 + start, 6 + inset, SIDE - 2 * inset);
            Some(format!("M{}.{left:02} {}.{top:02}h.{width:02}v.{height:02}h-.{width:02}z", i % columns, i / columns))
        });
        squares.collect()
    }
}

fn waiting_path(cells: &Cells<'_>, columns: usize) -> String {
    cells.path(columns, |settled, _| (settled < 9).then_some((0, SIDE, 0)))
}

fn checking_path(cells: &Cells<'_>, columns: usize) -> String {
    cells.path(columns, |settled, checking| {
        let (start, width) = (SIDE * settled / 9, SIDE * checking / 9);
        let inset = CHECKING_INSET.min(width / 4);
        (checking > 0).then(|| (start + inset, width - 2 * inset, (SIDE - CHECKING_HEIGHT) / 2))
    })
}

fn verified_path(cells: &Cells<'_>, columns: usize) -> String {
    cells.path(columns, |settled, _| (settled > 0).then(|| (0, SIDE * settled / 9, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_shows_what_is_verified_being_checked_and_waiting() {
        let cells = Cells { settled: "0945", checking: "9044" };

        assert_eq!(
            verified_path(&cells, 4),
            "M1.06 0.06h.88v.88h-.88zM2.06 0.06h.39v.88h-.39zM3.06 0.06h.48v.88h-.48z"
        );
        assert_eq!(checking_path(&cells, 4).matches('M').count(), 3);
        assert!(checking_path(&cells, 4).starts_with("M0.25 0.25h.50v.50h-.50z"), "{}", checking_path(&cells, 4));
        assert_eq!(waiting_path(&cells, 4).matches('M').count(), 3, "the ground of what is not full");
        assert_eq!(checking_path(&Cells { settled: "09", checking: "" }, 2), "", "a public job says nothing of it");
    }

    #[test]
    fn every_cell_is_in_the_picture() {
        for len in [1, 2, 19, 25, 225, 1024] {
            let settled: String =
                (0..len).map(|i| char::from_digit(u32::try_from(i % 10).unwrap(), 10).unwrap()).collect();
            let (columns, rows) = columns_and_rows(len);
            let cells = Cells { settled: &settled, checking: "" };

            let full = settled.matches('9').count();
            assert_eq!(waiting_path(&cells, columns).matches('M').count() + full, len);
            assert!(columns * rows >= len && columns * (rows - 1) < len);
        }
    }
}
