use leptos::prelude::*;
use wire::Micros;
use wire::explorer::{ChartRange, Overview, Page as TablePage, Period, PublicJobRow, PublicReceipt, SupplyGroup};

use crate::api::{Api, Failure};
use crate::components::{
    Bar, BarChart, ChartRanges, Downloads, EmptyState, ExplorerTabs, Fact, Whose, class_name, job_table, receipt_table,
};
use crate::document::Document;
use crate::format;
use crate::route::Page;
use crate::text::{Text, text};
use crate::visit::{Visit, href};

/// Supply, speed, utilisation, and the latest jobs and receipts.
pub(crate) async fn load(t: &'static Text, visit: &Visit, api: &Api) -> Result<Document, Failure> {
    let range = visit.parameter("range").and_then(ChartRange::parse).unwrap_or_default();
    let overview = api.overview_of(range).await?;
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
            <Charts overview=overview.clone() range/>
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

/// A period's value, which knows how much of the period is over.
type Value = fn(&Period, Micros) -> Option<f64>;

/// Every period of the range, those without devices and work included.
fn bars(overview: &Overview, range: ChartRange, value: Value) -> Vec<Bar> {
    let first = range.first_period(overview.at);
    let starts = (0..range.periods()).map(|i| first + i * range.period());
    let idle = |start| Period { start, ..Period::default() };
    starts
        .map(|time| {
            let period = overview.periods.iter().find(|period| period.start == time).copied();
            let so_far = range.period().min(overview.at - time);
            Bar { time, value: value(&period.unwrap_or_else(|| idle(time)), so_far) }
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, clippy::unnecessary_wraps, reason = "drawn, beside what may be unknown")]
fn tiles(period: &Period, _so_far: Micros) -> Option<f64> {
    Some(period.work.tiles as f64)
}

#[expect(clippy::cast_precision_loss, clippy::unnecessary_wraps, reason = "drawn, beside what may be unknown")]
fn credits(period: &Period, _so_far: Micros) -> Option<f64> {
    Some(period.work.cost.micros() as f64 / 1e6)
}

/// Their mean. `None` until a period is a minute old: presence is written down a few times a minute.
#[expect(clippy::cast_precision_loss, reason = "drawn, not counted")]
fn devices(period: &Period, so_far: Micros) -> Option<f64> {
    (so_far >= 60_000_000).then(|| period.device_micros as f64 / so_far as f64)
}

/// `None` while no device was there to be used.
#[expect(clippy::cast_precision_loss, reason = "drawn, not counted")]
fn use_of_capacity(period: &Period, _so_far: Micros) -> Option<f64> {
    (period.offered_micros > 0).then(|| (period.busy_micros as f64 / period.offered_micros as f64).min(1.0) * 100.0)
}

#[component]
fn Charts(
    /// The network.
    overview: Overview,
    /// How far back.
    range: ChartRange,
) -> impl IntoView {
    let t = text();
    let chart = |label: &'static str, value: Value, show: fn(f64) -> String, least: f64| {
        let bars = Signal::stored(bars(&overview, range, value));
        view! { <section class="card"><BarChart label bars show least/></section> }
    };
    view! {
        <div class="title-row"><h2 class="section" id="charts">{t.explorer.charts}</h2><ChartRanges chosen=range/></div>
        <p class="soft">{t.explorer.chart_period(range)}</p>
        <div class="columns even">
            {chart(t.explorer.chart_tiles, tiles, |value| {
                let t = text();
                let shown = format::number(value);
                let unit = if shown == "1" { t.site.tile_unit } else { t.site.tiles_unit };
                format!("{shown} {unit}")
            }, 2.0)}
            {chart(t.explorer.chart_credits, credits, |value| format!("{} {}", format::about_credits(value), text().site.credits), 0.0)}
            {chart(t.explorer.chart_devices, devices, |value| format!("{value:.1} {}", text().explorer.devices_unit), 2.0)}
            {chart(t.explorer.chart_use, use_of_capacity, |value| format!("{value:.1} %"), 10.0)}
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
                <td data-label=t.explorer.class>{class_name(group.class)}</td>
                <td data-label=t.explorer.backend><span>{group.backend}{group.software.then(|| view! { <small>{format!("{}{}", t.site.gap, t.explorer.software)}</small> })}</span></td>
                <td data-label=t.explorer.devices_online class="number">{format::count(group.devices)}</td>
                <td data-label=t.site.speed class="number">{format::speed(group.flops_per_sec)}</td>
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=t.explorer.supply>
            <table class="rows">
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
                job_table(jobs.rows).fixed().into_any()
            }}
        </section>
        <section class="card" aria-labelledby="latest-receipts">
            <h2 id="latest-receipts"><a href=href(Page::Receipts)>{t.explorer.latest_receipts}</a></h2>
            {if receipts.rows.is_empty() {
                view! { <p class="soft">{t.explorer.no_receipts}</p> }.into_any()
            } else {
                receipt_table(receipts.rows, Whose::Everyones).fixed().into_any()
            }}
        </section>
    }
}
