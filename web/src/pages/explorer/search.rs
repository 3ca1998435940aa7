use leptos::prelude::*;
use wire::explorer::Hit;

use crate::api::{Api, Failure};
use crate::components::{EmptyState, ExplorerTabs};
use crate::document::Document;
use crate::route::Page;
use crate::text::Text;
use crate::visit::{Visit, href};

/// What begins with the typed characters. Bad input is a page that says so, not an error.
pub(crate) async fn load(t: &'static Text, visit: &Visit, api: &Api) -> Result<Document, Failure> {
    let asked = visit.parameter("q").is_some();
    let (hits, refusal) = if asked {
        match api.search(&visit.forward_query(&["q"])).await {
            Ok(hits) => (hits, None),
            Err(Failure::Refused { status: 422, body }) => (Vec::new(), Some(body)),
            Err(failure) => return Err(failure),
        }
    } else {
        (Vec::new(), None)
    };
    let body = move || {
        let row = |hit: &Hit| {
            let (kind, id) = match hit {
                Hit::Device(id) => (t.site.device, id.to_string()),
                Hit::Job(id) => (t.site.job, id.to_string()),
                Hit::Receipt(id) => (t.explorer.receipt, id.to_string()),
            };
            view! { <li><span class="badge">{kind}</span> " " <a class="mono" href=href(Page::of_hit(hit))>{id}</a></li> }
        };
        view! {
            <h1>{t.site.search}</h1>
            <ExplorerTabs/>
            {match refusal {
                Some(body) => view! { <p class="notice bad" role="alert">{crate::text::refusal(&body)}</p> }.into_any(),
                None if asked && hits.is_empty() => view! { <EmptyState title=t.explorer.nothing_found><p>{t.explorer.search_help}</p></EmptyState> }.into_any(),
                None if !asked => view! { <p class="soft">{t.explorer.search_help}</p> }.into_any(),
                None => view! { <ul class="hits">{hits.iter().map(row).collect_view()}</ul> }.into_any(),
            }}
        }
        .into_any()
    };
    let mut document = Document::new(t.site.search, body);
    document.indexed = false;
    Ok(document)
}
