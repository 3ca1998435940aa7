use leptos::prelude::*;
use wire::DeviceId;
use wire::device::DeviceClass;
use wire::explorer::{PublicDevice, PublicJobRow, PublicReceipt, Share};

use super::facts::{JobBadge, Moment, ReceiptBadge};
use crate::format;
use crate::route::Page;
use crate::text::text;
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
    let query = Visit::current().map(|visit| visit.forward_query(&["class", "online", "q"])).unwrap_or_default();
    let path = page.path();
    view! {
        <p class="downloads">
            <a href=format!("{path}.csv{query}") download="">"CSV"</a>
            <a href=format!("{path}.json{query}")>"JSON"</a>
        </p>
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
        view! {
            <tr>
                <td class="mono"><a href=href(Page::Device(device.id))>{short(&device.id)}</a></td>
                <td>
                    <span class=if device.online { "dot on" } else { "dot" } aria-hidden="true"></span>
                    {if device.online { t.explorer.online } else { t.explorer.offline }}
                </td>
                <td>{class_name(device.class)}</td>
                <td class="name">{device.name}{device.software.then(|| view! { <small>" "{t.explorer.software}</small> })}</td>
                <td>{device.backend}</td>
                <td class="number">{format::speed(device.flops_per_sec)}</td>
                <td class="number">{format::count(device.tiles)}</td>
                <td class="number">{format::kflop(device.kflop)}</td>
                <td class="number">{format::count(device.checks_passed)}" / "{format::count(device.checks_failed)}</td>
                <td class="number">{format::credits(device.earned)}</td>
                {action.map(|action| view! { <td class="number">{action(device.id)}</td> })}
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=t.site.devices>
            <table>
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
) -> impl IntoView {
    let t = text();
    let row = move |receipt: PublicReceipt| {
        view! {
            <tr>
                <td class="mono"><a href=href(Page::Receipt(receipt.lease))>{short(&receipt.lease)}</a></td>
                <td><Moment time=receipt.received_at/></td>
                {with_device.then(|| view! { <td class="mono"><a href=href(Page::Device(receipt.device))>{short(&receipt.device)}</a></td> })}
                {with_job.then(|| view! {
                    <td class="mono">
                        {match receipt.job {
                            Some(job) => view! { <a href=href(Page::PublicJob(job))>{short(&job)}</a> }.into_any(),
                            None => view! { <span class="soft">{t.explorer.private}</span> }.into_any(),
                        }}
                    </td>
                })}
                <td>{receipt.program}</td>
                <td class="number">{format::count(receipt.tiles)}</td>
                <td class="number">{format::count(receipt.recomputed_tiles)}</td>
                <td class="number">{format::work(receipt.kflop)}</td>
                <td><ReceiptBadge state=receipt.state/></td>
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=t.site.receipts>
            <table>
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
                <td class="name"><a href=href(Page::PublicJob(job.id))>{name}</a></td>
                <td><JobBadge state=job.state/></td>
                <td class="number">{format::count(job.rows)}</td>
                <td class="number">{format::count(job.verified_tiles)}" / "{format::count(job.tiles)}</td>
                <td class="number">{format::credits(job.cost)}</td>
                <td><Moment time=job.created_at/></td>
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=t.site.jobs>
            <table>
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
        view! {
            <tr>
                <td class="mono"><a href=href(Page::Device(share.device))>{short(&share.device)}</a></td>
                <td>{share.backend}</td>
                <td class="number">{format::count(share.tiles)}</td>
                <td class="number">{format::count(share.recomputed_tiles)}</td>
                <td class="number">{format::count(share.receipts)}</td>
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=t.explorer.share_devices>
            <table>
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
