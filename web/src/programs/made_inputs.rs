//! The arrays that the server makes of a model's files, asked for as soon as model and file are there: what a person sees
//! of rows and shapes before paying, and what the order is of.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{Account, ArraysToMake, Blob, BlobHash, FileKind, MadeArray, MadeArrays, PictureChannels, PictureLayout};
use wire::{PictureReading, Resize, ResizeFilter};

use super::input_reading::InputReading;
use crate::api::{self, Failure};
use crate::format;
use crate::text::{Text, text};

#[derive(Clone, Debug, PartialEq)]
enum Making {
    Asking,
    Made(MadeArrays),
    Refused(Failure),
}

impl Making {
    /// The same may be answered otherwise in a while.
    fn has_failed_in_passing(&self) -> bool {
        matches!(self, Self::Refused(failure) if failure.is_passing())
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    request: ArraysToMake,
    making: Making,
}

#[derive(Clone, Copy)]
pub struct MadeInputs {
    pub reading: InputReading,
    parts: RwSignal<Vec<Part>>,
    /// What was typed and is no number.
    mistyped: RwSignal<Option<String>>,
    /// Counts how often somebody wanted to try again.
    tries: RwSignal<u32>,
}

impl MadeInputs {
    pub fn new() -> Self {
        Self {
            reading: InputReading::new(),
            parts: RwSignal::new(Vec::new()),
            mistyped: RwSignal::new(None),
            tries: RwSignal::new(0),
        }
    }

    /// Asks for the arrays of these files, each for all inputs or for the one that it is named after, unless that was
    /// asked already.
    pub fn follow(
        self,
        account: RwSignal<Option<Account>>,
        model: Option<BlobHash>,
        files: Vec<(Option<String>, BlobHash)>,
    ) {
        let files = if model.is_some() && account.with(Option::is_some) { files } else { Vec::new() };
        let requests = files.into_iter().map(|(input, file)| self.reading.request(file, model.unwrap_or(file), input));
        let requests: Vec<ArraysToMake> = match requests.collect() {
            Ok(requests) => requests,
            Err(typed) => {
                self.mistyped.set(Some(typed));
                self.parts.set(Vec::new());
                return;
            }
        };
        self.mistyped.set(None);
        self.tries.track();
        let mut known = self.parts.get_untracked();
        known.retain(|part| !part.making.has_failed_in_passing());
        let mut parts = Vec::with_capacity(requests.len());
        for request in requests {
            let asked = known.iter().find(|part| part.request == request).cloned();
            if asked.is_none() {
                self.ask(account, request.clone());
            }
            parts.push(asked.unwrap_or(Part { request, making: Making::Asking }));
        }
        self.parts.set(parts);
    }

    fn ask(self, account: RwSignal<Option<Account>>, request: ArraysToMake) {
        spawn_local(async move {
            let answer = api::make_arrays(&request).await;
            if answer.as_ref().is_err_and(Failure::is_unauthorized) {
                // It is asked again once somebody has signed in.
                account.set(None);
                return;
            }
            self.parts.update(|parts| {
                // Other files may have been chosen meanwhile.
                if let Some(part) = parts.iter_mut().find(|part| part.request == request) {
                    part.making = answer.map_or_else(Making::Refused, Making::Made);
                }
            });
        });
    }

    /// What the file of an input, or the one of all, became.
    pub fn blob(self, input: Option<&str>) -> Option<Blob> {
        self.parts.with(|parts| {
            let part = parts.iter().find(|part| part.request.input.as_deref() == input)?;
            match &part.making {
                Making::Made(made) => Some(made.blob.clone()),
                Making::Asking | Making::Refused(_) => None,
            }
        })
    }

