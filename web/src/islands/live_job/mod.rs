//! One job of the caller's, followed until it ends.

mod actions;
mod disputes;
mod facts;
mod preview;
mod repeat;
mod story;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{Job, JobDetail, JobProgress, JobState, Micros, number};

use self::actions::Actions;
use self::disputes::Disputes;
use self::facts::{JobFacts, JobFiles};
use self::preview::ResultPreview;
use self::repeat::RepeatCode;
use self::story::{FaultNotice, Log, Timeline};
use super::compute_here::ComputeHereCard;
use super::job_events::{Connection, follow_job};
use super::sign_in::SignIn;
use crate::api::Api;
use crate::components::{Bar, BarChart, JobBadge, Mosaic, ObstacleNotice, TileCounts, share_table, short};
use crate::format;
use crate::programs::program_of;
use crate::text::{self, text};

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
        }
        // What is done with a job that has ended is in its story, too.
        follow_detail(progress, detail);
    });
    let job = Memo::new(move |_| progress.with(|progress| progress.job.clone()));
    let t = text();
    // Why nobody does it; where nobody knows why, that nobody does.
    let obstacle = Memo::new(move |_| progress.with(|progress| progress.obstacle));
    let idle = Memo::new(move |_| {
        progress.with(|p| {
            p.job.state == JobState::Running && p.devices_at_work == 0 && p.checking_tiles == 0 && p.obstacle.is_none()
        })
    });
    let counts = move || {
        progress.with(|p| TileCounts {
            tiles: p.job.tiles,
            verified: p.job.verified_tiles,
            checking: p.checking_tiles,
            ended: p.job.state.has_ended(),
        })
    };
    let is_running = Memo::new(move |_| job.with(|job| job.state == JobState::Running));
    let backends = job.with_untracked(|job| program_of(&job.program).backends());
    let name = job.with_untracked(|job| {
        if job.name.is_empty() { format!("{} {}", t.site.job, short(&id)) } else { job.name.clone() }
    });
    view! {
        <h1>{name} " " {move || view! { <JobBadge state=job.with(|job| job.state)/> }}</h1>
        <p class="mono soft">{id.to_string()}</p>
        <ConnectionNotice connection/>
        {move || obstacle.get().map(|obstacle| view! { <ObstacleNotice obstacle submitted=true/> })}
        <Show when=move || idle.get()><p class="notice">{t.jobs.waiting_for_devices}</p></Show>
        {move || job.with(|job| job.fault.clone().map(|fault| view! { <FaultNotice fault verified=job.verified_tiles/> }))}
        <section class="card">
            <Mosaic cells=Signal::derive(move || progress.with(|progress| progress.mosaic.clone()))
                checking=Signal::derive(move || progress.with(|progress| progress.checking.clone())) counts=Signal::derive(counts)/>
            <progress aria-label=t.site.verified max=move || job.with(|job| job.tiles.to_string()) value=move || job.with(|job| job.verified_tiles.to_string())></progress>
            <JobFacts progress detail/>
            <JobFiles job=job.get_untracked()/>
        </section>
        <Actions job progress/>
        <Show when=move || is_running.get()><ComputeHereCard id backends/></Show>
        <ResultPreview progress/>
        <ThroughputCard job detail/>
        <div class="columns">
            <section class="card">
                <h2>{t.explorer.share_devices}</h2>
                {move || detail.with(|detail| if detail.devices.is_empty() {
                    view! { <p class="soft">{t.site.no_devices_worked}</p> }.into_any()
                } else {
                    share_table(detail.devices.clone()).live().into_any()
                })}
            </section>
            <Timeline detail/>
        </div>
        <Disputes detail/>
        <RepeatCode job=job.get_untracked()/>
        <Log detail/>
    }
}

/// Tiles settled over time.
#[component]
fn ThroughputCard(
    /// The job.
    job: Memo<Job>,
    /// What is known of it.
    detail: RwSignal<JobDetail>,
) -> impl IntoView {
    let t = text();
    let unsettled = Memo::new(move |_| {
        let nothing = detail.with(|detail| detail.throughput.tiles.iter().all(|tiles| *tiles == 0));
        nothing && job.with(|job| job.state != JobState::Running)
    });
    let bar_length = move || format::seconds(0, detail.with(|detail| detail.throughput.step));
    view! {
        <section class="card">
            <h2>{t.jobs.throughput}</h2>
            <Show when=move || unsettled.get()><p class="soft">{t.jobs.nothing_settled}</p></Show>
            <Show when=move || !unsettled.get()>
                <p class="soft">{move || t.jobs.bar_is.replace("{time}", &bar_length())}</p>
                <BarChart label=t.jobs.tiles_per_step bars=Signal::derive(move || bars(job, detail)) show=|value| text::tiles(whole(value))/>
            </Show>
        </section>
    }
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
            .map(|(i, tiles)| Bar { time: time(i), value: Some(*tiles as f64) })
            .collect()
    })
}

/// Reads the detail again after each change of the job, at most each [`DETAIL_EVERY`].
fn follow_detail(progress: RwSignal<JobProgress>, detail: RwSignal<JobDetail>) {
    let id = progress.with_untracked(|progress| progress.job.id);
    let changed = StoredValue::new(false);
    Effect::new(move |is_first: Option<bool>| {
        progress.track();
        changed.set_value(is_first.is_some());
        true
    });
    // One at a time, so that no answer comes after that to a later question.
    let reading = StoredValue::new(false);
    let refresh = move || {
        if reading.get_value() || changed.try_update_value(std::mem::take) != Some(true) {
            return;
        }
        reading.set_value(true);
        spawn_local(async move {
            let read = Api::default().job_detail(id).await;
            reading.try_set_value(false);
            match read {
                Ok(read) => {
                    detail.try_set(read);
                }
                // The next refresh tries again.
                Err(_failure) => changed.try_update_value(|changed| *changed = true).unwrap_or_default(),
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
