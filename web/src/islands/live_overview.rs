use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::explorer::Overview;

use crate::api::Api;
use crate::components::Fact;
use crate::format;
use crate::text::text;

const REFRESH_EVERY: std::time::Duration = std::time::Duration::from_secs(3);
/// Cells of the picture: what the server sends at most.
const CELLS: usize = 240;
const COLUMNS: usize = 24;

/// The network's figures and its latest leases, read anew while somebody looks.
#[island]
pub fn LiveOverviewIsland(
    /// As it was when the page was made.
    overview: Overview,
) -> impl IntoView {
    let overview = RwSignal::new(overview);
    Effect::new(move |_| {
        let refresh = move || {
            if document().hidden() {
                return;
            }
            spawn_local(async move {
                // A server that does not answer leaves the figures as they were.
                if let Ok(read) = Api::default().overview().await {
                    overview.try_set(read);
                }
            });
        };
        if let Ok(interval) = set_interval_with_handle(refresh, REFRESH_EVERY) {
            on_cleanup(move || interval.clear());
        }
    });
    let t = text();
    let figure = move |read: fn(&Overview) -> String| move || overview.with(read);
    view! {
        <div class="live">
            <LeaseMosaic latest=Signal::derive(move || overview.with(|overview| overview.latest_leases.clone()))/>
            <dl class="facts big">
                <Fact label=t.explorer.devices_online><span data-testid="devices-online">{figure(|o| format::count(o.devices_online()))}</span></Fact>
                <Fact label=t.explorer.measured_speed>{figure(|o| format::speed(o.flops_per_sec()))}</Fact>
                <Fact label=t.explorer.tiles_today>{figure(|o| format::count(o.today.tiles))}</Fact>
                <Fact label=t.site.price>{figure(|o| format::price(o.price))} " " <small>{t.site.credits}</small></Fact>
            </dl>
        </div>
    }
}

/// A cell a lease, the newest last; the darker, the more tiles it had.
#[component]
fn LeaseMosaic(
    /// Tiles of the latest leases, oldest first.
    latest: Signal<Vec<u64>>,
) -> impl IntoView {
    let t = text();
    let shade = move |level: u8| {
        let path = move || latest.with(|latest| path_of(latest, level));
        view! { <path class=format!("shade-{level}") d=path/> }
    };
    let label = move || format!("{}{}{}", t.landing.lease_mosaic, t.site.colon, latest.with(Vec::len));
    view! {
        <figure class="lease-mosaic">
            <svg role="img" aria-label=label viewBox=format!("0 0 {COLUMNS} {}", CELLS / COLUMNS)>
                {(0..=4).map(shade).collect_view()}
            </svg>
            <figcaption>{move || if latest.with(Vec::is_empty) { t.landing.no_leases_yet } else { t.landing.lease_mosaic }}</figcaption>
        </figure>
    }
}

/// 0 for an empty cell, then by the power of four of its tiles.
fn level_of(tiles: u64) -> u8 {
    match tiles {
        0 => 0,
        1..4 => 1,
        4..16 => 2,
        16..64 => 3,
        _ => 4,
    }
}

#[expect(clippy::format_collect, reason = "a few hundred short texts at most")]
fn path_of(latest: &[u64], level: u8) -> String {
    let latest = &latest[latest.len().saturating_sub(CELLS)..];
    let cells = latest.iter().copied().chain(std::iter::repeat(0)).take(CELLS).enumerate();
    cells
        .filter(|(_, tiles)| level_of(*tiles) == level)
        .map(|(i, _)| format!("M{}.06 {}.06h.88v.88h-.88z", i % COLUMNS, i / COLUMNS))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_drawn_once_and_the_oldest_fall_out() {
        for leases in [0, 3, CELLS, CELLS + 17] {
            let latest: Vec<u64> = (0..u64::try_from(leases).unwrap()).map(|i| 1 + i % 80).collect();

            let drawn: usize = (0..=4).map(|level| path_of(&latest, level).matches('M').count()).sum();

            assert_eq!(drawn, CELLS);
        }
    }
}
