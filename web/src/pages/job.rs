use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;
use leptos_router::hooks::use_params_map;
use wire::{ErrorCode, Job, JobId, JobProgress, JobState};

use super::NotFound;
use crate::api::{self, Failure};
use crate::app::set_status;
use crate::components::{Fact, JobBadge, Moment, Mosaic};
use crate::format;
use crate::route::Page;
use crate::text::text;

/// One job of the caller's, live.
#[component]
pub fn JobPage() -> impl IntoView {
    let params = use_params_map();
    let id = move || params.read().get("id").and_then(|id| id.parse::<JobId>().ok());
    let first = Resource::new_blocking(id, |id| async move {
        match id {
            Some(id) => Some(api::job_progress(id).await),
            None => None,
        }
    });
    let t = text();
    view! {
        <Suspense fallback=move || view! { <p class="hint pulse">{t.loading}</p> }>
            {move || Suspend::new(async move {
                match first.await {
                    Some(Ok(progress)) => view! { <Live progress/> }.into_any(),
                    Some(Err(failure)) if failure.code() == Some(ErrorCode::Unauthorized) => {
                        set_status(401);
                        view! { <h1>{t.job}</h1><p class="notice">{t.not_signed_in} " " <a href=Page::NewJob.path()>{t.sign_in}</a></p> }.into_any()
                    }
                    None => view! { <NotFound/> }.into_any(),
                    Some(Err(failure)) if failure.code() == Some(ErrorCode::NotFound) => view! { <NotFound/> }.into_any(),
                    Some(Err(failure)) => {
                        set_status(502);
                        view! { <p class="notice bad" role="alert">{failure.message()}</p> }.into_any()
                    }
                }
            })}
        </Suspense>
    }
}

#[component]
fn Live(
    /// The job as it was when the page was made.
    progress: JobProgress,
) -> impl IntoView {
    let t = text();
    let id = progress.job.id;
    let progress = RwSignal::new(progress);
    let connected = RwSignal::new(true);
    Effect::new(move |_| {
        if !progress.with_untracked(|progress| progress.job.state.has_ended()) {
            watch(id, progress, connected);
        }
    });
    let job = Memo::new(move |_| progress.with(|progress| progress.job.clone()));
    let title =
        move || {
            job.with(|job| {
                if job.name.is_empty() { format!("{} {}", t.job, &job.id.to_string()[..8]) } else { job.name.clone() }
            })
        };
    let idle = move || {
        progress.with(|progress| {
            progress.job.state == JobState::Running && progress.devices_at_work == 0 && progress.job.verified_tiles == 0
        })
    };
    view! {
        <Title text=title/>
        <h1>{title} " " {move || view! { <JobBadge state=job.with(|job| job.state)/> }}</h1>
        <p class="mono hint">{id.to_string()}</p>
        <Show when=move || !connected.get()><p class="notice" role="status">{t.reconnecting}</p></Show>
        <Show when=idle><p class="notice">{t.waiting_for_devices} " " <a href=Page::Lend.path()>{t.lend}</a></p></Show>
        <section class="card">
            <Mosaic cells=Signal::derive(move || progress.with(|progress| progress.mosaic.clone()))/>
            <progress aria-label=t.verified max=move || job.with(|job| job.tiles.to_string()) value=move || job.with(|job| job.verified_tiles.to_string())></progress>
        </section>
        <section class="card"><JobFacts progress/></section>
        <Actions job progress/>
    }
}

