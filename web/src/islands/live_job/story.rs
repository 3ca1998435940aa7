//! What happened to a job, and why it ended.

use leptos::prelude::*;
use wire::{JobDetail, JobEvent, JobFault};

use super::disputes::device_name;
use crate::components::{Ago, Moment};
use crate::format;
use crate::route::Page;
use crate::text::text;
use crate::visit::href;

/// Why the job's program failed, and what to do.
#[component]
pub(super) fn FaultNotice(
    /// What happened.
    fault: JobFault,
) -> impl IntoView {
    let t = text();
    let said = match fault {
        JobFault::OutOfFuel { line, turns, tile } => {
            let cause = if turns { t.jobs.too_many_turns } else { t.jobs.out_of_fuel };
            format!("{cause} {line} ({} {}). {}", t.site.tile, format::count(tile), t.jobs.out_of_fuel_help)
        }
        JobFault::CannotCompile { backend, message } => {
            format!("{} ({backend}: {message}) {}", t.jobs.cannot_compile, t.jobs.cannot_compile_help)
        }
        JobFault::CannotCompute { tile, reason } => {
            format!(
                "{} ({} {}: {reason}) {}",
                t.jobs.cannot_compute,
                t.site.tile,
                format::count(tile),
                t.jobs.cannot_compute_help
            )
        }
        JobFault::DeadlinePassed { .. } => t.jobs.deadline_passed.to_owned(),
    };
    view! { <p class="notice bad" role="alert" data-testid="fault">{said}</p> }
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
