use leptos::prelude::*;
use leptos_meta::{Meta, Title};

use crate::app::set_status;
use crate::text::text;

/// What an address without a page shows, with a true 404.
#[component]
pub fn NotFound() -> impl IntoView {
    set_status(404);
    let t = text();
    view! {
        <Title text=t.not_found/>
        <Meta name="robots" content="noindex"/>
        <h1>{t.not_found}</h1>
        <p class="lead">{t.not_found_lead}</p>
    }
}
