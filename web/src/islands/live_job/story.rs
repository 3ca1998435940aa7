//! What happened to a job, and why it ended.

use leptos::prelude::*;
use wire::explorer::PublicReceipt;
use wire::{JobDetail, JobEvent, JobFault};

use super::disputes::device_name;
use crate::components::{Ago, FoldedReceipts, Moment, Whose, receipt_table};
use crate::format;
use crate::route::Page;
use crate::text::{spaced, text};
use crate::visit::href;

/// Why the job's program failed, and what to do.
#[component]
pub(super) fn FaultNotice(
    /// What happened.
    fault: JobFault,
    /// Tiles that were verified and paid.
    verified: u64,
) -> impl IntoView {
    let t = text();
    let paid = if verified == 0 { t.jobs.nothing_is_paid } else { t.jobs.part_is_paid };
    let said = match fault {
        JobFault::OutOfFuel { line, turns, tile } => {
            let (cause, help) = if turns {
                (t.jobs.too_many_turns, t.jobs.too_many_turns_help)
            } else {
                (t.jobs.out_of_fuel, t.jobs.out_of_fuel_help)
            };
            let place = in_brackets(&format!("{} {}", t.site.tile, format::count(tile)));
            format!("{cause}{}{line}{place}{}{help}", t.site.gap, t.site.stop)
        }
        JobFault::CannotCompile { backend, message } => {
            let said = in_brackets(&format!("{backend}{}{message}", t.site.colon));
            format!("{}{said}{}{}", t.jobs.cannot_compile, t.site.gap, t.jobs.cannot_compile_help)
        }
        JobFault::CannotCompute { tile, reason } => {
            let said = in_brackets(&format!("{} {}{}{reason}", t.site.tile, format::count(tile), t.site.colon));
            format!("{}{said}{}{}", t.jobs.cannot_compute, t.site.gap, t.jobs.cannot_compute_help)
        }
        JobFault::DeadlinePassed { .. } => t.jobs.deadline_passed.to_owned(),
    };
    view! { <p class="notice bad" role="alert" data-testid="fault">{spaced(&said)} {paid}</p> }
}

fn in_brackets(said: &str) -> String {
    let t = text();
    format!("{}{said}{}", t.site.bracket_open, t.site.bracket_close)
}

#[component]
pub(super) fn Timeline(
    /// What is known of the job.
    detail: RwSignal<JobDetail>,
) -> impl IntoView {
    let t = text();
    let line = move |event: &JobEvent, detail: &JobDetail| {
        let device = event.device.map(|device| (device, device_name(detail, device)));
        view! {
            <li>
                <span>{t.jobs.job_event(event.kind)}</span>
                {device.map(|(device, name)| view! { <a href=href(Page::Device(device))>{name}</a> })}
                <span class="when"><Ago time=event.at/> " · " <Moment time=event.at/></span>
            </li>
        }
    };
    view! {
        <section class="card">
            <h2>{t.jobs.timeline}</h2>
            <ol class="timeline">
                {move || detail.with(|detail| detail.events.iter().map(|event| line(event, detail)).collect_view())}
            </ol>
        </section>
    }
}

/// A job's latest receipts.
#[component]
pub(super) fn Log(
    /// What is known of the job.
    detail: RwSignal<JobDetail>,
) -> impl IntoView {
    let t = text();
    let receipts = Signal::derive(move || detail.with(|detail| detail.receipts.clone()));
    let table = move |receipts: Vec<PublicReceipt>| {
        detail.with(|detail| {
            let names = detail.devices.iter().map(|share| (share.device, device_name(detail, share.device)));
            let names = names.collect::<Vec<_>>();
            receipt_table(receipts, Whose::OneJobs(names)).live().into_any()
        })
    };
    view! {
        <section class="card">
            <h2>{t.jobs.log}</h2>
            <Show when=move || receipts.with(Vec::is_empty)><p class="soft">{t.explorer.no_receipts}</p></Show>
            <FoldedReceipts receipts table/>
        </section>
    }
}
