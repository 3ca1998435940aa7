use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{Job, JobDetail, JobDispute, JobEvent, JobFault, JobProgress, JobState, Micros, number};

use super::compute_here::ComputeHereCard;
use super::dialog::Confirm;
use super::job_events::{Connection, follow_job};
use super::sign_in::SignIn;
use super::toast::toast;
use crate::api::{self, Api, Failure};
use crate::browser::origin;
use crate::components::{Bar, BarChart, Fact, JobBadge, Moment, Mosaic, ReceiptTable, ShareTable, short};
use crate::format;
use crate::programs::program_of;
use crate::route::Page;
use crate::text::text;
use crate::visit::href;

/// The detail is read at most this often.
const DETAIL_EVERY: std::time::Duration = std::time::Duration::from_secs(2);

/// One job of the caller's, followed until it ends.
#[island]
pub fn LiveJobIsland(
    /// The job as it was when the page was made.
    progress: JobProgress,
    /// Its devices, events and receipts.
    detail: JobDetail,
) -> impl IntoView {
    let id = progress.job.id;
    let progress = RwSignal::new(progress);
    let detail = RwSignal::new(detail);
    let connection = RwSignal::new(Connection::Open);
    Effect::new(move |_| {
        if !progress.with_untracked(|progress| progress.job.state.has_ended()) {
            follow_job(id, progress, connection);
            follow_detail(progress, detail);
        }
    });
    let job = Memo::new(move |_| progress.with(|progress| progress.job.clone()));
    let t = text();
    let idle =
        move || progress.with(|progress| progress.job.state == JobState::Running && progress.devices_at_work == 0);
    let is_running = Memo::new(move |_| job.with(|job| job.state == JobState::Running));
    let backends = job.with_untracked(|job| program_of(&job.program).backends());
    let name = job.with_untracked(|job| {
        if job.name.is_empty() { format!("{} {}", t.site.job, short(&id)) } else { job.name.clone() }
    });
    view! {
        <h1>{name} " " {move || view! { <JobBadge state=job.with(|job| job.state)/> }}</h1>
        <p class="mono soft">{id.to_string()}</p>
        <ConnectionNotice connection/>
        <Show when=idle><p class="notice">{t.jobs.waiting_for_devices}</p></Show>
        {move || job.with(|job| job.fault.clone()).map(|fault| view! { <FaultNotice fault/> })}
        <section class="card">
            <Mosaic cells=Signal::derive(move || progress.with(|progress| progress.mosaic.clone()))/>
            <progress aria-label=t.site.verified max=move || job.with(|job| job.tiles.to_string()) value=move || job.with(|job| job.verified_tiles.to_string())></progress>
            <JobFacts progress detail/>
        </section>
        <Actions job progress/>
        <Show when=move || is_running.get()><ComputeHereCard id backends/></Show>
        <section class="card">
            <h2>{t.jobs.throughput}</h2>
            <BarChart label=t.jobs.tiles_per_step bars=Signal::derive(move || bars(job, detail)) show=|value| format!("{} {}", format::count(whole(value)), text().site.tiles)/>
        </section>
        <div class="columns">
            <section class="card">
                <h2>{t.explorer.share_devices}</h2>
                {move || detail.with(|detail| if detail.devices.is_empty() {
                    view! { <p class="soft">{t.site.no_devices_worked}</p> }.into_any()
                } else {
                    view! { <ShareTable shares=detail.devices.clone()/> }.into_any()
                })}
            </section>
            <section class="card">
                <h2>{t.jobs.timeline}</h2>
                <ol class="timeline">
                    {move || detail.with(|detail| detail.events.iter().cloned().map(|event| view! { <Event event/> }).collect_view())}
                </ol>
            </section>
        </div>
        <Disputes detail/>
        <section class="card">
            <h2>{t.jobs.log}</h2>
            {move || detail.with(|detail| if detail.receipts.is_empty() {
                view! { <p class="soft">{t.explorer.no_receipts}</p> }.into_any()
            } else {
                view! { <ReceiptTable receipts=detail.receipts.clone() with_job=false/> }.into_any()
            })}
        </section>
    }
}

/// Why the job's program failed, and what to do.
#[component]
fn FaultNotice(
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
    };
    view! { <p class="notice bad" role="alert" data-testid="fault">{said}</p> }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and small by its making")]
fn whole(value: f64) -> u64 {
    value as u64
}

