use leptos::prelude::*;
use wire::explorer::Hit;

use crate::api::{Api, Failure};
use crate::components::{EmptyState, ExplorerTabs, short};
use crate::document::Document;
use crate::route::Page;
use crate::text::Text;
use crate::visit::{Visit, href};

/// What the typed words and characters name.
pub(crate) async fn load(t: &'static Text, visit: &Visit, api: &Api) -> Result<Document, Failure> {
    let asked = visit.parameter("q").is_some();
    let hits = if asked { api.search(&visit.forward_query(&["q"])).await? } else { Vec::new() };
    let body = move || {
        view! {
            <h1>{t.site.search}</h1>
            <ExplorerTabs/>
            {if !asked {
                view! { <p class="soft">{t.explorer.search_help}</p> }.into_any()
            } else if hits.is_empty() {
                view! { <EmptyState title=t.explorer.nothing_found><p>{t.explorer.search_help}</p></EmptyState> }.into_any()
            } else {
                view! { <ul class="hits">{hits.iter().map(|hit| line(t, hit)).collect_view()}</ul> }.into_any()
            }}
        }
        .into_any()
    };
    let mut document = Document::new(t.site.search, body);
    document.indexed = false;
    Ok(document)
}

fn line(t: &'static Text, hit: &Hit) -> impl IntoView + use<> {
    let (kind, name, id) = match hit {
        Hit::Device { id, name } => (t.site.device, name.as_str(), short(id)),
        Hit::Job { id, name } => (t.site.job, name.as_str(), short(id)),
        Hit::Receipt { id } => (t.explorer.receipt, "", id.to_string()),
    };
    let (title, beside) = if name.is_empty() { (id, None) } else { (name.to_owned(), Some(id)) };
    view! {
        <li>
            <span class="badge">{kind}</span>
            <a href=href(Page::of_hit(hit))>{title}</a>
            {beside.map(|id| view! { <span class="mono soft">{id}</span> })}
        </li>
    }
}