#[component]
fn JobFacts(
    /// The job.
    progress: RwSignal<JobProgress>,
) -> impl IntoView {
    let t = text();
    let figure = move |read: fn(&JobProgress) -> String| move || progress.with(read);
    view! {
        <dl class="facts">
            <Fact label=t.verified><span data-testid="verified">{figure(|p| format::count(p.job.verified_tiles))}</span> " / " {figure(|p| format::count(p.job.tiles))}</Fact>
            <Fact label=t.recomputed>{figure(|p| format::count(p.job.recomputed_tiles))}</Fact>
            <Fact label=t.at_work>{figure(|p| format::count(p.devices_at_work))}</Fact>
            <Fact label=t.devices>{figure(|p| format::count(p.job.devices))}</Fact>
            <Fact label=t.cost><span data-testid="cost">{figure(|p| format::credits(p.job.cost))}</span> " " <small>{t.of_held} " " {figure(|p| format::credits(p.job.hold))}</small></Fact>
            <Fact label=t.rows>{figure(|p| format::count(p.job.rows))}</Fact>
            <Fact label=t.work>{figure(|p| format::flops(p.job.flops))}</Fact>
            <Fact label=t.privacy>{move || progress.with(|p| t.privacy_class(p.job.privacy).0)}</Fact>
            <Fact label=t.started><small><Moment at=progress.with_untracked(|p| p.job.created_at)/></small></Fact>
            {move || progress.with(|p| p.job.ended_at.map(|ended| (p.job.created_at, ended))).map(|(created, ended)| view! {
                <Fact label=t.took>{format::seconds(created, ended)}</Fact>
            })}
        </dl>
    }
}

#[component]
fn Actions(
    /// The job.
    job: Memo<Job>,
    /// Takes what an action changed.
    progress: RwSignal<JobProgress>,
) -> impl IntoView {
    let t = text();
    let failure = RwSignal::new(None::<Failure>);
    let id = job.with_untracked(|job| job.id);
    let take = move |answer: Result<Job, Failure>| match answer {
        Ok(changed) => progress.update(|progress| progress.job = changed),
        Err(error) => failure.set(Some(error)),
    };
    let cancel = move |_| spawn_local(async move { take(api::cancel(id).await) });
    let publish = move |_| {
        let published = !job.with_untracked(|job| job.published);
        spawn_local(async move { take(api::set_published(id, published).await) });
    };
    let state = move || job.with(|job| job.state);
    let published = move || job.with(|job| job.published);
    view! {
        <div class="actions">
            <Show when=move || state() == JobState::Done>
                <a class="button primary" href=api::result_path(id) download=format!("{id}.npy") rel="external">{t.download}</a>
            </Show>
            <Show when=move || state() == JobState::Running>
                <button type="button" on:click=cancel>{t.cancel}</button>
            </Show>
            <button type="button" on:click=publish>{move || if published() { t.unpublish } else { t.publish }}</button>
        </div>
        <Show when=published>
            <p>{t.published_at} " " <a href=Page::ExplorerJob(id).path() rel="external">{t.public_page}</a></p>
        </Show>
        <p class="error" role="alert">{move || failure.get().map(|failure| failure.message())}</p>
    }
}

/// Follows the job's events until it ends. The browser connects anew by itself when they break off.
#[cfg(not(feature = "ssr"))]
fn watch(id: JobId, progress: RwSignal<JobProgress>, connected: RwSignal<bool>) {
    use futures::StreamExt;
    use gloo_net::eventsource::futures::EventSource;

    let (stop, stopped) = futures::channel::oneshot::channel::<()>();
    on_cleanup(move || drop(stop));
    spawn_local(async move {
        let Ok(mut source) = EventSource::new(&api::events_path(id)) else {
            connected.set(false);
            return;
        };
        let Ok(mut events) = source.subscribe("progress") else {
            connected.set(false);
            return;
        };
        let follow = async {
            while let Some(event) = events.next().await {
                let Ok((_, message)) = event else {
                    connected.set(false);
                    continue;
                };
                connected.set(true);
                let read = message.data().as_string().and_then(|text| serde_json::from_str::<JobProgress>(&text).ok());
                if let Some(read) = read {
                    let ended = read.job.state.has_ended();
                    progress.set(read);
                    if ended {
                        break;
                    }
                }
            }
        };
        futures::future::select(std::pin::pin!(follow), stopped).await;
        source.close();
    });
}

/// The server sends the page as it stands.
#[cfg(feature = "ssr")]
fn watch(_id: JobId, _progress: RwSignal<JobProgress>, _connected: RwSignal<bool>) {}