#[expect(clippy::cast_precision_loss, reason = "drawn, not counted")]
fn bars(job: Memo<Job>, detail: RwSignal<JobDetail>) -> Vec<Bar> {
    let start = job.with(|job| job.created_at);
    detail.with(|detail| {
        let step = detail.throughput.step;
        let time = |i: usize| start + number::to::<Micros>(i) * step;
        detail
            .throughput
            .tiles
            .iter()
            .enumerate()
            .map(|(i, tiles)| Bar { time: time(i), value: *tiles as f64 })
            .collect()
    })
}

/// Reads the detail again while the job goes on, and once after its end.
fn follow_detail(progress: RwSignal<JobProgress>, detail: RwSignal<JobDetail>) {
    let id = progress.with_untracked(|progress| progress.job.id);
    let seen = StoredValue::new(None::<(u64, JobState)>);
    let refresh = move || {
        let now = progress.with_untracked(|progress| (progress.job.verified_tiles, progress.job.state));
        if seen.get_value() == Some(now) {
            return;
        }
        seen.set_value(Some(now));
        spawn_local(async move {
            match Api::default().job_detail(id).await {
                Ok(read) => {
                    detail.try_set(read);
                }
                // The next refresh tries again.
                Err(_failure) => seen.try_update_value(|seen| *seen = None).unwrap_or_default(),
            }
        });
    };
    if let Ok(interval) = set_interval_with_handle(refresh, DETAIL_EVERY) {
        on_cleanup(move || interval.clear());
    }
}

#[component]
fn ConnectionNotice(
    /// Its state.
    connection: RwSignal<Connection>,
) -> impl IntoView {
    let t = text();
    move || match connection.get() {
        Connection::Open => ().into_any(),
        Connection::Lost => view! { <p class="notice" role="status">{t.jobs.reconnecting}</p> }.into_any(),
        Connection::SignedOut => view! {
            <div class="notice" role="alert">
                <p>{t.account.session_ended}</p>
                <SignIn on_account=|_account| window().location().reload().unwrap_or_default()/>
            </div>
        }
        .into_any(),
    }
}

#[component]
fn Event(
    /// What happened.
    event: JobEvent,
) -> impl IntoView {
    let t = text();
    view! {
        <li>
            <Moment time=event.at/>
            <span>{t.jobs.job_event(event.kind)}</span>
            {event.device.map(|device| view! { <a class="mono" href=href(Page::Device(device))>{short(&device)}</a> })}
        </li>
    }
}

/// The tiles of which two runs disagreed, if there are any.
#[component]
fn Disputes(
    /// What is known of the job.
    detail: RwSignal<JobDetail>,
) -> impl IntoView {
    let t = text();
    let card = move |disputes: Vec<JobDispute>| {
        view! {
            <section class="card">
                <h2>{t.jobs.disputes}</h2>
                <p class="hint">{t.jobs.disputes_hint}</p>
                {disputes.into_iter().map(|dispute| view! { <Dispute dispute/> }).collect_view()}
            </section>
        }
    };
    move || {
        let disputes = detail.with(|detail| detail.disputes.clone());
        (!disputes.is_empty()).then(|| card(disputes))
    }
}

/// A tile of which two runs disagreed, with both outputs.
#[component]
fn Dispute(
    /// What differs, and what came of it.
    dispute: JobDispute,
) -> impl IntoView {
    let t = text();
    let JobDispute { tile, at, device, state, first_value, signed, recomputed } = dispute;
    let values = |values: Vec<String>| if values.is_empty() { t.jobs.no_output.to_owned() } else { values.join(" ") };
    view! {
        <h3>{t.site.tile} " " {format::count(tile)} " · " {t.jobs.dispute_state(state)} " · " <small><Moment time=at/></small></h3>
        <p class="soft">{t.jobs.signed_by} " " <a class="mono" href=href(Page::Device(device))>{short(&device)}</a> " · " {t.jobs.values_from} " " {format::count(first_value)}</p>
        <p class="mono">{values(signed)}</p>
        <p class="soft">{t.jobs.recomputed_as}</p>
        <p class="mono">{values(recomputed)}</p>
    }
}

