//! What can be done with a job.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{Job, JobProgress, JobState};

use super::super::dialog::Confirm;
use super::super::toast::toast;
use crate::api::{self, Failure};
use crate::browser::site_address;
use crate::programs::program_of;
use crate::route::Page;
use crate::text::{spaced, text};
use crate::visit::{href, href_with};

#[component]
pub(super) fn Actions(
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
    let site = site_address();
    let either = move |yes: &'static str, no: &'static str| Signal::derive(move || if published() { yes } else { no });
    view! {
        <div class="actions">
            <Show when=move || state() == JobState::Done>
                {job.with_untracked(|job| program_of(&job.program).result(job))}
            </Show>
            <Show when=move || state() != JobState::Done && job.with(|job| job.state.has_ended() && job.verified_tiles > 0)>
                <a class="button primary" href=api::partial_result_path(id) download="">{t.jobs.download_partial}</a>
            </Show>
            <a class="button" href=href_with(Page::NewJob, "from", id)>{t.jobs.run_again}</a>
            <Confirm label=either(t.jobs.unpublish, t.jobs.publish) title=either(t.jobs.unpublish_title, t.jobs.publish_title)
                explanation=either(t.jobs.unpublish_explanation, t.jobs.publish_explanation) on_yes=publish/>
            <Show when=move || state() == JobState::Running>
                <Confirm label=Signal::stored(t.jobs.cancel) title=Signal::stored(t.jobs.cancel_title) explanation=Signal::stored(t.jobs.cancel_explanation) is_danger=true on_yes=cancel/>
            </Show>
        </div>
        <Show when=published>
            <p>{spaced(t.jobs.published_at)} <a href=href(Page::PublicJob(id))>{t.jobs.public_page}</a></p>
            <div class="joined field">
                <code class="key" id="public-address">{move || site.get()}{Page::PublicJob(id).path()}</code>
                <button type="button" data-copy="public-address">{t.jobs.copy_link}</button>
            </div>
        </Show>
        <p class="error" role="alert">{move || failure.get().map(|failure| failure.message())}</p>
    }
}
