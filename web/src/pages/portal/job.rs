use leptos::prelude::*;
use wire::JobId;

use crate::api::{Api, Failure};
use crate::components::{Breadcrumbs, short};
use crate::document::Document;
use crate::islands::LiveJobIsland;
use crate::route::Page;
use crate::text::Text;

/// One job of the caller's.
pub(crate) async fn load(t: &'static Text, id: JobId, api: &Api) -> Result<Document, Failure> {
    let progress = api.job_progress(id).await?;
    let detail = api.job_detail(id).await?;
    let title =
        if progress.job.name.is_empty() { format!("{} {}", t.site.job, short(&id)) } else { progress.job.name.clone() };
    let body = move || {
        view! {
            <Breadcrumbs parents=vec![(t.site.jobs, Page::Jobs)]/>
            <LiveJobIsland progress=progress detail=detail/>
        }
        .into_any()
    };
    Ok(Document::new(title, body))
}
