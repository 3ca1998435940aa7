//! A kernel of the customer's own: written here, checked by the server as it is written.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use send_wrapper::SendWrapper;
use web_sys::{File, HtmlTextAreaElement};
use wire::{BlobHash, KernelReport, KernelToCheck, Map, Place, Program, Tolerance};

use super::file::FileField;
use super::{Check, Order, Part};
use crate::api::{self, Failure};
use crate::format;
use crate::text::text;

/// After the last key.
const PAUSE: Duration = Duration::from_millis(400);
const TEMPLATE: &str = "// One invocation a record: reads record id.x, writes result id.x.
@group(0) @binding(0) var<storage, read> records: array<u32>;
@group(0) @binding(1) var<storage, read_write> results: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    results[id.x] = records[id.x] * records[id.x];
}
";

/// What the server said of the kernel last.
#[derive(Clone, Debug, PartialEq)]
enum Verdict {
    Open,
    Passed(KernelReport),
    Refused(Failure),
}

/// The kernel's part of the order. Numbers are kept as they were typed.
#[derive(Clone, Copy)]
pub(super) struct KernelOrder {
    text: RwSignal<String>,
    /// The text as a blob, once it has passed.
    pub(super) code: RwSignal<Part>,
    pub(super) params: RwSignal<Part>,
    record_bytes: RwSignal<String>,
    out_bytes: RwSignal<String>,
    fuel: RwSignal<String>,
    rtol: RwSignal<String>,
    atol: RwSignal<String>,
    verdict: RwSignal<Verdict>,
    /// Counts checks, so that an old answer does not overwrite a new one.
    round: StoredValue<u32>,
    /// An earlier job's kernel, still to be fetched.
    earlier: StoredValue<Option<BlobHash>>,
}

impl KernelOrder {
    pub(super) fn new(from: Option<&Program>, stored: impl Fn(BlobHash) -> Part) -> Self {
        let mut numbers = [4, 4, 65_536];
        let (mut code, mut params, mut tolerance) = (None, Part::Missing, ["1e-4".to_owned(), "1e-6".to_owned()]);
        if let Some(Program::Map(Map { kernel, record_bytes, out_bytes, fuel, params: given, check, .. })) = from {
            numbers = [*record_bytes, *out_bytes, fuel.unwrap_or(numbers[2])];
            code = Some(*kernel);
            params = given.map_or(Part::Missing, stored);
            if let Some(wire::Check::Tolerance { rtol, atol }) = check {
                tolerance = [rtol.get().to_string(), atol.get().to_string()];
            }
        }
        let [record_bytes, out_bytes, fuel] = numbers.map(|number| RwSignal::new(number.to_string()));
        let [rtol, atol] = tolerance.map(RwSignal::new);
        Self {
            text: RwSignal::new(if code.is_some() { String::new() } else { TEMPLATE.to_owned() }),
            code: RwSignal::new(Part::Missing),
            params: RwSignal::new(params),
            record_bytes,
            out_bytes,
            fuel,
            rtol,
            atol,
            verdict: RwSignal::new(Verdict::Open),
            round: StoredValue::new(0),
            earlier: StoredValue::new(code),
        }
    }

    /// What it would run over `input`, once all of it is there and has passed.
    pub(super) fn program(self, input: BlobHash) -> Option<Program> {
        let Verdict::Passed(report) = self.verdict.get() else { return None };
        let number = |typed: RwSignal<String>| typed.get().trim().parse::<u32>().ok();
        // Read as the calculator reads: a second reader of decimals would be kilobytes.
        let tolerance = |typed: RwSignal<String>| {
            let value: f64 = typed.get().trim().parse().ok()?;
            Tolerance::try_from(to_f32(value)).ok()
        };
        let params = match report.params_bytes {
            Some(_) => Some(self.params.with(Part::hash)?),
            None => None,
        };
        let check = if report.floats {
            Some(wire::Check::Tolerance { rtol: tolerance(self.rtol)?, atol: tolerance(self.atol)? })
        } else {
            None
        };
        Some(Program::Map(Map {
            kernel: self.code.with(Part::hash)?,
            input,
            record_bytes: number(self.record_bytes)?,
            out_bytes: number(self.out_bytes)?,
            params,
            fuel: Some(number(self.fuel)?),
            check,
            tile_records: None,
        }))
    }

