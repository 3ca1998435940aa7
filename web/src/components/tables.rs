use leptos::prelude::*;
use wire::device::DeviceClass;
use wire::explorer::{PublicDevice, PublicJobRow, PublicReceipt, Share};
use wire::{DeviceId, number};

use super::facts::{JobBadge, Moment, ReceiptBadge};
use crate::format;
use crate::route::Page;
use crate::text::{hardware, text};
use crate::visit::{Visit, href};

/// The beginning of an id: enough to tell it from its neighbours, and to search by.
pub fn short(id: &impl ToString) -> String {
    id.to_string().chars().take(12).collect()
}

pub fn class_name(class: DeviceClass) -> &'static str {
    let t = text();
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

#[component]
pub fn DeviceTable(
    /// In display order.
    devices: Vec<PublicDevice>,
    /// What can be done with one, in a last column.
    #[prop(optional)]
    action: Option<fn(DeviceId) -> AnyView>,
) -> impl IntoView {
    let t = text();
    let row = |device: PublicDevice| {
        let name = if device.name.is_empty() { format::UNKNOWN.to_owned() } else { hardware(&device.name) };
        view! {
            <tr>
                <td data-label=t.site.device class="mono"><a href=href(Page::Device(device.id))>{short(&device.id)}</a></td>
                <td data-label=t.site.state><span>
                    <span class=if device.online { "dot on" } else { "dot" } aria-hidden="true"></span>
                    {if device.online { t.explorer.online } else { t.explorer.offline }}
                </span></td>
                <td data-label=t.explorer.class>{class_name(device.class)}</td>
                <td data-label=t.site.gpu class="name"><span>{name}{device.software.then(|| view! { <small>{format!("{}{}", t.site.gap, t.explorer.software)}</small> })}</span></td>
                <td data-label=t.explorer.backend>{device.backend}</td>
                <td data-label=t.site.speed class="number">{format::speed(device.flops_per_sec)}</td>
                <td data-label=t.site.tiles class="number">{format::count(device.tiles)}</td>
                <td data-label=t.site.work class="number">{format::kflop(device.kflop)}</td>
                <td data-label=t.explorer.checks class="number">{checks(device.checks_passed, device.checks_failed)}</td>
                <td data-label=t.site.earned class="number">{format::credits(device.earned)}</td>
                {action.map(|action| view! { <td class="number">{action(device.id)}</td> })}
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=t.site.devices>
            <table class="rows">
                <thead>
                    <tr>
                        <th scope="col">{t.site.device}</th>
                        <th scope="col">{t.site.state}</th>
                        <th scope="col">{t.explorer.class}</th>
                        <th scope="col">{t.site.gpu}</th>
                        <th scope="col">{t.explorer.backend}</th>
                        <th scope="col" class="number">{t.site.speed}</th>
                        <th scope="col" class="number">{t.site.tiles}</th>
                        <th scope="col" class="number">{t.site.work}</th>
                        <th scope="col" class="number">{t.explorer.checks}</th>
                        <th scope="col" class="number">{t.site.earned}</th>
                        {action.map(|_| view! { <th scope="col"><span class="unseen">{t.account.unlink}</span></th> })}
                    </tr>
                </thead>
                <tbody>{devices.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
}

#[component]
pub fn ReceiptTable(
    /// In display order.
    receipts: Vec<PublicReceipt>,
    /// The device's column, which a device's own page does not need.
    #[prop(default = true)]
    with_device: bool,
    /// The job's column, which a job's own page does not need.
    #[prop(default = true)]
    with_job: bool,
    /// What devices are called; those without a name here are shown by their ids.
    #[prop(optional)]
    names: Vec<(DeviceId, String)>,
) -> impl IntoView {
    let t = text();
    // A name is as long as it is, and gives way to the figures.
    let kind = if names.is_empty() { "mono" } else { "name" };
    let named = move |device: DeviceId| names.iter().find(|(id, _)| *id == device).map(|(_, name)| name.clone());
    let row = move |receipt: PublicReceipt| {
        view! {
            <tr>
                <td data-label=t.explorer.receipt class="mono"><a href=href(Page::Receipt(receipt.lease))>{short(&receipt.lease)}</a></td>
                <td data-label=t.explorer.received><Moment time=receipt.received_at/></td>
                {with_device.then(|| view! { <td data-label=t.site.device class=kind><a href=href(Page::Device(receipt.device))>{named(receipt.device).unwrap_or_else(|| short(&receipt.device))}</a></td> })}
                {with_job.then(|| view! {
                    <td data-label=t.site.job class="mono">
                        {match receipt.job {
                            Some(job) => view! { <a href=href(Page::PublicJob(job))>{short(&job)}</a> }.into_any(),
                            None => view! { <span class="soft">{t.explorer.private}</span> }.into_any(),
                        }}
                    </td>
                })}
                <td data-label=t.site.program>{receipt.program}</td>
                <td data-label=t.site.tiles class="number">{format::count(receipt.tiles)}</td>
                <td data-label=t.explorer.recomputed_short class="number">{format::count(receipt.recomputed_tiles)}</td>
                <td data-label=t.site.work class="number">{format::kflop(receipt.kflop)}</td>
                <td data-label=t.site.state><ReceiptBadge state=receipt.state/></td>
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=t.site.receipts>
            <table class="rows">
                <thead>
                    <tr>
                        <th scope="col">{t.explorer.receipt}</th>
                        <th scope="col">{t.explorer.received}</th>
                        {with_device.then(|| view! { <th scope="col">{t.site.device}</th> })}
                        {with_job.then(|| view! { <th scope="col">{t.site.job}</th> })}
                        <th scope="col">{t.site.program}</th>
                        <th scope="col" class="number">{t.site.tiles}</th>
                        <th scope="col" class="number">{t.explorer.recomputed_short}</th>
                        <th scope="col" class="number">{t.site.work}</th>
                        <th scope="col">{t.site.state}</th>
                    </tr>
                </thead>
                <tbody>{receipts.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
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
        let more = format::count(number::to(count.get().saturating_sub(RECEIPTS_FIRST)));
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

#[component]
pub fn PublicJobTable(
    /// In display order.
    jobs: Vec<PublicJobRow>,
) -> impl IntoView {
    let t = text();
    let row = |job: PublicJobRow| {
        let name = if job.name.is_empty() { short(&job.id) } else { job.name };
        view! {
            <tr>
                <td data-label=t.site.name class="name"><a href=href(Page::PublicJob(job.id))>{name}</a></td>
                <td data-label=t.site.state><JobBadge state=job.state/></td>
                <td data-label=t.site.rows class="number">{format::count(job.rows)}</td>
                <td data-label=t.site.verified class="number">{format!("{} / {}", format::count(job.verified_tiles), format::count(job.tiles))}</td>
                <td data-label=t.site.cost_in_credits class="number">{format::credits(job.cost)}</td>
                <td data-label=t.site.started><Moment time=job.created_at/></td>
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=t.site.jobs>
            <table class="rows">
                <thead>
                    <tr>
                        <th scope="col">{t.site.name}</th>
                        <th scope="col">{t.site.state}</th>
                        <th scope="col" class="number">{t.site.rows}</th>
                        <th scope="col" class="number">{t.site.verified}</th>
                        <th scope="col" class="number">{t.site.cost_in_credits}</th>
                        <th scope="col">{t.site.started}</th>
                    </tr>
                </thead>
                <tbody>{jobs.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
}

#[component]
pub fn ShareTable(
    /// Most tiles first.
    shares: Vec<Share>,
) -> impl IntoView {
    let t = text();
    let row = |share: Share| {
        let name = if share.name.is_empty() { short(&share.device) } else { hardware(&share.name) };
        view! {
            <tr>
                <td data-label=t.site.device class="name"><a href=href(Page::Device(share.device))>{name}</a></td>
                <td data-label=t.explorer.backend>{share.backend}</td>
                <td data-label=t.site.tiles class="number">{format::count(share.tiles)}</td>
                <td data-label=t.explorer.recomputed_short class="number">{format::count(share.recomputed_tiles)}</td>
                <td data-label=t.site.receipts class="number">{format::count(share.receipts)}</td>
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=t.explorer.share_devices>
            <table class="rows">
                <thead>
                    <tr>
                        <th scope="col">{t.site.device}</th>
                        <th scope="col">{t.explorer.backend}</th>
                        <th scope="col" class="number">{t.site.tiles}</th>
                        <th scope="col" class="number">{t.explorer.recomputed_short}</th>
                        <th scope="col" class="number">{t.site.receipts}</th>
                    </tr>
                </thead>
                <tbody>{shares.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
}
