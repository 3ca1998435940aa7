use leptos::prelude::*;

use crate::api::{Api, Failure};
use crate::components::{Downloads, EmptyState, ExplorerTabs, Pager, Whose, receipt_table};
use crate::document::Document;
use crate::route::Page;
use crate::text::Text;
use crate::visit::Visit;

/// Every signed statement, newest first.
pub(crate) async fn load(t: &'static Text, visit: &Visit, api: &Api) -> Result<Document, Failure> {
    let page = api.receipts(&visit.forward_query(&["after", "limit"])).await?;
    let body = move || {
        view! {
            <h1>{t.site.receipts}</h1>
            <ExplorerTabs/>
            <p class="soft">{t.explorer.receipts_description}</p>
            {if page.rows.is_empty() {
                view! { <EmptyState title=t.explorer.no_receipts><p>{t.explorer.no_receipts_help}</p></EmptyState> }.into_any()
            } else {
                receipt_table(page.rows, Whose::Everyones).fixed().into_any()
            }}
            <Pager keep=&["limit"] cursor="after" next=page.next/>
            <Downloads page=Page::Receipts/>
        }
        .into_any()
    };
    Ok(Document::new(t.site.receipts, body).described(t.explorer.receipts_description))
}