#[component]
fn JobFacts(
    /// The job.
    progress: RwSignal<JobProgress>,
    /// For the server's clock.
    detail: RwSignal<JobDetail>,
) -> impl IntoView {
    let t = text();
    let figure = move |read: fn(&JobProgress) -> String| move || progress.with(read);
    // Time left at the mean speed so far. The server's clock, since this computer's may be wrong.
    let left = move || {
        let (job, now) = (progress.with(|progress| progress.job.clone()), detail.with(|detail| detail.at));
        let spent = number::to::<u64>((now - job.created_at).max(0) / 1_000_000);
        let running = job.state == JobState::Running && job.verified_tiles > 0 && spent > 0;
        running.then(|| format::duration(spent * (job.tiles - job.verified_tiles) / job.verified_tiles))
    };
    view! {
        <dl class="facts">
            <Fact label=t.site.verified><span data-testid="verified">{figure(|p| format::count(p.job.verified_tiles))}</span> " / " {figure(|p| format::count(p.job.tiles))}</Fact>
            <Fact label=t.site.recomputed>{figure(|p| format::count(p.job.recomputed_tiles))}</Fact>
            <Fact label=t.jobs.at_work>{figure(|p| format::count(p.devices_at_work))}</Fact>
            <Fact label=t.site.cost><span data-testid="cost">{figure(|p| format::credits(p.job.cost))}</span> " " <small>{t.jobs.of_held} " " {figure(|p| format::credits(p.job.hold))}</small></Fact>
            <Fact label=t.site.rows>{figure(|p| format::count(p.job.rows))}</Fact>
            <Fact label=t.site.work>{figure(|p| format::flops(p.job.flops))}</Fact>
            <Fact label=t.jobs.privacy>{move || progress.with(|p| t.jobs.privacy_class(p.job.privacy).0)}</Fact>
            <Fact label=t.site.started><small><Moment time=progress.with_untracked(|p| p.job.created_at)/></small></Fact>
            {move || left().map(|left| view! { <Fact label=t.jobs.time_left>{left}</Fact> })}
            {move || progress.with(|p| p.job.ended_at.map(|ended| (p.job.created_at, ended))).map(|(created, ended)| view! {
                <Fact label=t.site.took>{format::seconds(created, ended)}</Fact>
            })}
        </dl>
    }
}

#[component]
fn Actions(
    /// The job.
    job: Memo<Job>,
    /// Updated by what an action changes.
    progress: RwSignal<JobProgress>,
) -> impl IntoView {
    let t = text();
    let failure = RwSignal::new(None::<Failure>);
    let id = job.with_untracked(|job| job.id);
    let on_answer = move |answer: Result<Job, Failure>, done: &'static str| match answer {
        Ok(changed) => {
            failure.set(None);
            progress.update(|progress| progress.job = changed);
            toast(done);
        }
        Err(error) => failure.set(Some(error)),
    };
    let cancel = move || spawn_local(async move { on_answer(api::cancel(id).await, t.jobs.job_cancelled) });
    let published = move || job.with(|job| job.published);
    let publish = move || {
        let published = !job.with_untracked(|job| job.published);
        let done = if published { t.jobs.job_published } else { t.jobs.job_unpublished };
        spawn_local(async move { on_answer(api::set_published(id, published).await, done) });
    };
    let state = move || job.with(|job| job.state);
    let site = RwSignal::new(String::new());
    Effect::new(move |_| site.set(origin()));
    let either = move |yes: &'static str, no: &'static str| Signal::derive(move || if published() { yes } else { no });
    view! {
        <div class="actions">
            <Show when=move || state() == JobState::Done>
                {job.with_untracked(|job| program_of(&job.program).result(job))}
            </Show>
            <Show when=move || state() != JobState::Done && job.with(|job| job.state.has_ended() && job.verified_tiles > 0)>
                <a class="button primary" href=api::partial_result_path(id) download=format!("{id}.npz")>{t.jobs.download_partial}</a>
            </Show>
            <a class="button" href=format!("{}?from={id}", Page::NewJob.path())>{t.jobs.run_again}</a>
            <Confirm label=either(t.jobs.unpublish, t.jobs.publish) title=either(t.jobs.unpublish_title, t.jobs.publish_title)
                explanation=either(t.jobs.unpublish_explanation, t.jobs.publish_explanation) on_yes=publish/>
            <Show when=move || state() == JobState::Running>
                <Confirm label=Signal::stored(t.jobs.cancel) title=Signal::stored(t.jobs.cancel_title) explanation=Signal::stored(t.jobs.cancel_explanation) on_yes=cancel/>
            </Show>
        </div>
        <Show when=published>
            <p>{t.jobs.published_at} " " <a href=href(Page::PublicJob(id))>{t.jobs.public_page}</a></p>
            <div class="joined">
                <code class="key" id="public-address">{move || site.get()}{Page::PublicJob(id).path()}</code>
                <button type="button" data-copy="public-address">{t.jobs.copy_link}</button>
            </div>
        </Show>
        <p class="error" role="alert">{move || failure.get().map(|failure| failure.message())}</p>
    }
}
