//! `map`: a customer's own WGSL kernel over the records of a file, checked by the server as it is written.

mod editor;
mod kernel;

use std::sync::Arc;

use leptos::prelude::*;
use wire::{Job, KernelReport};

use self::editor::Editor;
use self::kernel::KernelDraft;
use super::draft::JobDraft;
use super::file_field::FileField;
use super::file_slot::FileSlot;
use super::program::{Program, ProgramForm};
use super::result_link::result_link;
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

    fn backends(&self) -> &'static [Backend] {
        ANY_WEBGPU
    }

    fn form(&self, draft: JobDraft, earlier: Option<&wire::Program>) -> Arc<dyn ProgramForm> {
        if let Some(wire::Program::Map(wire::Map { input, .. })) = earlier {
            draft.input.set(FileSlot::from_earlier_job(*input));
        }
        Arc::new(MapForm { draft, kernel: KernelDraft::new(earlier) })
    }

    // Records have no columns.
    fn result(&self, job: &Job) -> AnyView {
        result_link(job.id, "bin", text().jobs.download, "button primary")
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
            <KernelFields draft kernel/>
            <FileField id="input" label=t.map.records hint=t.map.records_hint accept="" draft file=draft.input/>
        }
        .into_any()
    }

    fn program(&self) -> Option<wire::Program> {
        self.kernel.program(self.draft.input.with(FileSlot::hash)?)
    }

    fn files(&self) -> Vec<RwSignal<FileSlot>> {
        vec![self.kernel.code, self.kernel.params]
    }

    fn refusable_fields(&self) -> &'static [&'static str] {
        &["input", "kernel", "params", "fuel", "check"]
    }

    fn has_float_outputs(&self) -> bool {
        untrack(|| self.kernel.report()).is_some_and(|report| report.answers_floats)
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
    let floats = Memo::new(move |_| has(|report| report.answers_floats)());
    let rounds = Memo::new(move |_| has(|report| report.floats && report.answers_integers)());
    view! {
        <Editor draft kernel/>
        <div class="numbers">
            <Number id="record_bytes" label=t.map.record_bytes value=kernel.record_bytes/>
            <Number id="out_bytes" label=t.map.out_bytes value=kernel.out_bytes/>
            <Number id="fuel" label=t.map.fuel value=kernel.fuel/>
            <Show when=move || floats.get()>
                <Number id="rtol" label=t.map.rtol value=kernel.rtol/>
                <Number id="atol" label=t.map.atol value=kernel.atol/>
            </Show>
            <Show when=move || rounds.get()>
                <Number id="units" label=t.map.units value=kernel.units/>
                <Number id="fraction" label=t.map.fraction value=kernel.fraction/>
                <Number id="bits" label=t.map.bits value=kernel.bits/>
            </Show>
        </div>
        <p class="hint">{t.map.fuel_hint}</p>
        <Show when=move || rounds.get()>
            <p class="hint">{t.map.units_hint}</p>
        </Show>
        <p class="error" role="alert">{move || draft.refusal_of(&["fuel", "check"]).map(|failure| failure.message())}</p>
        <Show when=move || takes_params.get()>
            <FileField id="params" label=t.map.params hint=t.map.params_hint accept="" draft file=kernel.params/>
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
