//! `map`: a customer's own WGSL kernel over the records of a file, checked by the server as it is written.

mod editor;
mod examples;
mod highlight;
mod kernel;
mod params;

use std::collections::BTreeMap;
use std::sync::Arc;

use leptos::prelude::*;
use wire::{Check, IntegerTolerance, Job, KernelReport};

use self::editor::Editor;
use self::examples::{EXAMPLES, Example};
use self::kernel::{CheckState, KernelDraft};
use super::draft::JobDraft;
use super::file_field::FileField;
use super::file_slot::{FileSlot, names_of};
use super::order_file::OrderFile;
use super::program::{Program, ProgramForm};
use super::result_link::result_link;
use super::typed::Takes;
use crate::browser::backend::{ANY_WEBGPU, Backend};
use crate::text::{Text, text};

pub struct Map;

impl Program for Map {
    fn name(&self) -> &'static str {
        "map"
    }

    fn label(&self, t: &'static Text) -> (&'static str, &'static str) {
        (t.map.run_kernel, t.map.run_kernel_hint)
    }

    // By its fuel, of which a record takes as much as it needs.
    fn work_is_bound(&self) -> bool {
        true
    }

    fn backends(&self) -> &'static [Backend] {
        ANY_WEBGPU
    }

    fn form(&self, draft: JobDraft, earlier: Option<&Job>) -> Arc<dyn ProgramForm> {
        if let Some((job, wire::Program::Map(wire::Map { input, .. }))) = earlier.map(|job| (job, &job.program)) {
            draft.input.set(FileSlot::from_earlier_job(job, "input", *input));
        }
        Arc::new(MapForm { draft, kernel: KernelDraft::new(earlier) })
    }

    // Records have no columns.
    fn result(&self, job: &Job) -> AnyView {
        let t = text();
        let links = [
            result_link(job.id, "bin", t.jobs.download, "button primary"),
            result_link(job.id, "npy", "NumPy", "button"),
            result_link(job.id, "csv", "CSV", "button"),
        ];
        links.collect_view().into_any()
    }

    fn order_files(&self, program: &wire::Program, t: &'static Text) -> Vec<OrderFile> {
        let wire::Program::Map(wire::Map { kernel, input, params, .. }) = program else { return Vec::new() };
        let mut files = vec![
            OrderFile::new("kernel", t.map.kernel, *kernel, "kernel.wgsl"),
            OrderFile::new("input", t.map.records, *input, "records.bin"),
        ];
        files.extend(params.map(|hash| OrderFile::new("params", t.map.params, hash, "params.bin")));
        files
    }

    fn arguments(&self, program: &wire::Program) -> Vec<String> {
        let wire::Program::Map(order) = program else { return Vec::new() };
        let mut arguments = vec![
            "map".to_owned(),
            format!("--record-bytes {}", order.record_bytes),
            format!("--out-bytes {}", order.out_bytes),
        ];
        arguments.extend(order.fuel.map(|fuel| format!("--fuel {fuel}")));
        match order.check {
            None => {}
            Some(Check::Exact) => arguments.push("--exact".to_owned()),
            Some(Check::Tolerance { rtol, atol, integers }) => {
                arguments.push(format!("--tolerance {},{}", rtol.get(), atol.get()));
                arguments.extend(integers.map(|IntegerTolerance { units, fraction, bits }| {
                    format!("--tolerance-int {units},{} --int-bits {}", fraction.get(), u8::from(bits))
                }));
            }
        }
        arguments.extend(order.tile_records.map(|records| format!("--tile-records {records}")));
        arguments
    }

    fn format(&self, _job: &Job) -> &'static str {
        "bin"
    }
}

#[derive(Clone, Copy)]
struct MapForm {
    draft: JobDraft,
    kernel: KernelDraft,
}

impl ProgramForm for MapForm {
    fn fields(&self) -> AnyView {
        let Self { draft, kernel } = *self;
        let t = text();
        view! {
            <Examples draft kernel/>
            <KernelFields draft kernel/>
            <FileField id="input" label=t.map.records hint=t.map.records_hint accept="" draft file=draft.input/>
        }
        .into_any()
    }

