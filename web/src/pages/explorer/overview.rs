use leptos::prelude::*;
use wire::explorer::{Overview, Page as TablePage, Period, PublicJobRow, PublicReceipt, SupplyGroup};

use crate::api::{Api, Failure};
use crate::components::{
    Bar, BarChart, Downloads, EmptyState, ExplorerTabs, Fact, PublicJobTable, ReceiptTable, class_name,
};
use crate::document::Document;
use crate::format;
use crate::route::Page;
use crate::text::{Text, text};
use crate::visit::href;

const PERIOD: i64 = 600_000_000;
/// Ten-minute periods of a day.
const PERIODS: i64 = 144;

/// Supply, speed, utilisation, and the latest jobs and receipts.
pub(crate) async fn load(t: &'static Text, api: &Api) -> Result<Document, Failure> {
    let overview = api.overview().await?;
    let jobs = api.public_jobs("?limit=5").await?;
    let receipts = api.receipts("?limit=10").await?;
    let description = format!(
        "{} {} · {} · {} {}",
        format::count(overview.devices_online()),
        t.explorer.devices_online,
        format::speed(overview.flops_per_sec()),
        format::count(overview.today.tiles),
        t.explorer.tiles_today
    );
    let body = move || {
        view! {
            <h1>{t.site.explorer}</h1>
            <ExplorerTabs/>
            <section class="card"><Figures overview=overview.clone()/></section>
            <Charts overview=overview.clone()/>
            <section class="card" aria-labelledby="supply">
                <h2 id="supply">{t.explorer.supply}</h2>
                <Supply groups=overview.supply.clone()/>
            </section>
            <Latest jobs receipts/>
            <Downloads page=Page::Explorer/>
        }
        .into_any()
    };
    Ok(Document::new(t.site.explorer, body).described(description))
}

#[component]
fn Figures(
    /// The network.
    overview: Overview,
) -> impl IntoView {
    let t = text();
    let figures = [
        (t.explorer.devices_online, format::count(overview.devices_online())),
        (t.explorer.measured_speed, format::speed(overview.flops_per_sec())),
        (t.explorer.utilisation, overview.utilisation_bps.map_or_else(|| "–".to_owned(), format::percent)),
        (t.explorer.tiles_today, format::count(overview.today.tiles)),
        (t.explorer.work_today, format::kflop(overview.today.kflop)),
        (t.explorer.credits_today, format::credits(overview.today.cost)),
        (t.explorer.jobs_running, format::count(overview.jobs_running)),
        (t.explorer.jobs_done, format::count(overview.jobs_done)),
        (t.site.price, format!("{} {}", format::price(overview.price), t.site.credits)),
    ];
    let figure = |(label, value): (&'static str, String)| view! { <Fact label>{value}</Fact> };
    view! { <dl class="facts big">{figures.map(figure).collect_view()}</dl> }
}

/// Every period of the last day, empty ones included.
fn bars(overview: &Overview, value: fn(&Period) -> f64) -> Vec<Bar> {
    let last = overview.at - overview.at.rem_euclid(PERIOD);
    let starts = (0..PERIODS).map(|i| last - (PERIODS - 1 - i) * PERIOD);
    starts
        .map(|time| {
            let period = overview.periods.iter().find(|period| period.start == time);
            Bar { time, value: period.map_or(0.0, value) }
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "drawn, not counted")]
fn tiles(period: &Period) -> f64 {
    period.work.tiles as f64
}

#[expect(clippy::cast_precision_loss, reason = "drawn, not counted")]
fn credits(period: &Period) -> f64 {
    period.work.cost.micros() as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "drawn, not counted")]
fn devices(period: &Period) -> f64 {
    period.device_micros as f64 / PERIOD as f64
}

#[expect(clippy::cast_precision_loss, reason = "drawn, not counted")]
fn use_of_capacity(period: &Period) -> f64 {
    if period.capacity_kflop == 0 {
        0.0
    } else {
        (period.work.kflop as f64 / period.capacity_kflop as f64).min(1.0) * 100.0
    }
}

#[component]
fn Charts(
    /// The network.
    overview: Overview,
) -> impl IntoView {
    let t = text();
    let chart = |label: &'static str, value: fn(&Period) -> f64, show: fn(f64) -> String| {
        view! { <section class="card"><BarChart label bars=Signal::stored(bars(&overview, value)) show/></section> }
    };
    view! {
        <div class="columns even">
            {chart(t.explorer.chart_tiles, tiles, |value| format!("{value:.0}"))}
            {chart(t.explorer.chart_credits, credits, |value| format!("{value:.6}"))}
            {chart(t.explorer.chart_devices, devices, |value| format!("{value:.1}"))}
            {chart(t.explorer.chart_use, use_of_capacity, |value| format!("{value:.1} %"))}
        </div>
    }
}

#[component]
fn Supply(
    /// Most first.
    groups: Vec<SupplyGroup>,
) -> impl IntoView {
    let t = text();
    if groups.is_empty() {
        return view! {
            <EmptyState title=t.explorer.nobody_online>
                <p class="actions"><a class="button" href=href(Page::Lend)>{t.site.lend}</a></p>
            </EmptyState>
        }
        .into_any();
    }
    let row = |group: SupplyGroup| {
        view! {
            <tr>
                <td>{class_name(group.class)}</td>
                <td>{group.backend}{group.software.then(|| view! { <small>" "{t.explorer.software}</small> })}</td>
                <td class="number">{format::count(group.devices)}</td>
                <td class="number">{format::speed(group.flops_per_sec)}</td>
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=t.explorer.supply>
            <table>
                <thead><tr><th scope="col">{t.explorer.class}</th><th scope="col">{t.explorer.backend}</th><th scope="col" class="number">{t.explorer.devices_online}</th><th scope="col" class="number">{t.site.speed}</th></tr></thead>
                <tbody>{groups.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

#[component]
fn Latest(
    /// Published, newest first.
    jobs: TablePage<PublicJobRow>,
    /// Newest first.
    receipts: TablePage<PublicReceipt>,
) -> impl IntoView {
    let t = text();
    view! {
        <section class="card" aria-labelledby="latest-jobs">
            <h2 id="latest-jobs"><a href=href(Page::PublicJobs)>{t.explorer.latest_jobs}</a></h2>
            {if jobs.rows.is_empty() {
                view! { <p class="soft">{t.explorer.no_published_jobs}</p> }.into_any()
            } else {
                view! { <PublicJobTable jobs=jobs.rows/> }.into_any()
            }}
        </section>
        <section class="card" aria-labelledby="latest-receipts">
            <h2 id="latest-receipts"><a href=href(Page::Receipts)>{t.explorer.latest_receipts}</a></h2>
            {if receipts.rows.is_empty() {
                view! { <p class="soft">{t.explorer.no_receipts}</p> }.into_any()
            } else {
                view! { <ReceiptTable receipts=receipts.rows/> }.into_any()
            }}
        </section>
    }
}
