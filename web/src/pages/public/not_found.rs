use leptos::prelude::*;

use crate::components::{EmptyState, SearchBox};
use crate::document::Document;
use crate::route::Page;
use crate::text::Text;
use crate::visit::href;

/// What an address without a page shows, with a true 404.
pub(crate) fn document(t: &'static Text) -> Document {
    let body = move || {
        view! {
            <h1>{t.site.not_found}</h1>
            <EmptyState title=t.site.not_found_lead>
                <p>{t.site.not_found_help}</p>
                <SearchBox/>
                <p class="actions"><a class="button" href=href(Page::Explorer)>{t.site.explorer}</a></p>
            </EmptyState>
        }
        .into_any()
    };
    Document::new(t.site.not_found, body).with_status(404)
}
