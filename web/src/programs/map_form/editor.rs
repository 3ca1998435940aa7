//! The field in which a kernel is written.

use leptos::prelude::*;
use web_sys::HtmlTextAreaElement;
use wire::{KernelReport, Place, number};

use super::highlight::highlight;
use super::kernel::KernelDraft;
use crate::format;
use crate::programs::draft::JobDraft;
use crate::text::text;

/// The text with its line numbers, and what the server says of it.
#[component]
pub(super) fn Editor(
    /// The kernel.
    kernel: KernelDraft,
    /// The job that it belongs to.
    draft: JobDraft,
) -> impl IntoView {
    let t = text();
    let refusal = move || kernel.refusal_of(draft, "kernel");
    let place = move || refusal().and_then(|failure| failure.place());
    let lines = Memo::new(move |_| kernel.text.with(|text| text.split('\n').count()));
    let bad_line = Memo::new(move |_| place().map(|place| place.line));
    let area = NodeRef::<leptos::html::Textarea>::new();
    let go_to_error = move |_| {
        if let (Some(place), Some(area)) = (place(), area.get()) {
            kernel.text.with_untracked(|text| select_place(&area, text, place));
        }
    };
    let on_input = move |event: leptos::ev::Event| kernel.text.set(event_target_value(&event));
    let line_number = move |line: usize| {
        let bad = move || bad_line.get().map(number::to::<usize>) == Some(line);
        view! { <li class:bad=bad>{line}</li> }
    };
    let report = move || kernel.report().map(|report| describe(&report));
    view! {
        <div class="field">
            <label for="kernel">{t.map.kernel}</label>
            <p class="hint" id="kernel-hint">{t.map.kernel_hint}</p>
            <div class="editor">
                <ol aria-hidden="true">{move || (1..=lines.get()).map(line_number).collect_view()}</ol>
                <div class="code">
                <pre aria-hidden="true" inner_html=move || kernel.text.with(|text| highlight(text))></pre>
                <textarea id="kernel" node_ref=area wrap="off" spellcheck="false" autocomplete="off"
                    rows=move || lines.get().max(8).to_string() aria-describedby="kernel-hint kernel-error kernel-report"
                    aria-invalid=move || refusal().is_some().to_string()
                    prop:value=move || kernel.text.get() on:input=on_input>{kernel.text.get_untracked()}</textarea>
                </div>
            </div>
            <p class="error" id="kernel-error" role="alert">{move || refusal().map(|failure| failure.message())}</p>
            <Show when=move || place().is_some()>
                <button type="button" on:click=go_to_error>{t.map.go_there}</button>
            </Show>
            <p class="hint" id="kernel-report" data-testid="kernel-report">{report}</p>
        </div>
    }
}

fn describe(report: &KernelReport) -> String {
    let t = text();
    let semicolon = t.site.semicolon;
    let mut summary = format!("{} {} {}", t.map.kernel_passed, format::count(report.ops), t.map.ops_a_record);
    if !report.loops.is_empty() {
        summary = format!("{summary}{semicolon}{} {}", t.map.fuel, format::count(report.fuel.into()));
        let lines: Vec<String> = report.loops.iter().map(ToString::to_string).collect();
        summary = format!("{summary}{semicolon}{} {}", t.map.loops_in_lines, lines.join(t.site.listed));
    }
    if let Some(bytes) = report.params_bytes {
        summary = format!("{summary}{semicolon}{} {}", t.map.params, format::bytes(bytes.into()));
    }
    summary
}

/// Puts the caret where the error is. Columns count bytes, and the browser counts UTF-16 units.
fn select_place(area: &HtmlTextAreaElement, text: &str, place: Place) {
    let line = number::to::<usize>(place.line.saturating_sub(1));
    let column = number::to::<usize>(place.column.saturating_sub(1));
    let start: usize = text.split('\n').take(line).map(|line| line.len() + 1).sum();
    let before = text.get(..start + column).unwrap_or(text);
    let units = number::to::<u32>(before.encode_utf16().count());
    area.focus().unwrap_or_default();
    area.set_selection_range(units, units + 1).unwrap_or_default();
}