    /// Why there is no price yet, where there is a file.
    pub fn waits(self) -> Option<&'static str> {
        let t = text();
        let is_refused = self.mistyped.with(Option::is_some);
        self.parts.with(|parts| {
            let has = |making: fn(&Making) -> bool| parts.iter().any(|part| making(&part.making));
            if is_refused || has(|making| matches!(making, Making::Refused(_))) {
                Some(t.jobs.quote_refused)
            } else {
                has(|making| matches!(making, Making::Asking)).then_some(t.infer.reading_file)
            }
        })
    }

    /// Why there are no arrays: the model's fault, or that of what is read and how.
    pub fn fault(self, is_models: bool) -> Option<String> {
        let mistyped = self.mistyped.get().filter(|_| !is_models);
        let refused = self.parts.with(|parts| {
            let failures = parts.iter().filter_map(|part| match &part.making {
                Making::Refused(failure) => Some(failure),
                Making::Asking | Making::Made(_) => None,
            });
            let mut of_it = failures.filter(|failure| failure.is_field("model") == is_models);
            of_it.next().map(Failure::message)
        });
        mistyped.map(|typed| format!("{}{}{typed}", text().infer.no_number, text().site.colon)).or(refused)
    }

    /// What a file is called that became another.
    pub fn rename(self, input: Option<&str>, name: &str) -> String {
        self.parts.with_untracked(|parts| {
            let part = parts.iter().find(|part| part.request.input.as_deref() == input);
            match part.map(|part| &part.making) {
                Some(Making::Made(made)) if !made.unchanged => {
                    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
                    format!("{stem}.{}", if made.arrays.len() > 1 { "npz" } else { "npy" })
                }
                _ => name.to_owned(),
            }
        })
    }
}

/// What the choices are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Arrays,
    Table,
    Pictures,
}