    fn program(&self) -> Option<wire::Program> {
        self.kernel.program(self.draft.input.with(FileSlot::hash)?)
    }

    fn waits(&self) -> Option<&'static str> {
        let is_refused = self.kernel.check.with(|check| matches!(check, CheckState::Refused(_)));
        (is_refused || self.kernel.is_mistyped()).then_some(text().jobs.quote_refused)
    }

    fn file_names(&self) -> BTreeMap<String, String> {
        let mut slots = vec![("kernel", self.kernel.code), ("input", self.draft.input)];
        if untrack(|| self.kernel.report()).is_some_and(|report| report.params_bytes.is_some()) {
            slots.push(("params", self.kernel.params));
        }
        names_of(slots.into_iter().map(|(field, slot)| (field.to_owned(), slot)))
    }

    fn files(&self) -> Vec<RwSignal<FileSlot>> {
        vec![self.kernel.code, self.kernel.params]
    }

    fn typed(&self) -> Vec<(&'static str, RwSignal<String>)> {
        let kernel = self.kernel;
        vec![
            ("kernel", kernel.text),
            ("params", kernel.typed_params),
            ("record_bytes", kernel.record_bytes),
            ("out_bytes", kernel.out_bytes),
            ("fuel", kernel.fuel),
            ("tile_records", kernel.tile_records),
            ("rtol", kernel.rtol),
            ("atol", kernel.atol),
            ("units", kernel.units),
            ("fraction", kernel.fraction),
            ("bits", kernel.bits),
        ]
    }

    fn on_put_back(&self) {
        untrack(|| self.kernel.take_typed_params());
    }

    fn refusable_fields(&self) -> &'static [&'static str] {
        &["input", "kernel", "params", "fuel", "check", "record_bytes", "out_bytes", "tile_records"]
    }

    fn has_float_outputs(&self) -> bool {
        untrack(|| self.kernel.report()).is_some_and(|report| report.answers_floats)
    }
}

/// Kernels to start from.
#[component]
fn Examples(
    /// The job that the kernel belongs to.
    draft: JobDraft,
    /// The kernel that an example takes the place of.
    kernel: KernelDraft,
) -> impl IntoView {
    let t = text();
    let chosen = RwSignal::new("0".to_owned());
    let load = move |_| {
        let index = chosen.get_untracked().parse::<usize>().unwrap_or_default();
        if let Some(example) = EXAMPLES.get(index) {
            kernel.load(example, draft.input);
        }
    };
    let option =
        |(index, example): (usize, &Example)| view! { <option value=index.to_string()>{(example.label)(t)}</option> };
    view! {
        <div class="field">
            <label for="example">{t.map.example}</label>
            <p class="hint" id="example-hint">{t.map.example_hint}</p>
            <div class="joined">
                <select id="example" aria-describedby="example-hint" on:change=move |event| chosen.set(event_target_value(&event))>
                    {EXAMPLES.iter().enumerate().map(option).collect_view()}
                </select>
                <button type="button" on:click=load>{t.map.load_example}</button>
            </div>
        </div>
    }
}

