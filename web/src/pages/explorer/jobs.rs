use leptos::prelude::*;

use crate::api::{Api, Failure};
use crate::components::{Downloads, EmptyState, ExplorerTabs, Pager, job_table};
use crate::document::Document;
use crate::route::Page;
use crate::text::Text;
use crate::visit::Visit;

/// Published jobs, newest first.
pub(crate) async fn load(t: &'static Text, visit: &Visit, api: &Api) -> Result<Document, Failure> {
    let page = api.public_jobs(&visit.forward_query(&["after", "limit"])).await?;
    let body = move || {
        view! {
            <h1>{t.explorer.published_jobs}</h1>
            <ExplorerTabs/>
            <p class="soft">{t.explorer.private_jobs_hint}</p>
            {if page.rows.is_empty() {
                view! { <EmptyState title=t.explorer.no_published_jobs><p>{t.jobs.publish_help}</p></EmptyState> }.into_any()
            } else {
                job_table(page.rows).fixed().into_any()
            }}
            <Pager keep=&["limit"] cursor="after" next=page.next/>
            <Downloads page=Page::PublicJobs/>
        }
        .into_any()
    };
    Ok(Document::new(t.explorer.published_jobs, body).described(t.explorer.private_jobs_hint))
}
