use leptos::prelude::*;
use wire::JobId;

use crate::api;

/// Downloads a done job's result as `npy`, `npz`, `csv`, `json` or `bin`. The server says what the file is called.
pub fn result_link(id: JobId, format: &'static str, label: &'static str, class: &'static str) -> AnyView {
    view! { <a class=class href=api::result_path(id, format) download="">{label}</a> }.into_any()
}