    /// Whether its results are to be read as floats.
    pub(super) fn answers_floats(self) -> bool {
        matches!(self.verdict.get_untracked(), Verdict::Passed(report) if report.floats)
    }

    /// Has the text checked a moment after the last change.
    fn check_soon(self) {
        let number = |typed: RwSignal<String>| typed.get().trim().parse::<u32>().unwrap_or(0);
        let request = KernelToCheck {
            kernel: self.text.get(),
            record_bytes: number(self.record_bytes),
            out_bytes: number(self.out_bytes),
            fuel: Some(number(self.fuel)),
        };
        self.round.update_value(|round| *round += 1);
        let round = self.round.get_value();
        self.code.set(Part::Missing);
        self.verdict.set(Verdict::Open);
        let is_current = move || self.round.try_get_value() == Some(round);
        let check = move || {
            if !is_current() || request.kernel.trim().is_empty() {
                return;
            }
            spawn_local(async move {
                let answer = api::check_kernel(&request).await;
                if !is_current() {
                    return;
                }
                match answer {
                    Ok(report) => {
                        self.verdict.set(Verdict::Passed(report));
                        if let Some(file) = as_file(&request.kernel) {
                            self.code.set(Part::Chosen(SendWrapper::new(file)));
                        }
                    }
                    Err(failure) => self.verdict.set(Verdict::Refused(failure)),
                }
            });
        };
        set_timeout(check, PAUSE);
    }

    /// Takes the text of the job that the order begins with.
    fn fetch_earlier(self) {
        let Some(hash) = self.earlier.try_update_value(Option::take).flatten() else { return };
        spawn_local(async move {
            match api::blob_text(hash).await {
                Ok(text) => self.text.set(text),
                Err(failure) => self.verdict.set(Verdict::Refused(failure)),
            }
        });
    }
}

#[expect(clippy::cast_possible_truncation, reason = "what float32 does not hold is refused as infinite")]
fn to_f32(value: f64) -> f32 {
    value as f32
}

fn as_file(text: &str) -> Option<File> {
    let parts = js_sys::Array::of1(&text.into());
    File::new_with_str_sequence(&parts, "kernel.wgsl").ok()
}

#[component]
pub(super) fn KernelFields(
    /// The order.
    order: Order,
) -> impl IntoView {
    let t = text();
    let kernel = order.kernel;
    Effect::new(move || kernel.fetch_earlier());
    Effect::new(move || kernel.check_soon());
    let report = move || match kernel.verdict.get() {
        Verdict::Passed(report) => Some(report),
        Verdict::Open | Verdict::Refused(_) => None,
    };
    let has = move |what: fn(&KernelReport) -> bool| move || report().as_ref().is_some_and(what);
    let takes_params = Memo::new(move |_| has(|report| report.params_bytes.is_some())());
    let floats = Memo::new(move |_| has(|report| report.floats)());
    view! {
        <Editor order/>
        <div class="numbers">
            <Number id="record_bytes" label=t.map.record_bytes value=kernel.record_bytes/>
            <Number id="out_bytes" label=t.map.out_bytes value=kernel.out_bytes/>
            <Number id="fuel" label=t.map.fuel value=kernel.fuel/>
            <Show when=move || floats.get()>
                <Number id="rtol" label=t.map.rtol value=kernel.rtol/>
                <Number id="atol" label=t.map.atol value=kernel.atol/>
            </Show>
        </div>
        <p class="hint">{t.map.fuel_hint}</p>
        <p class="error" role="alert">{move || order.check.with(|check| match check {
            Check::Refused(failure) if failure.is_field("fuel") || failure.is_field("check") => Some(failure.message()),
            _ => None,
        })}</p>
        <Show when=move || takes_params.get()>
            <FileField id="params" label=t.map.params hint=t.map.params_hint accept="" order part=kernel.params/>
        </Show>
    }
}

