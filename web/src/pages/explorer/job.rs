use leptos::prelude::*;
use wire::{JobId, PublicJob};

use crate::api::{Api, Failure};
use crate::components::{Breadcrumbs, Downloads, Fact, JobBadge, Moment, Mosaic, TileCounts, share_table, short};
use crate::document::Document;
use crate::format;
use crate::islands::RerunIsland;
use crate::route::Page;
use crate::text::{Text, text};

/// A published job, for anyone with its link.
pub(crate) async fn load(t: &'static Text, id: JobId, api: &Api) -> Result<Document, Failure> {
    let job = api.public_job(id).await?;
    let title = if job.name.is_empty() { format!("{} {}", t.site.job, short(&id)) } else { job.name.clone() };
    let description = format!(
        "{} / {} {}{}{}",
        format::count(job.verified_tiles),
        format::count(job.tiles),
        t.explorer.tiles_verified_of,
        t.site.stop,
        t.explorer.public_description
    );
    let heading = title.clone();
    let body = move || {
        let state = job.state;
        let devices = job.devices.clone();
        let has_sample = job.has_sample;
        let counts =
            TileCounts { tiles: job.tiles, verified: job.verified_tiles, checking: 0, ended: state.has_ended() };
        view! {
            <Breadcrumbs parents=vec![(t.site.explorer, Page::Explorer), (t.site.jobs, Page::PublicJobs)]/>
            <h1>{heading} " " <JobBadge state/></h1>
            <p class="mono soft">{id.to_string()}</p>
            <section class="card">
                <Mosaic cells=Signal::stored(job.mosaic.clone()) counts=Signal::stored(counts)/>
                <p class="soft">{t.explorer.public_description}</p>
                <PublicFacts job/>
            </section>
            {has_sample.then(|| view! {
                <section class="card" aria-labelledby="rerun">
                    <h2 id="rerun">{t.explorer.rerun_title}</h2>
                    <p>{t.explorer.rerun_lead}</p>
                    <RerunIsland job=id/>
                    <noscript><p class="soft">{t.explorer.rerun_needs_script}</p></noscript>
                </section>
            })}
            <section class="card" aria-labelledby="shares">
                <h2 id="shares">{t.explorer.share_devices}</h2>
                {if devices.is_empty() {
                    view! { <p class="soft">{t.site.no_devices_worked}</p> }.into_any()
                } else {
                    share_table(devices).fixed().into_any()
                }}
            </section>
            <Downloads page=Page::PublicJob(id)/>
        }
        .into_any()
    };
    Ok(Document::new(title, body).described(description))
}

#[component]
fn PublicFacts(
    /// The job.
    job: PublicJob,
) -> impl IntoView {
    let t = text();
    view! {
        <dl class="facts">
            <Fact label=t.site.verified>{format::count(job.verified_tiles)} " / " {format::count(job.tiles)}</Fact>
            <Fact label=t.site.recomputed>{format::count(job.recomputed_tiles)}</Fact>
            <Fact label=t.site.rows>{format::count(job.rows)}</Fact>
            {if job.state.has_ended() {
                let verified = job.devices.iter().map(|share| share.kflop).sum();
                view! { <Fact label=t.site.work_verified>{format::kflop(verified)}</Fact> }
            } else {
                view! { <Fact label=t.site.work_at_most>{format::flops(job.flops)}</Fact> }
            }}
            <Fact label=t.site.cost>{format::credits(job.cost)} " " <small>{t.site.credits}</small></Fact>
            <Fact label=t.site.price>{format::price(job.price)}</Fact>
            <Fact label=t.site.started><small><Moment time=job.created_at/></small></Fact>
            {job.ended_at.map(|ended| view! { <Fact label=t.site.took>{format::seconds(job.created_at, ended)}</Fact> })}
            <Fact label=t.explorer.model_hash><small class="mono">{job.code.to_string()}</small></Fact>
        </dl>
    }
}
