use leptos::prelude::*;

use crate::text::text;

/// A job's tiles as a picture that fills in: one path a shade, so a million tiles are ten nodes.
#[component]
pub fn Mosaic(
    /// A digit a cell, from 0 (nothing settled) to 9 (all), in order.
    #[prop(into)]
    cells: Signal<String>,
) -> impl IntoView {
    let size = Memo::new(move |_| columns_and_rows(cells.with(String::len)));
    let label = move || {
        let (full, all) = cells.with(|cells| (cells.bytes().filter(|cell| *cell == b'9').count(), cells.len()));
        format!("{}: {full} / {all}", text().jobs.mosaic)
    };
    let shade = move |level: u8| {
        let path = move || {
            let (columns, _) = size.get();
            cells.with(|cells| path_of(cells, level, columns))
        };
        let opacity = if level == 0 { 1.0 } else { 0.25 + 0.75 * f64::from(level) / 9.0 };
        view! { <path class=format!("level-{level}") d=path fill-opacity=opacity/> }
    };
    view! {
        <svg class="mosaic" role="img" aria-label=label viewBox=move || { let (columns, rows) = size.get(); format!("0 0 {columns} {rows}") } preserveAspectRatio="xMidYMid meet">
            {(0..=9).map(shade).collect_view()}
        </svg>
    }
}

/// A picture about three times as wide as high.
fn columns_and_rows(cells: usize) -> (usize, usize) {
    let cells = cells.max(1);
    let columns = (1..=cells).find(|columns| columns * columns >= 3 * cells).unwrap_or(cells);
    (columns, cells.div_ceil(columns))
}

#[expect(clippy::format_collect, reason = "a thousand short texts at most")]
fn path_of(cells: &str, level: u8, columns: usize) -> String {
    let squares = cells.bytes().enumerate().filter(|(_, cell)| *cell == b'0' + level);
    squares.map(|(i, _)| format!("M{}.06 {}.06h.88v.88h-.88z", i % columns, i / columns)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_in_the_picture_once() {
        for len in [1, 2, 225, 1024] {
            let cells: String =
                (0..len).map(|i| char::from_digit(u32::try_from(i % 10).unwrap(), 10).unwrap()).collect();
            let (columns, rows) = columns_and_rows(len);

            let squares: usize = (0..=9).map(|level| path_of(&cells, level, columns).matches('M').count()).sum();

            assert_eq!(squares, len);
            assert!(columns * rows >= len && columns * (rows - 1) < len);
        }
    }
}