#[component]
fn Number(
    /// The element's id, which is also the field's name in refusals.
    id: &'static str,
    /// What it is.
    label: &'static str,
    /// What was typed.
    value: RwSignal<String>,
) -> impl IntoView {
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <input id=id type="text" inputmode="decimal" autocomplete="off" bind:value=value/>
        </div>
    }
}

/// The text with its line numbers, and what the server says of it.
#[component]
fn Editor(
    /// The order.
    order: Order,
) -> impl IntoView {
    let t = text();
    let kernel = order.kernel;
    let refusal = move || match kernel.verdict.get() {
        Verdict::Refused(failure) => Some(failure),
        // What a whole order's check found of the kernel.
        Verdict::Open | Verdict::Passed(_) => order.check.with(|check| match check {
            Check::Refused(failure) if failure.is_field("kernel") => Some(failure.clone()),
            _ => None,
        }),
    };
    let place = move || refusal().and_then(|failure| failure.place());
    let lines = Memo::new(move |_| kernel.text.with(|text| text.split('\n').count()));
    let bad_line = Memo::new(move |_| place().map(|place| place.line));
    let area = NodeRef::<leptos::html::Textarea>::new();
    let go_there = move |_| {
        if let (Some(place), Some(area)) = (place(), area.get()) {
            kernel.text.with_untracked(|text| select(&area, text, place));
        }
    };
    let on_input = move |event: leptos::ev::Event| kernel.text.set(event_target_value(&event));
    let number = move |line: usize| {
        let bad = move || bad_line.get().and_then(|bad| usize::try_from(bad).ok()) == Some(line);
        view! { <li class:bad=bad>{line}</li> }
    };
    let report = move || match kernel.verdict.get() {
        Verdict::Passed(report) => Some(describe(&report)),
        Verdict::Open | Verdict::Refused(_) => None,
    };
    view! {
        <div class="field">
            <label for="kernel">{t.map.kernel}</label>
            <p class="hint" id="kernel-hint">{t.map.kernel_hint}</p>
            <div class="editor">
                <ol aria-hidden="true">{move || (1..=lines.get()).map(number).collect_view()}</ol>
                <textarea id="kernel" node_ref=area wrap="off" spellcheck="false" autocomplete="off"
                    rows=move || lines.get().max(8).to_string() aria-describedby="kernel-hint kernel-error kernel-report"
                    aria-invalid=move || refusal().is_some().to_string()
                    prop:value=move || kernel.text.get() on:input=on_input>{kernel.text.get_untracked()}</textarea>
            </div>
            <p class="error" id="kernel-error" role="alert">{move || refusal().map(|failure| failure.message())}</p>
            <Show when=move || place().is_some()>
                <button type="button" on:click=go_there>{t.map.go_there}</button>
            </Show>
            <p class="hint" id="kernel-report" data-testid="kernel-report">{report}</p>
        </div>
    }
}

fn describe(report: &KernelReport) -> String {
    let t = text();
    let mut said = format!("{} {} {}", t.map.kernel_passed, format::count(report.ops), t.map.ops_a_record);
    if !report.loops.is_empty() {
        let lines: Vec<String> = report.loops.iter().map(ToString::to_string).collect();
        said = format!("{said}; {} {}", t.map.loops_in_lines, lines.join(", "));
    }
    if let Some(bytes) = report.params_bytes {
        said = format!("{said}; {} {}", t.map.params, format::bytes(bytes.into()));
    }
    said
}

/// Puts the caret where the error is. Columns count bytes, and the browser counts UTF-16 units.
fn select(area: &HtmlTextAreaElement, text: &str, place: Place) {
    let line = usize::try_from(place.line.saturating_sub(1)).unwrap_or(0);
    let column = usize::try_from(place.column.saturating_sub(1)).unwrap_or(0);
    let start: usize = text.split('\n').take(line).map(|line| line.len() + 1).sum();
    let before = text.get(..start + column).unwrap_or(text);
    let units = u32::try_from(before.encode_utf16().count()).unwrap_or(0);
    area.focus().unwrap_or_default();
    area.set_selection_range(units, units + 1).unwrap_or_default();
}