impl Group {
    fn of_kind(kind: FileKind) -> Self {
        match kind {
            FileKind::Npy | FileKind::Npz => Self::Arrays,
            FileKind::Csv | FileKind::Parquet => Self::Table,
            FileKind::Pictures => Self::Pictures,
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().rsplit_once('.')?.1 {
            "npy" | "npz" => Some(Self::Arrays),
            "csv" | "tsv" | "txt" | "parquet" => Some(Self::Table),
            "zip" | "jpg" | "jpeg" | "png" | "webp" | "gif" | "bmp" => Some(Self::Pictures),
            _ => None,
        }
    }
}

/// What became of the files, and how they are read.
#[component]
pub fn InputArrays(
    /// What the server makes of them.
    inputs: MadeInputs,
    /// What the person calls the first of them; empty where there is none.
    name: Signal<String>,
) -> impl IntoView {
    let t = text();
    let MadeInputs { reading, parts, mistyped, .. } = inputs;
    let group = Memo::new(move |_| {
        let made = parts.with(|parts| {
            parts.iter().find_map(|part| match &part.making {
                Making::Made(made) => Some(Group::of_kind(made.kind)),
                Making::Asking | Making::Refused(_) => None,
            })
        });
        made.or_else(|| name.with(|name| Group::of_name(name)))
    });
    let failed = move || parts.with(|parts| parts.iter().any(|part| part.making.has_failed_in_passing()));
    let lines = move || parts.with(|parts| parts.iter().map(|part| line(part, t)).collect::<Vec<_>>().join("\n"));
    view! {
        <p class="file" id="arrays-state" aria-live="polite">{lines}</p>
        <Show when=failed>
            <button type="button" class="small" on:click=move |_| inputs.tries.update(|tries| *tries += 1)>{t.site.try_again}</button>
        </Show>
        {move || group.get().map(|group| match group {
            Group::Arrays => view! { <ArrayChoices reading/> }.into_any(),
            Group::Table => view! { <TableChoices reading/> }.into_any(),
            Group::Pictures => view! { <PictureChoices reading mistyped/> }.into_any(),
        })}
    }
}

fn line(part: &Part, t: &'static Text) -> String {
    match &part.making {
        Making::Asking => t.infer.reading_file.to_owned(),
        Making::Refused(_) => String::new(),
        Making::Made(made) => {
            let mut parts = vec![format!("{} {}", format::count(made.rows), t.infer.rows)];
            parts.extend(made.arrays.iter().map(array_text));
            parts.extend(made.pictures.iter().map(|reading| picture_text(reading, t)));
            let left_out = made.table.as_ref().map(|table| table.leave_out.join(", "));
            parts.extend(
                left_out
                    .filter(|columns| !columns.is_empty())
                    .map(|columns| format!("{}{}{columns}", t.infer.leave_out, t.site.colon)),
            );
            parts.join(" · ")
        }
    }
}

/// A type and a shape are said alike in all languages.
fn array_text(array: &MadeArray) -> String {
    let MadeArray { name, dtype, shape, cast_from, .. } = array;
    let cast = cast_from.as_ref().map_or_else(String::new, |from| format!("{from} → "));
    format!("{name}: {cast}{} {shape:?}", dtype.name())
}

fn picture_text(reading: &PictureReading, t: &'static Text) -> String {
    let numbers = |numbers: &[f32]| numbers.iter().map(f32::to_string).collect::<Vec<_>>().join(", ");
    format!(
        "{} × {}{}{}{}{}{} · {} · (x ÷ {} − [{}]) ÷ [{}]",
        reading.width.unwrap_or_default(),
        reading.height.unwrap_or_default(),
        t.site.bracket_open,
        reading.resize.map_or("", |resize| resize_label(resize, t)),
        t.site.comma,
        reading.filter.map_or("", |filter| filter_label(filter, t)),
        t.site.bracket_close,
        reading.channels.map_or("", |channels| channels_label(channels, t)),
        reading.divide_by.unwrap_or(1.0),
        numbers(&reading.mean),
        numbers(&reading.std),
    )
}

fn resize_label(resize: Resize, t: &'static Text) -> &'static str {
    match resize {
        Resize::Stretch => t.infer.stretch,
        Resize::Crop => t.infer.crop,
        Resize::Pad => t.infer.pad,
    }
}

fn filter_label(filter: ResizeFilter, t: &'static Text) -> &'static str {
    match filter {
        ResizeFilter::Nearest => t.infer.nearest,
        ResizeFilter::Bilinear => t.infer.bilinear,
        ResizeFilter::Bicubic => t.infer.bicubic,
        ResizeFilter::Lanczos => "Lanczos",
    }
}

fn channels_label(channels: PictureChannels, t: &'static Text) -> &'static str {
    match channels {
        PictureChannels::Rgb => "RGB",
        PictureChannels::Bgr => "BGR",
        PictureChannels::Grey => t.infer.grey,
    }
}

#[component]
fn ArrayChoices(
    /// What is chosen.
    reading: InputReading,
) -> impl IntoView {
    let t = text();
    view! {
        <div class="choice">
            <input type="checkbox" id="cast" bind:checked=reading.cast/>
            <label for="cast">{t.infer.cast}<small>{t.infer.cast_hint}</small></label>
        </div>
        <div class="choice">
            <input type="checkbox" id="add-batch" bind:checked=reading.add_batch/>
            <label for="add-batch">{t.infer.add_batch}<small>{t.infer.add_batch_hint}</small></label>
        </div>
    }
}

#[component]
fn TableChoices(
    /// What is chosen and typed.
    reading: InputReading,
) -> impl IntoView {
    let t = text();
    let header = [("", t.infer.by_itself), ("yes", t.infer.header_yes), ("no", t.infer.header_no)];
    view! {
        <fieldset class="field">
            <legend>{t.infer.table}</legend>
            <p class="hint">{t.infer.table_hint}</p>
            <div class="numbers">
                <Typed id="leave-out" label=t.infer.leave_out value=reading.leave_out placeholder="id, label"/>
                <Typed id="columns" label=t.infer.columns value=reading.columns placeholder="2-785"/>
                <Chosen id="header" label=t.infer.header value=reading.header choices=header.to_vec()/>
                <Typed id="missing" label=t.infer.missing value=reading.missing placeholder="0"/>
            </div>
        </fieldset>
    }
}

#[component]
fn PictureChoices(
    /// What is chosen and typed.
    reading: InputReading,
    /// What was typed and is no number.
    mistyped: RwSignal<Option<String>>,
) -> impl IntoView {
    let t = text();
    let resize = Resize::ALL.iter().map(|resize| (resize.name(), resize_label(*resize, t))).collect();
    // The usual one first.
    let bilinear = (ResizeFilter::Bilinear.name(), filter_label(ResizeFilter::Bilinear, t));
    let filters = ResizeFilter::ALL.iter().map(|filter| (filter.name(), filter_label(*filter, t)));
    let filters = std::iter::once(bilinear).chain(filters.filter(|filter| *filter != bilinear)).collect();
    let of_model = || ("", t.infer.as_model);
    let layouts = [(PictureLayout::Nchw.name(), "NCHW"), (PictureLayout::Nhwc.name(), "NHWC")];
    let channels = PictureChannels::ALL.iter().map(|channels| (channels.name(), channels_label(*channels, t)));
    view! {
        <fieldset class="field">
            <legend>{t.infer.pictures}</legend>
            <p class="hint">{t.infer.pictures_hint}</p>
            <div class="numbers">
                <Typed id="size" mistyped label=t.infer.size value=reading.size placeholder="224x224"/>
                <Chosen id="resize" label=t.infer.resize value=reading.resize choices=resize/>
                <Typed id="shorter-side" mistyped label=t.infer.shorter_side value=reading.shorter_side placeholder="256"/>
                <Chosen id="filter" label=t.infer.filter value=reading.filter choices=filters/>
                <Chosen id="channels" label=t.infer.channels value=reading.channels choices=std::iter::once(of_model()).chain(channels).collect()/>
                <Chosen id="layout" label=t.infer.layout value=reading.layout choices=std::iter::once(of_model()).chain(layouts).collect()/>
                <Typed id="divide-by" mistyped label=t.infer.divide_by value=reading.divide_by placeholder="255"/>
                <Typed id="mean" mistyped label=t.infer.mean value=reading.mean placeholder="0.485, 0.456, 0.406"/>
                <Typed id="std" mistyped label=t.infer.std value=reading.std placeholder="0.229, 0.224, 0.225"/>
            </div>
        </fieldset>
    }
}

/// A field that holds once it is left, since each change is asked of the server.
#[component]
fn Typed(
    /// The element's id.
    id: &'static str,
    /// What it is.
    label: &'static str,
    /// What was typed.
    value: RwSignal<String>,
    /// What it looks like.
    placeholder: &'static str,
    /// What was typed into one of the fields and is no number.
    #[prop(optional)]
    mistyped: RwSignal<Option<String>>,
) -> impl IntoView {
    let is_wrong =
        move || mistyped.with(|wrong| wrong.as_ref().is_some_and(|wrong| value.with(|typed| typed.contains(wrong))));
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <input id=id type="text" autocomplete="off" placeholder=placeholder prop:value=move || value.get()
                aria-invalid=move || is_wrong().to_string()
                on:change=move |event| value.set(event_target_value(&event))/>
        </div>
    }
}

#[component]
fn Chosen(
    /// The element's id.
    id: &'static str,
    /// What it is.
    label: &'static str,
    /// The name of what was chosen.
    value: RwSignal<String>,
    /// Names and what they are called.
    choices: Vec<(&'static str, &'static str)>,
) -> impl IntoView {
    let option = |(name, label): (&'static str, &'static str)| {
        view! { <option value=name selected=value.with_untracked(|value| value == name)>{label}</option> }
    };
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <select id=id on:change=move |event| value.set(event_target_value(&event))>
                {choices.into_iter().map(option).collect_view()}
            </select>
        </div>
    }
}
