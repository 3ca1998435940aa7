//! `infer`: an ONNX model over the rows of arrays.

use std::collections::BTreeMap;
use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::File;
use wire::{BlobHash, Job};

use super::draft::JobDraft;
use super::file_field::{FileField, NamedSlot, SortFiles};
use super::file_slot::{FileSlot, file_of, names_of};
use super::made_inputs::{InputArrays, MadeInputs};
use super::order_file::OrderFile;
use super::program::{Program, ProgramForm};
use super::result_link::result_link;
use super::typed::{Takes, whole};
use crate::api;
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

    fn form(&self, draft: JobDraft, earlier: Option<&Job>) -> Arc<dyn ProgramForm> {
        let model = RwSignal::new(FileSlot::Missing);
        let (named, tile_rows) = (RwSignal::new(Vec::new()), RwSignal::new(String::new()));
        let form = InferForm { draft, model, named, made: MadeInputs::new(), tile_rows };
        let Some(job) = earlier else { return Arc::new(form) };
        if let wire::Program::Infer(wire::Infer { model, input, inputs, tile_rows }) = &job.program {
            form.tile_rows.set(tile_rows.map(|rows| rows.to_string()).unwrap_or_default());
            form.model.set(FileSlot::from_earlier_job(job, "model", *model));
            let of_all = input.map(|hash| FileSlot::from_earlier_job(job, "input", hash));
            form.draft.input.set(of_all.unwrap_or(FileSlot::Missing));
            let slot = |(name, &hash): (&String, _)| {
                (name.clone(), RwSignal::new(FileSlot::from_earlier_job(job, &format!("inputs.{name}"), hash)))
            };
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

    fn order_files(&self, program: &wire::Program, t: &'static Text) -> Vec<OrderFile> {
        let wire::Program::Infer(wire::Infer { model, input, inputs, .. }) = program else { return Vec::new() };
        let mut files = vec![OrderFile::new("model", t.infer.model, *model, "model.onnx")];
        files.extend(input.map(|hash| OrderFile::new("input", t.infer.input, hash, "input.npy")));
        files.extend(inputs.iter().map(|(name, &hash)| {
            OrderFile::new(&format!("inputs.{name}"), t.infer.input, hash, &format!("{name}.npy"))
        }));
        files
    }

    fn arguments(&self, program: &wire::Program) -> Vec<String> {
        let mut arguments = vec!["infer".to_owned()];
        if let wire::Program::Infer(wire::Infer { tile_rows: Some(rows), .. }) = program {
            arguments.push(format!("--tile-rows {rows}"));
        }
        arguments
    }

    fn format(&self, job: &Job) -> &'static str {
        if job.outputs.len() > 1 { "npz" } else { "npy" }
    }
}

#[derive(Clone, Copy)]
struct InferForm {
    draft: JobDraft,
    model: RwSignal<FileSlot>,
    /// The inputs by name, where several files were chosen in place of one.
    named: RwSignal<Vec<NamedSlot>>,
    /// The arrays that the server makes of the inputs.
    made: MadeInputs,
    /// Rows a tile, as they were typed; empty for what the server chooses.
    tile_rows: RwSignal<String>,
}

impl ProgramForm for InferForm {
    fn fields(&self) -> AnyView {
        let form = *self;
        let t = text();
        let sort: SortFiles = Arc::new(move |files, dropped_onto| form.sort_files(files, dropped_onto));
        Effect::new(move || form.made.follow(form.draft.account, form.model.with(FileSlot::hash), form.input_files()));
        let try_sample = move |_| {
            spawn_local(async move {
                for (name, slot) in [("digits.onnx", form.model), ("digits.npy", form.draft.input)] {
                    slot.set(match api::sample(name).await {
                        Ok(bytes) => file_of(name, &bytes).map_or(FileSlot::Missing, FileSlot::chosen),
                        Err(failure) => FileSlot::Refused { chosen: None, message: failure.message() },
                    });
                }
                form.named.set(Vec::new());
            });
        };
        view! {
            <p class="sample"><button type="button" class="small" on:click=try_sample>{t.infer.try_sample}</button> <span class="hint">{t.infer.try_sample_hint}</span></p>
            <FileField id="model" label=t.infer.model hint=t.infer.model_hint accept=".onnx,.zip"
                draft=form.draft file=form.model sort=sort.clone() fault=Signal::derive(move || form.made.fault(true))/>
            <FileField id="input" label=t.infer.input hint=t.infer.input_hint accept=INPUT_ENDINGS
                draft=form.draft file=form.draft.input named=form.named sort=sort fault=Signal::derive(move || form.made.fault(false))/>
            <InputArrays inputs=form.made name=Signal::derive(move || form.input_name())/>
            <div class="field">
                <label for="tile_rows">{t.infer.tile_rows}</label>
                <p class="hint" id="tile_rows-hint">{t.infer.tile_rows_hint}</p>
                <input id="tile_rows" type="text" inputmode="numeric" autocomplete="off" bind:value=form.tile_rows
                    aria-describedby="tile_rows-hint tile_rows-error" aria-invalid=move || form.tile_rows_fault().is_some().to_string()/>
                <p class="error" id="tile_rows-error" role="alert">{move || form.tile_rows_fault()}</p>
            </div>
        }
        .into_any()
    }

