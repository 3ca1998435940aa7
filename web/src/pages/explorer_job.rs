use leptos::prelude::*;
use leptos_meta::{Link, Meta, Title};
use leptos_router::hooks::use_params_map;
use wire::explorer::PublicShare;
use wire::{JobId, PublicJob};

use super::NotFound;
use crate::api;
use crate::app::{canonical, set_status};
use crate::components::{Fact, JobBadge, Moment, Mosaic};
use crate::format;
use crate::route::Page;
use crate::text::text;

/// A published job, for anyone with its link. Whole without JavaScript.
#[component]
pub fn ExplorerJob() -> impl IntoView {
    let params = use_params_map();
    let id = move || params.read().get("id").and_then(|id| id.parse::<JobId>().ok());
    let job = Resource::new_blocking(id, |id| async move {
        match id {
            Some(id) => api::public_job(id).await.map(Some),
            None => Ok(None),
        }
    });
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match job.await {
                    Ok(Some(job)) => view! { <Published job/> }.into_any(),
                    Ok(None) => view! { <NotFound/> }.into_any(),
                    Err(failure) if failure.code() == Some(wire::ErrorCode::NotFound) => view! { <NotFound/> }.into_any(),
                    Err(failure) => {
                        set_status(502);
                        view! { <p class="notice bad" role="alert">{failure.message()}</p> }.into_any()
                    }
                }
            })}
        </Suspense>
    }
}

#[component]
fn Published(
    /// The job.
    job: PublicJob,
) -> impl IntoView {
    let t = text();
    let title = if job.name.is_empty() { format!("{} {}", t.job, &job.id.to_string()[..8]) } else { job.name.clone() };
    let description = format!(
        "{} / {} {}. {}",
        format::count(job.verified_tiles),
        format::count(job.tiles),
        t.tiles_verified_of,
        t.public_description
    );
    let url = canonical(Page::ExplorerJob(job.id));
    let mosaic = job.mosaic.clone();
    view! {
        <Title text=title.clone()/>
        <Meta name="description" content=description.clone()/>
        <Link rel="canonical" href=url.clone()/>
        <Meta property="og:type" content="website"/>
        <Meta property="og:site_name" content="Tessera"/>
        <Meta property="og:title" content=title.clone()/>
        <Meta property="og:description" content=description/>
        <Meta property="og:url" content=url/>
        <Meta name="twitter:card" content="summary"/>
        <p class="hint">{t.explorer} " / " {t.job}</p>
        <h1>{title} " " <JobBadge state=job.state/></h1>
        <p class="mono hint">{job.id.to_string()}</p>
        <section class="card">
            <Mosaic cells=Signal::stored(mosaic)/>
            <p class="lead">{t.public_description}</p>
            <PublicFacts job=job.clone()/>
        </section>
        <section class="card">
            <h2>{t.share_devices}</h2>
            <Shares shares=job.devices/>
        </section>
    }
}

#[component]
fn PublicFacts(
    /// The job.
    job: PublicJob,
) -> impl IntoView {
    let t = text();
    view! {
        <dl class="facts">
            <Fact label=t.verified>{format::count(job.verified_tiles)} " / " {format::count(job.tiles)}</Fact>
            <Fact label=t.recomputed>{format::count(job.recomputed_tiles)}</Fact>
            <Fact label=t.rows>{format::count(job.rows)}</Fact>
            <Fact label=t.work>{format::flops(job.flops)}</Fact>
            <Fact label=t.cost>{format::credits(job.cost)} " " <small>{t.credits}</small></Fact>
            <Fact label=t.price>{format::credits(wire::Credits::from_micros(job.price.0))}</Fact>
            <Fact label=t.started><small><Moment at=job.created_at/></small></Fact>
            {job.ended_at.map(|ended| view! { <Fact label=t.took>{format::seconds(job.created_at, ended)}</Fact> })}
            <Fact label=t.model_hash><small class="mono">{job.model.to_string()}</small></Fact>
        </dl>
    }
}

#[component]
fn Shares(
    /// Most tiles first.
    shares: Vec<PublicShare>,
) -> impl IntoView {
    let t = text();
    view! {
        <div class="scroll">
            <table>
                <thead>
                    <tr>
                        <th scope="col">{t.device}</th>
                        <th scope="col">{t.backend}</th>
                        <th scope="col" class="number">{t.tiles}</th>
                        <th scope="col" class="number">{t.receipts}</th>
                    </tr>
                </thead>
                <tbody>
                    {shares
                        .into_iter()
                        .map(|share| view! {
                            <tr>
                                <td class="mono">{share.device}</td>
                                <td>{share.backend}</td>
                                <td class="number">{format::count(share.tiles)}</td>
                                <td class="number">{format::count(share.receipts)}</td>
                            </tr>
                        })
                        .collect_view()}
                </tbody>
            </table>
        </div>
    }
}
