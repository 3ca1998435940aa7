//! `infer`: an ONNX model over the rows of arrays.

use std::collections::BTreeMap;
use std::sync::Arc;

use leptos::prelude::*;
use web_sys::File;
use wire::Job;

use super::draft::JobDraft;
use super::file_field::{FileField, NamedSlot, SortFiles};
use super::file_slot::FileSlot;
use super::program::{Program, ProgramForm};
use super::result_link::result_link;
use crate::browser::backend::{ANY_BACKEND, Backend};
use crate::text::{Text, text};

pub struct Infer;

impl Program for Infer {
    fn name(&self) -> &'static str {
        "infer"
    }

    fn label(&self, t: &'static Text) -> (&'static str, &'static str) {
        (t.infer.run_model, t.infer.run_model_hint)
    }

    fn backends(&self) -> &'static [Backend] {
        ANY_BACKEND
    }

    fn form(&self, draft: JobDraft, earlier: Option<&wire::Program>) -> Arc<dyn ProgramForm> {
        let form = InferForm { draft, model: RwSignal::new(FileSlot::Missing), named: RwSignal::new(Vec::new()) };
        if let Some(wire::Program::Infer(wire::Infer { model, input, inputs, .. })) = earlier {
            form.model.set(FileSlot::from_earlier_job(*model));
            form.draft.input.set(input.map_or(FileSlot::Missing, FileSlot::from_earlier_job));
            let slot = |(name, &hash): (&String, _)| (name.clone(), RwSignal::new(FileSlot::from_earlier_job(hash)));
            form.named.set(inputs.iter().map(slot).collect());
        }
        Arc::new(form)
    }

    fn result(&self, job: &Job) -> AnyView {
        let t = text();
        let id = job.id;
        // Several outputs are no one table.
        if job.outputs.len() > 1 {
            return result_link(id, "npz", t.jobs.download, "button primary");
        }
        let links = [
            result_link(id, "npy", t.jobs.download, "button primary"),
            result_link(id, "csv", "CSV", "button"),
            result_link(id, "json", "JSON", "button"),
        ];
        links.collect_view().into_any()
    }
}

#[derive(Clone, Copy)]
struct InferForm {
    draft: JobDraft,
    model: RwSignal<FileSlot>,
    /// The inputs by name, where several files were chosen in place of one.
    named: RwSignal<Vec<NamedSlot>>,
}

impl ProgramForm for InferForm {
    fn fields(&self) -> AnyView {
        let form = *self;
        let t = text();
        let sort: SortFiles = Arc::new(move |files, dropped_onto| form.sort_files(files, dropped_onto));
        view! {
            <FileField id="model" label=t.infer.model hint=t.infer.model_hint accept=".onnx,.zip"
                draft=form.draft file=form.model sort=sort.clone()/>
            <FileField id="input" label=t.infer.input hint=t.infer.input_hint accept=".npy,.npz"
                draft=form.draft file=form.draft.input named=form.named sort=sort/>
        }
        .into_any()
    }

    fn program(&self) -> Option<wire::Program> {
        let model = self.model.with(FileSlot::hash)?;
        let input = self.draft.input.with(FileSlot::hash);
        let named = self.named.get();
        let (input, inputs) = if named.is_empty() {
            (Some(input?), BTreeMap::new())
        } else {
            let stored = named.into_iter().map(|(name, slot)| Some((name, slot.with(FileSlot::hash)?)));
            (None, stored.collect::<Option<_>>()?)
        };
        Some(wire::Program::Infer(wire::Infer { model, input, inputs, tile_rows: None }))
    }

    fn files(&self) -> Vec<RwSignal<FileSlot>> {
        let named = self.named.get().into_iter().map(|(_, slot)| slot);
        named.chain([self.model]).collect()
    }

    fn refusable_fields(&self) -> &'static [&'static str] {
        &["model", "input"]
    }

    fn has_float_outputs(&self) -> bool {
        false
    }
}

impl InferForm {
    /// Puts files where their endings say, or where they were dropped. Several arrays are the model's
    /// inputs, each by its file's name.
    fn sort_files(self, files: Vec<File>, dropped_onto: RwSignal<FileSlot>) {
        let mut arrays = Vec::new();
        for file in files {
            let name = file.name().to_ascii_lowercase();
            match name.rsplit_once('.').map(|(_, ending)| ending) {
                Some("onnx" | "zip") => self.model.set(FileSlot::chosen(file)),
                Some("npy" | "npz") => arrays.push(file),
                _ => dropped_onto.set(FileSlot::chosen(file)),
            }
        }
        if arrays.len() > 1 {
            self.draft.input.set(FileSlot::Missing);
            let mut named: Vec<NamedSlot> = Vec::new();
            for file in arrays {
                let name = file.name();
                let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
                named.retain(|(known, _)| known != stem);
                named.push((stem.to_owned(), RwSignal::new(FileSlot::chosen(file))));
            }
            self.named.set(named);
        } else if let Some(file) = arrays.pop() {
            self.named.set(Vec::new());
            self.draft.input.set(FileSlot::chosen(file));
        }
    }
}
