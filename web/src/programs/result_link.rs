use leptos::prelude::*;
use wire::JobId;

use crate::api;

/// Downloads a done job's result.
#[component]
pub fn ResultLink(
    /// The job.
    id: JobId,
    /// `npy`, `npz`, `csv`, `json` or `bin`.
    format: &'static str,
    /// The link's text.
    label: &'static str,
    /// The link's class.
    #[prop(default = "button")]
    class: &'static str,
) -> impl IntoView {
    view! { <a class=class href=api::result_path(id, format) download=format!("{id}.{format}")>{label}</a> }
}
