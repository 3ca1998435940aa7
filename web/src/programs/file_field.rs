//! A field for a file: chosen or dropped, with its hint, its state and its refusal in place.

use std::sync::Arc;

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{DataTransfer, File, HtmlInputElement};

use super::draft::JobDraft;
use super::file_slot::FileSlot;
use crate::text::{spaced, text};

/// A file for the input that it is named after.
pub type NamedSlot = (String, RwSignal<FileSlot>);

/// Puts each of several chosen, or of any dropped files where it belongs, by its name or by the slot that it
/// was dropped onto.
pub type SortFiles = Arc<dyn Fn(Vec<File>, RwSignal<FileSlot>) + Send + Sync>;

#[component]
pub fn FileField(
    /// The element's id, which is also the field's name in refusals.
    id: &'static str,
    /// What it is.
    label: &'static str,
    /// What it should be.
    hint: &'static str,
    /// File endings to offer.
    accept: &'static str,
    /// The job that it belongs to.
    draft: JobDraft,
    /// Where the file goes.
    file: RwSignal<FileSlot>,
    /// Where several files go, each to the input that it is named after, if the field takes several.
    #[prop(optional)]
    named: Option<RwSignal<Vec<NamedSlot>>>,
    /// Without it the last file goes to `file`.
    #[prop(optional)]
    sort: Option<SortFiles>,
    /// Why the file is refused, where that is known before there is a quote.
    #[prop(default = Signal::stored(None))]
    fault: Signal<Option<String>>,
) -> impl IntoView {
    let t = text();
    let is_over = RwSignal::new(false);
    let named_slots = move || named.map(|named| named.get()).unwrap_or_default();
    let refusal = move || {
        let slots = named_slots().into_iter().map(|(_, slot)| slot).chain([file]);
        let of_file = slots.map(|slot| slot.get()).find_map(FileSlot::refusal);
        of_file.or_else(|| fault.get()).or_else(|| draft.refusal_of(&[id]).map(|failure| failure.message()))
    };
    // A line an input, where there are several.
    let state = move || {
        let named_slots = named_slots();
        if named_slots.is_empty() {
            return file.with(FileSlot::describe);
        }
        let line = |(name, slot): &NamedSlot| format!("{name} ← {}", slot.with(FileSlot::describe));
        named_slots.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    let put_last = move |mut files: Vec<File>| {
        if let Some(last) = files.pop() {
            file.set(FileSlot::chosen(last));
        }
    };
    let sort_dropped = sort.clone();
    let on_change = move |event: leptos::ev::Event| {
        let input = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
        let files = input.and_then(|input| input.files()).map(|files| listed(&files)).unwrap_or_default();
        match (named, &sort) {
            (Some(named), Some(sort)) => {
                if files.len() == 1 {
                    named.set(Vec::new());
                }
                sort(files, file);
            }
            // A file chosen at a field of one file is meant for it, whatever its ending.
            (_, None) | (None, _) => put_last(files),
        }
    };
    let on_drop = move |event: leptos::ev::DragEvent| {
        event.prevent_default();
        is_over.set(false);
        match event.data_transfer().map(|data| dropped(&data)) {
            Some(Ok(files)) => match &sort_dropped {
                Some(sort) => sort(files, file),
                None => put_last(files),
            },
            Some(Err(message)) => file.set(FileSlot::Refused { chosen: None, message }),
            None => {}
        }
    };
    view! {
        <div class="field drop" class:over=move || is_over.get()
            on:dragover=move |event| { event.prevent_default(); is_over.set(true); }
            on:dragleave=move |_| is_over.set(false)
            on:drop=on_drop>
            <label for=id>{label}</label>
            <p class="hint" id=format!("{id}-hint")>{spaced(hint)} {t.jobs.or_drop}</p>
            <input id=id type="file" accept=accept multiple=named.is_some() on:change=on_change
                aria-describedby=format!("{id}-hint {id}-state {id}-error")
                aria-invalid=move || refusal().is_some().to_string()/>
            <p class="file" id=format!("{id}-state")>{state}</p>
            <p class="error" id=format!("{id}-error") role="alert">{refusal}</p>
        </div>
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
            return Err(format!("{}{}{}", entry.name(), text().site.colon, text().jobs.folder_dropped));
        }
    }
    let files = data.files().map(|files| listed(&files)).unwrap_or_default();
    if files.is_empty() { Err(text().jobs.nothing_dropped.to_owned()) } else { Ok(files) }
}
