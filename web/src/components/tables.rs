use std::borrow::Cow;

use leptos::prelude::*;
use wire::DeviceId;
use wire::device::DeviceClass;
use wire::explorer::{PublicDevice, PublicJobRow, PublicReceipt, Share};

use super::table::{Action, Cell, Row, Table, mono, name, number, plain};
use crate::format;
use crate::route::Page;
use crate::text::{Text, hardware_in, text};
use crate::visit::Visit;

/// The beginning of an id: enough to tell it from its neighbours, and to search by.
pub fn short(id: &impl ToString) -> String {
    let mut id = id.to_string();
    if let Some((end, _)) = id.char_indices().nth(12) {
        id.truncate(end);
    }
    id
}

pub fn class_name(class: DeviceClass) -> &'static str {
    class_name_in(text(), class)
}

fn class_name_in(t: &'static Text, class: DeviceClass) -> &'static str {
    match class {
        DeviceClass::Native => t.explorer.native,
        DeviceClass::Tab => t.explorer.tab,
    }
}

/// The same table as CSV and JSON.
#[component]
pub fn Downloads(
    /// The page whose table it is.
    page: Page,
) -> impl IntoView {
    let t = text();
    let query =
        Visit::current().map(|visit| visit.forward_query(&["class", "online", "q", "range"])).unwrap_or_default();
    let path = page.path();
    let joint = if query.is_empty() { '?' } else { '&' };
    view! {
        <p class="downloads">
            <a href=format!("{path}.csv{query}") download="">"CSV"</a>
            <a href=format!("{path}.csv{query}{joint}bom=1") download="">{t.explorer.csv_for_excel}</a>
            <a href=format!("{path}.json{query}")>"JSON"</a>
            <span class="soft">{t.explorer.files_are_utc}</span>
        </p>
    }
}

/// Passed and failed; a dash where there was no check.
fn checks(passed: u64, failed: u64) -> String {
    match (passed, failed) {
        (0, 0) => format::UNKNOWN.to_owned(),
        _ => format!("{} / {}", format::count(passed), format::count(failed)),
    }
}

fn text_cell(text: impl Into<Cow<'static, str>>) -> Cell {
    Cell::Text(text.into())
}

fn count_cell(count: u64) -> Cell {
    text_cell(format::count(count))
}

/// Devices in display order, each with what can be done with it.
pub fn device_table(devices: Vec<PublicDevice>, action: Option<Action>) -> Table<impl Iterator<Item = Row>> {
    let t = text();
    let row = |device: PublicDevice| {
        let name = if device.name.is_empty() { format::UNKNOWN.to_owned() } else { hardware_in(t, &device.name) };
        let note = device.software.then(|| format!("{}{}", t.site.gap, t.explorer.software));
        let cells = vec![
            Cell::Link(Page::Device(device.id), short(&device.id)),
            Cell::Online(device.online),
            text_cell(class_name_in(t, device.class)),
            Cell::Noted(name, note),
            text_cell(device.backend),
            text_cell(format::speed(device.flops_per_sec)),
            count_cell(device.tiles),
            text_cell(format::kflop(device.kflop)),
            text_cell(checks(device.checks_passed, device.checks_failed)),
            text_cell(format::credits(device.earned)),
        ];
        Row { cells, device: Some(device.id) }
    };
    let columns = vec![
        mono(t.site.device),
        plain(t.site.state),
        plain(t.explorer.class),
        name(t.site.gpu),
        plain(t.explorer.backend),
        number(t.site.speed),
        number(t.site.tiles),
        number(t.site.work),
        number(t.explorer.checks),
        number(t.site.earned),
    ];
    Table { label: t.site.devices, columns, rows: devices.into_iter().map(row), action }
}

/// Whose receipts a table shows: what is the same in all of them has no column.
pub enum Whose {
    Everyones,
    OneDevices,
    /// With what its devices are called; those without a name here are shown by their ids.
    OneJobs(Vec<(DeviceId, String)>),
}

/// Receipts in display order.
pub fn receipt_table(receipts: Vec<PublicReceipt>, whose: Whose) -> Table<impl Iterator<Item = Row>> {
    let t = text();
    let (with_device, with_job, names) = match whose {
        Whose::Everyones => (true, true, Vec::new()),
        Whose::OneDevices => (false, true, Vec::new()),
        Whose::OneJobs(names) => (true, false, names),
    };
    let device_column = if names.is_empty() { mono(t.site.device) } else { name(t.site.device) };
    let columns = [mono(t.explorer.receipt), plain(t.explorer.received)]
        .into_iter()
        .chain(with_device.then_some(device_column))
        .chain(with_job.then_some(mono(t.site.job)))
        .chain([
            plain(t.site.program),
            number(t.site.tiles),
            number(t.explorer.recomputed_short),
            number(t.site.work),
            plain(t.site.state),
        ])
        .collect();
    let row = move |receipt: PublicReceipt| {
        let named = || names.iter().find(|(id, _)| *id == receipt.device).map(|(_, name)| name.clone());
        let device = || Cell::Link(Page::Device(receipt.device), named().unwrap_or_else(|| short(&receipt.device)));
        let job = || match receipt.job {
            Some(job) => Cell::Link(Page::PublicJob(job), short(&job)),
            None => Cell::Soft(t.explorer.private),
        };
        let mut cells = Vec::with_capacity(9);
        cells.push(Cell::Link(Page::Receipt(receipt.lease), short(&receipt.lease)));
        cells.push(Cell::Time(receipt.received_at));
        cells.extend(with_device.then(device));
        cells.extend(with_job.then(job));
        cells.push(text_cell(receipt.program));
        cells.push(count_cell(receipt.tiles));
        cells.push(count_cell(receipt.recomputed_tiles));
        cells.push(text_cell(format::kflop(receipt.kflop)));
        cells.push(Cell::Receipt(receipt.state));
        Row { cells, device: None }
    };
    Table { label: t.site.receipts, columns, rows: receipts.into_iter().map(row), action: None }
}

/// Published jobs in display order.
pub fn job_table(jobs: Vec<PublicJobRow>) -> Table<impl Iterator<Item = Row>> {
    let t = text();
    let row = |job: PublicJobRow| {
        let name = if job.name.is_empty() { short(&job.id) } else { job.name };
        Row::from([
            Cell::Link(Page::PublicJob(job.id), name),
            Cell::Job(job.state),
            count_cell(job.rows),
            text_cell(format!("{} / {}", format::count(job.verified_tiles), format::count(job.tiles))),
            text_cell(format::credits(job.cost)),
            Cell::Time(job.created_at),
        ])
    };
    let columns = vec![
        name(t.site.name),
        plain(t.site.state),
        number(t.site.rows),
        number(t.site.verified),
        number(t.site.cost_in_credits),
        plain(t.site.started),
    ];
    Table { label: t.site.jobs, columns, rows: jobs.into_iter().map(row), action: None }
}

/// A job's devices, most tiles first.
pub fn share_table(shares: Vec<Share>) -> Table<impl Iterator<Item = Row>> {
    let t = text();
    let row = |share: Share| {
        let name = if share.name.is_empty() { short(&share.device) } else { hardware_in(t, &share.name) };
        Row::from([
            Cell::Link(Page::Device(share.device), name),
            text_cell(share.backend),
            count_cell(share.tiles),
            count_cell(share.recomputed_tiles),
            count_cell(share.receipts),
        ])
    };
    let columns = vec![
        name(t.site.device),
        plain(t.explorer.backend),
        number(t.site.tiles),
        number(t.explorer.recomputed_short),
        number(t.site.receipts),
    ];
    Table { label: t.explorer.share_devices, columns, rows: shares.into_iter().map(row), action: None }
}

/// Receipts that are shown before anybody asks for more.
const RECEIPTS_FIRST: usize = 10;

/// The latest receipts: the first of them, and the rest on demand.
#[component]
pub fn FoldedReceipts(
    /// Newest first.
    #[prop(into)]
    receipts: Signal<Vec<PublicReceipt>>,
    /// Of some of them.
    table: impl Fn(Vec<PublicReceipt>) -> AnyView + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let t = text();
    let count = Memo::new(move |_| receipts.with(Vec::len));
    let first = move || table(receipts.with(|all| all.iter().take(RECEIPTS_FIRST).cloned().collect()));
    let rest = move || table(receipts.with(|all| all.iter().skip(RECEIPTS_FIRST).cloned().collect()));
    let more = move || {
        let more = format::count(wire::number::to(count.get().saturating_sub(RECEIPTS_FIRST)));
        format!("{}{}{more}{}", t.jobs.log_more, t.site.bracket_open, t.site.bracket_close)
    };
    view! {
        <Show when=move || { count.get() > 0 }>{first}</Show>
        <Show when=move || { count.get() > RECEIPTS_FIRST }>
            <details class="more">
                <summary>{more}</summary>
                {rest}
            </details>
        </Show>
    }
}
