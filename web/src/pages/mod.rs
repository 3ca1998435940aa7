//! Each page: what it reads, and how it looks. Loaded on the server, whole before it is sent.

mod explorer;
mod portal;
mod public;

use leptos::prelude::*;

use crate::api::{Api, Failure};
use crate::components::FailureNotice;
use crate::document::Document;
use crate::route::Page;
use crate::text::Text;
use crate::visit::Visit;

pub use self::public::docs;

/// Reads what a page shows. Never fails: what cannot be shown is a page that says why. `docs` is what a page
/// of the documentation shows, which no API answers; nothing where there is no such page.
pub async fn load(visit: &Visit, api: &Api, docs: Option<docs::data::DocsData>) -> Document {
    let t = visit.lang.text();
    let loaded = match visit.page {
        None => return public::not_found::document(t),
        Some(Page::Landing) => public::landing::load(t, api).await,
        Some(Page::Jobs) => portal::jobs::load(t, visit, api).await,
        Some(Page::NewJob) => portal::new_job::load(t, visit, api).await,
        Some(Page::Job(id)) => portal::job::load(t, id, api).await,
        Some(Page::Lend) => portal::lend::load(t, api).await,
        Some(Page::Account) => portal::account::load(t, visit, api).await,
        Some(Page::Calculator) => public::calculator::load(t, api).await,
        Some(Page::Status) => public::status::load(t, api).await,
        Some(Page::Explorer) => explorer::overview::load(t, visit, api).await,
        Some(Page::Devices) => explorer::devices::load(t, visit, api).await,
        Some(Page::Device(id)) => explorer::device::load(t, id, visit, api).await,
        Some(Page::PublicJobs) => explorer::jobs::load(t, visit, api).await,
        Some(Page::PublicJob(id)) => explorer::job::load(t, id, api).await,
        Some(Page::Receipts) => explorer::receipts::load(t, visit, api).await,
        Some(Page::Receipt(id)) => explorer::receipt::load(t, id, api).await,
        Some(Page::Docs(_)) => {
            return docs.map_or_else(|| public::not_found::document(t), |data| docs::document(t, visit, data));
        }
        Some(Page::Search) => explorer::search::load(t, visit, api).await,
    };
    loaded.unwrap_or_else(|failure| failed(t, failure))
}

fn failed(t: &'static Text, failure: Failure) -> Document {
    match &failure {
        Failure::Refused { status: 404, .. } => public::not_found::document(t),
        Failure::Refused { status: 401, .. } => signed_out(t),
        Failure::Refused { status: 400 | 422, .. } => Document::new(t.site.bad_address, move || {
            view! { <h1>{t.site.bad_address}</h1><FailureNotice failure/> }.into_any()
        })
        .with_status(400),
        Failure::Refused { .. } | Failure::Unreachable => Document::new(t.site.went_wrong, move || {
            view! { <h1>{t.site.went_wrong}</h1><FailureNotice failure/> }.into_any()
        })
        .with_status(502),
    }
}

/// A page that belongs to an account, for somebody without a session.
fn signed_out(t: &'static Text) -> Document {
    let body = move || view! { <h1>{t.account.sign_in_title}</h1><crate::islands::SignInIsland/> }.into_any();
    Document::new(t.account.sign_in_title, body).with_status(401)
}
