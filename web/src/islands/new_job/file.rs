//! A file of the order: chosen, dropped, uploaded, refused in place.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{DataTransfer, File, HtmlInputElement};

use super::{Check, Order, Part, taken};
use crate::text::text;

/// A file to choose or to drop, with its hint, and its refusal in place.
#[component]
pub(super) fn FileField(
    /// The element's id, which is also the field's name in refusals.
    id: &'static str,
    /// What it is.
    label: &'static str,
    /// What it should be.
    hint: &'static str,
    /// File endings to offer.
    accept: &'static str,
    /// The order it belongs to.
    order: Order,
    /// Which of the order's files.
    part: RwSignal<Part>,
) -> impl IntoView {
    let t = text();
    let over = RwSignal::new(false);
    let several = id == "input" && !order.own_kernel.get_untracked();
    let named = move || if several { order.named.get() } else { Vec::new() };
    let refusal = move || {
        let parts = named().into_iter().map(|(_, part)| part).chain([part]);
        parts.map(|part| part.get()).find_map(Part::refusal).or_else(|| {
            order.check.with(|check| match check {
                Check::Refused(failure) if failure.is_field(id) => Some(failure.message()),
                _ => None,
            })
        })
    };
    // A line an input, where there are several.
    let state = move || {
        let named = named();
        if named.is_empty() {
            return state(&part.get());
        }
        let lines: Vec<String> = named.iter().map(|(name, part)| format!("{name} ← {}", state(&part.get()))).collect();
        lines.join("\n")
    };
    let on_change = move |event: leptos::ev::Event| {
        let input = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
        let mut files = input.and_then(|input| input.files()).map(|files| listed(&files)).unwrap_or_default();
        if several {
            if files.len() == 1 {
                order.named.set(Vec::new());
            }
            order.take(files, part);
        } else if let Some(file) = files.pop() {
            part.set(taken(file));
        }
    };
    let on_drop = move |event: leptos::ev::DragEvent| {
        event.prevent_default();
        over.set(false);
        match event.data_transfer().map(|data| dropped(&data)) {
            Some(Ok(files)) => order.take(files, part),
            Some(Err(message)) => part.set(Part::Refused { chosen: None, message }),
            None => {}
        }
    };
    view! {
        <div class="field drop" class:over=move || over.get()
            on:dragover=move |event| { event.prevent_default(); over.set(true); }
            on:dragleave=move |_| over.set(false)
            on:drop=on_drop>
            <label for=id>{label}</label>
            <p class="hint" id=format!("{id}-hint")>{hint} " " {t.jobs.or_drop}</p>
            <input id=id type="file" accept=accept multiple=several on:change=on_change
                aria-describedby=format!("{id}-hint {id}-state {id}-error")
                aria-invalid=move || refusal().is_some().to_string()/>
            <p class="file" id=format!("{id}-state")>{state}</p>
            <p class="error" id=format!("{id}-error") role="alert">{refusal}</p>
        </div>
    }
}

fn state(part: &Part) -> String {
    let t = text();
    match part {
        Part::Missing | Part::Refused { chosen: None, .. } => t.jobs.no_file.to_owned(),
        Part::Chosen(file) | Part::Refused { chosen: Some(file), .. } => file.name(),
        Part::Uploading(file) => format!("{} · {}", file.name(), t.jobs.uploading),
        Part::Stored { name, hash } => format!("{name} · {}", crate::components::short(hash)),
    }
}

fn listed(files: &web_sys::FileList) -> Vec<File> {
    (0..files.length()).filter_map(|i| files.get(i)).collect()
}

/// The files of a drop. A folder is none, and is said to be one.
fn dropped(data: &DataTransfer) -> Result<Vec<File>, String> {
    let items = data.items();
    for i in 0..items.length() {
        let entry = items.get(i).and_then(|item| item.webkit_get_as_entry().ok().flatten());
        if let Some(entry) = entry.filter(web_sys::FileSystemEntry::is_directory) {
            return Err(format!("{}: {}", entry.name(), text().jobs.folder_dropped));
        }
    }
    let files = data.files().map(|files| listed(&files)).unwrap_or_default();
    if files.is_empty() { Err(text().jobs.nothing_dropped.to_owned()) } else { Ok(files) }
}