    fn program(&self) -> Option<wire::Program> {
        let model = self.model.with(FileSlot::hash)?;
        let named = self.named.get();
        let (input, inputs) = if named.is_empty() {
            (Some(self.made.blob(None)?.hash), BTreeMap::new())
        } else {
            let made = named.into_iter().map(|(name, _)| Some((name.clone(), self.made.blob(Some(&name))?.hash)));
            (None, made.collect::<Option<_>>()?)
        };
        if self.has_wrong_tile_rows() {
            return None;
        }
        let tile_rows = self.tile_rows.with(|typed| whole(typed));
        Some(wire::Program::Infer(wire::Infer { model, input, inputs, tile_rows }))
    }

    fn waits(&self) -> Option<&'static str> {
        if self.has_wrong_tile_rows() { Some(text().jobs.quote_refused) } else { self.made.waits() }
    }

    fn file_names(&self) -> BTreeMap<String, String> {
        let named = self.named.get_untracked();
        let mut slots = vec![("model".to_owned(), self.model)];
        if named.is_empty() {
            slots.push(("input".to_owned(), self.draft.input));
        }
        slots.extend(named.into_iter().map(|(name, slot)| (format!("inputs.{name}"), slot)));
        let mut names = names_of(slots);
        for (field, name) in &mut names {
            // A job's files are arrays, whatever they were made of.
            if field != "model" {
                *name = self.made.rename(field.strip_prefix("inputs."), name);
            }
        }
        names
    }

    fn files(&self) -> Vec<RwSignal<FileSlot>> {
        let named = self.named.get().into_iter().map(|(_, slot)| slot);
        named.chain([self.model]).collect()
    }

    fn typed(&self) -> Vec<(&'static str, RwSignal<String>)> {
        vec![("tile_rows", self.tile_rows)]
    }

    fn refusable_fields(&self) -> &'static [&'static str] {
        &["model", "input", "tile_rows"]
    }

    fn has_float_outputs(&self) -> bool {
        false
    }
}

/// What is offered to be an input.
const INPUT_ENDINGS: &str = ".npy,.npz,.csv,.tsv,.parquet,.zip,.jpg,.jpeg,.png,.webp,.gif,.bmp";
const PICTURE_ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "gif", "bmp"];

impl InferForm {
    fn has_wrong_tile_rows(self) -> bool {
        self.tile_rows.with(|typed| !Takes::WholeOrNothing.holds(typed))
    }

    fn tile_rows_fault(self) -> Option<String> {
        if self.has_wrong_tile_rows() {
            return Some(Takes::WholeOrNothing.said(text()).to_owned());
        }
        self.draft.refusal_of(&["tile_rows"]).map(|failure| failure.message())
    }

    /// The files that are stored, once all are.
    fn input_files(self) -> Vec<(Option<String>, BlobHash)> {
        let named = self.named.get();
        if named.is_empty() {
            return self.draft.input.with(FileSlot::hash).map(|hash| (None, hash)).into_iter().collect();
        }
        let stored = named.into_iter().map(|(name, slot)| Some((Some(name), slot.with(FileSlot::hash)?)));
        stored.collect::<Option<_>>().unwrap_or_default()
    }

    /// What the person calls the first of them.
    fn input_name(self) -> String {
        let first = self.named.with(|named| named.first().map(|(_, slot)| *slot)).unwrap_or(self.draft.input);
        first.with(FileSlot::given_name).unwrap_or_default()
    }

    /// Puts files where their endings say, or where they were dropped. Several arrays are the model's
    /// inputs, each by its file's name.
    fn sort_files(self, files: Vec<File>, dropped_onto: RwSignal<FileSlot>) {
        let (mut arrays, mut pictures) = (Vec::new(), Vec::new());
        for file in files {
            let name = file.name().to_ascii_lowercase();
            match name.rsplit_once('.').map(|(_, ending)| ending) {
                Some("onnx") => self.model.set(FileSlot::chosen(file)),
                Some("npy" | "npz") => arrays.push(file),
                Some(ending) if PICTURE_ENDINGS.contains(&ending) => pictures.push(file),
                Some("csv" | "tsv" | "parquet") => self.take_one(file),
                // A model with its data, or pictures: which of them, the place says.
                _ if dropped_onto == self.draft.input => self.take_one(file),
                _ => dropped_onto.set(FileSlot::chosen(file)),
            }
        }
        if pictures.len() > 1 {
            self.named.set(Vec::new());
            let message = text().infer.zip_pictures.to_owned();
            self.draft.input.set(FileSlot::Refused { chosen: None, message });
        } else if let Some(file) = pictures.pop() {
            self.take_one(file);
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
            self.take_one(file);
        }
    }

    /// A file that is for all inputs.
    fn take_one(self, file: File) {
        self.named.set(Vec::new());
        self.draft.input.set(FileSlot::chosen(file));
    }
}
