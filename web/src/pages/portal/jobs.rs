use leptos::prelude::*;
use wire::JobState;

use crate::api::{Api, Failure};
use crate::components::{EmptyState, Pager};
use crate::document::Document;
use crate::islands::JobTableIsland;
use crate::route::Page;
use crate::text::Text;
use crate::visit::{Visit, href};

/// An account's jobs: filtered, searched, a page at a time.
pub(crate) async fn load(t: &'static Text, visit: &Visit, api: &Api) -> Result<Document, Failure> {
    let query = visit.forward_query(&["state", "q", "before"]);
    let page = api.jobs(&query).await?;
    let filtered = visit.parameter("state").or(visit.parameter("q")).is_some();
    let chosen = visit.parameter("state").unwrap_or_default().to_owned();
    let typed = visit.parameter("q").unwrap_or_default().to_owned();
    let lang = visit.lang_chosen.then(|| visit.lang.code());
    let body = move || {
        let next = page.next.map(|id| id.to_string());
        let option = |state: JobState| {
            view! { <option value=state.name() selected=chosen == state.name()>{t.jobs.job_state(state)}</option> }
        };
        view! {
            <div class="title-row">
                <h1>{t.site.jobs}</h1>
                <a class="button primary" href=href(Page::NewJob)>{t.jobs.new_job}</a>
            </div>
            <form class="toolbar" method="get" role="search">
                <div>
                    <label for="q">{t.jobs.search_jobs}</label>
                    <input id="q" type="search" name="q" maxlength="128" value=typed/>
                </div>
                <div>
                    <label for="state">{t.site.state}</label>
                    <select id="state" name="state" data-submits>
                        <option value="">{t.site.all}</option>
                        {JobState::ALL.map(option).collect_view()}
                    </select>
                </div>
                {lang.map(|lang| view! { <input type="hidden" name="lang" value=lang/> })}
                <button type="submit">{t.site.search}</button>
            </form>
            {if page.jobs.is_empty() && filtered {
                view! { <EmptyState title=t.jobs.no_jobs_match><p><a href=href(Page::Jobs)>{t.jobs.show_all}</a></p></EmptyState> }.into_any()
            } else if page.jobs.is_empty() {
                view! {
                    <EmptyState title=t.jobs.no_jobs>
                        <p>{t.jobs.no_jobs_help}</p>
                        <p class="actions"><a class="button primary" href=href(Page::NewJob)>{t.site.run_a_job}</a></p>
                    </EmptyState>
                }.into_any()
            } else {
                view! { <JobTableIsland page=page query=query/> }.into_any()
            }}
            <Pager keep=&["state", "q"] cursor="before" next/>
        }
        .into_any()
    };
    Ok(Document::new(t.site.jobs, body))
}
