use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{Job, JobPage, JobState};

use crate::api::Api;
use crate::components::{JobBadge, Moment, short};
use crate::format;
use crate::route::Page;
use crate::text::text;
use crate::visit::href;

const REFRESH_EVERY: std::time::Duration = std::time::Duration::from_secs(2);

/// An account's jobs; while one of them runs, the table follows.
#[island]
pub fn JobTableIsland(
    /// As it was when the page was made.
    page: JobPage,
    /// What the table shows, to be asked again.
    query: String,
) -> impl IntoView {
    let t = text();
    let jobs = RwSignal::new(page.jobs);
    let stale = RwSignal::new(false);
    Effect::new(move |_| {
        let query = query.clone();
        let refresh = move || {
            let running = jobs.with_untracked(|jobs| jobs.iter().any(|job| job.state == JobState::Running));
            if !running || document().hidden() {
                return;
            }
            let query = query.clone();
            spawn_local(async move {
                let read = Api::default().jobs(&query).await;
                stale.try_set(read.is_err());
                if let Ok(page) = read {
                    jobs.try_set(page.jobs);
                }
            });
        };
        if let Ok(interval) = set_interval_with_handle(refresh, REFRESH_EVERY) {
            on_cleanup(move || interval.clear());
        }
    });
    let row = |job: Job| {
        let name = if job.name.is_empty() { short(&job.id) } else { job.name.clone() };
        view! {
            <tr>
                <td data-label=t.site.name class="name"><a href=href(Page::Job(job.id))>{name}</a></td>
                <td data-label=t.site.state><JobBadge state=job.state/></td>
                <td data-label=t.jobs.progress>
                    <progress class="slim" aria-label=text().site.verified max=job.tiles.to_string() value=job.verified_tiles.to_string()></progress>
                </td>
                <td data-label=t.site.verified class="number">{format!("{} / {}", format::count(job.verified_tiles), format::count(job.tiles))}</td>
                <td data-label=t.site.cost_in_credits class="number">{format::credits(job.cost)}</td>
                <td data-label=t.jobs.privacy_short>{t.jobs.privacy_class(job.privacy).0}</td>
                <td data-label=t.site.started><Moment time=job.created_at/></td>
            </tr>
        }
    };
    view! {
        <Show when=move || stale.get()><p class="notice" role="status">{t.jobs.reconnecting}</p></Show>
        <div class="scroll" tabindex="0" role="group" aria-label=t.site.jobs>
            <table class="rows" data-testid="jobs">
                <thead>
                    <tr>
                        <th scope="col">{t.site.name}</th>
                        <th scope="col">{t.site.state}</th>
                        <th scope="col">{t.jobs.progress}</th>
                        <th scope="col" class="number">{t.site.verified}</th>
                        <th scope="col" class="number">{t.site.cost_in_credits}</th>
                        <th scope="col">{t.jobs.privacy_short}</th>
                        <th scope="col">{t.site.started}</th>
                    </tr>
                </thead>
                <tbody>
                    <For each=move || jobs.get() key=|job| (job.id, job.state, job.verified_tiles) children=row/>
                </tbody>
            </table>
        </div>
    }
}
