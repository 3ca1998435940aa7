use leptos::prelude::*;

use crate::api::{Api, Failure};
use crate::document::Document;
use crate::islands::NewJobIsland;
use crate::text::Text;
use crate::visit::Visit;

/// The form that orders a job. Anybody may fill it in; an account is needed for the quote.
pub(crate) async fn load(t: &'static Text, visit: &Visit, api: &Api) -> Result<Document, Failure> {
    let account = match api.account().await {
        Ok(account) => Some(account),
        Err(failure) if failure.is_unauthorized() => None,
        Err(failure) => return Err(failure),
    };
    // A job that is not the caller's begins an empty form.
    let earlier = match visit.parameter("from").and_then(|id| id.parse().ok()) {
        Some(id) if account.is_some() => api.job(id).await.ok(),
        _ => None,
    };
    let program = visit.parameter("program").map(str::to_owned);
    let body = move || {
        view! {
            <h1>{t.jobs.new_job}</h1>
            <p class="lead">{t.jobs.new_job_lead}</p>
            <NewJobIsland account=account earlier=earlier program=program/>
        }
        .into_any()
    };
    Ok(Document::new(t.jobs.new_job, body))
}
