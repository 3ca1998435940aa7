use leptos::prelude::*;

use crate::api::{Api, Failure};
use crate::document::Document;
use crate::islands::LendIsland;
use crate::route::Page;
use crate::text::Text;
use crate::visit::href;

/// Lend this browser's GPU, or a whole machine.
pub(crate) async fn load(t: &'static Text, api: &Api) -> Result<Document, Failure> {
    let account = match api.account().await {
        Ok(account) => Some(account),
        Err(failure) if failure.is_unauthorized() => None,
        Err(failure) => return Err(failure),
    };
    let body = move || {
        view! {
            <h1>{t.site.lend}</h1>
            <p class="lead">{t.lend.lend_lead} " " <a href=href(Page::Calculator)>{t.lend.what_would_i_earn}</a></p>
            <LendIsland account=account/>
            <section class="card" aria-labelledby="sees-title">
                <h2 id="sees-title">{t.lend.tab_sees}</h2>
                <div class="columns even plain">
                    <div>
                        <h3>{t.lend.tab_can}</h3>
                        <ul><li>{t.lend.tab_can_compute}</li><li>{t.lend.tab_can_data}</li><li>{t.lend.tab_can_name}</li><li>{t.lend.tab_can_key}</li></ul>
                    </div>
                    <div>
                        <h3>{t.lend.tab_cannot}</h3>
                        <ul><li>{t.lend.tab_cannot_code}</li><li>{t.lend.tab_cannot_files}</li><li>{t.lend.tab_cannot_hang}</li><li>{t.lend.tab_cannot_hide}</li></ul>
                    </div>
                </div>
            </section>
        }
        .into_any()
    };
    Ok(Document::new(t.site.lend, body).described(t.lend.lend_lead))
}