#[component]
fn KernelFields(
    /// The job that the kernel belongs to.
    draft: JobDraft,
    /// The kernel.
    kernel: KernelDraft,
) -> impl IntoView {
    let t = text();
    Effect::new(move || kernel.fetch_earlier());
    Effect::new(move || kernel.check_soon());
    let has = move |what: fn(&KernelReport) -> bool| move || kernel.report().as_ref().is_some_and(what);
    let takes_params = Memo::new(move |_| has(|report| report.params_bytes.is_some())());
    let refusal = move |field: &'static str| {
        Signal::derive(move || kernel.refusal_of(draft, field).map(|failure| failure.message()))
    };
    // What it gets if nothing is typed.
    let usual_fuel =
        move || kernel.report().map_or_else(|| t.map.by_server.to_owned(), |report| report.fuel.to_string());
    view! {
        <Editor draft kernel/>
        <div class="numbers">
            <Number id="record_bytes" label=t.map.record_bytes value=kernel.record_bytes takes=Takes::Whole refusal=refusal("record_bytes")/>
            <Number id="out_bytes" label=t.map.out_bytes value=kernel.out_bytes takes=Takes::Whole refusal=refusal("out_bytes")/>
            <Number id="fuel" label=t.map.fuel value=kernel.fuel takes=Takes::WholeOrNothing placeholder=Signal::derive(usual_fuel) refusal=refusal("fuel")/>
            <Number id="tile_records" label=t.map.tile_records value=kernel.tile_records takes=Takes::WholeOrNothing
                placeholder=Signal::stored(t.map.by_server.to_owned()) refusal=refusal("tile_records")/>
        </div>
        <p class="hint below">{t.map.fuel_hint}</p>
        <SameResult draft kernel/>
        <Show when=move || takes_params.get()>
            <div class="field">
                <label for="typed-params">{t.map.typed_params}</label>
                <p class="hint" id="typed-params-hint">{t.map.typed_params_hint}</p>
                <input id="typed-params" class="mono" type="text" autocomplete="off" spellcheck="false" aria-describedby="typed-params-hint"
                    bind:value=kernel.typed_params on:change=move |_| kernel.take_typed_params()/>
            </div>
            <FileField id="params" label=t.map.params hint=t.map.params_hint accept="" draft file=kernel.params/>
        </Show>
    }
}

/// When two results are the same: what the kernel computes with says which numbers have to be stated.
#[component]
fn SameResult(
    /// The job that the kernel belongs to.
    draft: JobDraft,
    /// The kernel.
    kernel: KernelDraft,
) -> impl IntoView {
    let t = text();
    let has = move |what: fn(&KernelReport) -> bool| move || kernel.report().as_ref().is_some_and(what);
    // What was typed for an earlier text and holds up the quote has to be seen to be mended.
    let is_wrong =
        move || [kernel.rtol, kernel.atol].iter().any(|field| field.with(|typed| !Takes::Tolerance.holds(typed)));
    let floats =
        Memo::new(move |_| has(|report| report.answers_floats)() || (has(|report| report.floats)() && is_wrong()));
    let rounds = Memo::new(move |_| has(|report| report.floats && report.answers_integers)());
    let hint = move || match kernel.report() {
        None => t.map.same_unknown,
        Some(report) if !report.floats => t.map.same_exact,
        Some(report) if report.answers_integers => t.map.units_hint,
        Some(_) => t.map.same_floats,
    };
    view! {
        <fieldset class="field" aria-describedby="check-error">
            <legend>{t.map.same_result}</legend>
            <p class="hint">{hint}</p>
            <div class="numbers">
                <Show when=move || floats.get()>
                    <Number id="rtol" label=t.map.rtol value=kernel.rtol takes=Takes::Tolerance/>
                    <Number id="atol" label=t.map.atol value=kernel.atol takes=Takes::Tolerance/>
                </Show>
                <Show when=move || rounds.get()>
                    <Number id="units" label=t.map.units value=kernel.units takes=Takes::WholeOrNothing/>
                    <Number id="fraction" label=t.map.fraction value=kernel.fraction takes=Takes::Share/>
                    <Number id="bits" label=t.map.bits value=kernel.bits takes=Takes::Bits/>
                </Show>
            </div>
            <p class="error" id="check-error" role="alert">{move || draft.refusal_of(&["check"]).map(|failure| failure.message())}</p>
        </fieldset>
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
    /// What can be.
    takes: Takes,
    /// What holds as long as nothing is typed.
    #[prop(default = Signal::stored(String::new()))]
    placeholder: Signal<String>,
    /// Why the server does not take it.
    #[prop(default = Signal::stored(None))]
    refusal: Signal<Option<String>>,
) -> impl IntoView {
    let t = text();
    let fault = move || {
        if value.with(|typed| takes.holds(typed)) { refusal.get() } else { Some(takes.said(t).to_owned()) }
    };
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <input id=id type="text" inputmode="decimal" autocomplete="off" placeholder=move || placeholder.get() bind:value=value
                aria-describedby=format!("{id}-error") aria-invalid=move || fault().is_some().to_string()/>
            <p class="error" id=format!("{id}-error") role="alert">{fault}</p>
        </div>
    }
}
