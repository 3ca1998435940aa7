mod file;
mod kernel;
mod quote;
mod trial;

use std::collections::BTreeMap;

use leptos::prelude::*;
use leptos::task::spawn_local;
use send_wrapper::SendWrapper;
use web_sys::File;
use wire::{Account, BlobHash, Infer, Job, Map, Privacy, Program, Quote, QuoteRequest, SubmitJob};

use self::file::FileField;
use self::kernel::{KernelFields, KernelOrder};
use self::quote::QuoteCard;
use super::compute_here::START_HASH;
use super::sign_in::SignIn;
use crate::api::{self, Failure};
use crate::components::Balance;
use crate::route::Page;
use crate::text::text;
use crate::visit::href;

/// One of the order's two files, on its way to a blob.
#[derive(Clone, Debug)]
enum Part {
    Missing,
    /// Chosen, and waiting for an account to upload it to.
    Chosen(Chosen),
    Uploading(Chosen),
    /// Stored. `name` is what the person knows it by.
    Stored {
        name: String,
        hash: BlobHash,
    },
    /// Not taken, and why.
    Refused {
        chosen: Option<Chosen>,
        message: String,
    },
}

/// A file for the input that it is named after.
type Named = (String, RwSignal<Part>);

/// A file stays on the browser's one thread; the server never has one.
type Chosen = SendWrapper<File>;

impl Part {
    fn is_uploading(&self, file: &File) -> bool {
        matches!(self, Self::Uploading(chosen) if js_sys::Object::is(chosen, file))
    }

    fn refusal(self) -> Option<String> {
        match self {
            Self::Refused { message, .. } => Some(message),
            Self::Missing | Self::Chosen(_) | Self::Uploading(_) | Self::Stored { .. } => None,
        }
    }

    fn hash(&self) -> Option<BlobHash> {
        match self {
            Self::Stored { hash, .. } => Some(*hash),
            Self::Missing | Self::Chosen(_) | Self::Uploading(_) | Self::Refused { .. } => None,
        }
    }
}

/// What the form knows of the price.
#[derive(Clone, Debug, PartialEq)]
enum Check {
    /// Something is still missing.
    Open,
    Checking,
    Quoted(Box<(Program, Quote)>),
    Refused(Failure),
}

/// The order being written. What was typed or chosen stays, whatever fails.
#[derive(Clone, Copy)]
struct Order {
    account: RwSignal<Option<Account>>,
    /// A kernel of one's own in place of a model.
    own_kernel: RwSignal<bool>,
    model: RwSignal<Part>,
    kernel: KernelOrder,
    input: RwSignal<Part>,
    /// A model's inputs by name, where several files were chosen in place of one.
    named: RwSignal<Vec<Named>>,
    privacy: RwSignal<Privacy>,
    name: RwSignal<String>,
    check: RwSignal<Check>,
    /// Counts quotes, so that an old answer does not overwrite a new one.
    round: StoredValue<u32>,
    /// One key an order: pressing twice, or a lost answer, submits once.
    idempotency_key: StoredValue<String>,
}

impl Order {
    fn new(account: Option<Account>, from: Option<Job>) -> Self {
        let t = text();
        let stored = |hash: BlobHash| Part::Stored { name: t.jobs.from_earlier_job.to_owned(), hash };
        let program = from.as_ref().map(|job| &job.program);
        let (model, input) = match program {
            Some(Program::Infer(Infer { model, input, .. })) => (stored(*model), input.map_or(Part::Missing, stored)),
            Some(Program::Map(Map { input, .. })) => (Part::Missing, stored(*input)),
            None => (Part::Missing, Part::Missing),
        };
        let named = match program {
            Some(Program::Infer(Infer { inputs, .. })) => {
                inputs.iter().map(|(name, &hash)| (name.clone(), RwSignal::new(stored(hash)))).collect()
            }
            _ => Vec::new(),
        };
        Self {
            account: RwSignal::new(account),
            own_kernel: RwSignal::new(matches!(program, Some(Program::Map(_)))),
            kernel: KernelOrder::new(program, stored),
            model: RwSignal::new(model),
            input: RwSignal::new(input),
            named: RwSignal::new(named),
            privacy: RwSignal::new(from.as_ref().map(|job| job.privacy).unwrap_or_default()),
            name: RwSignal::new(from.map(|job| job.name).unwrap_or_default()),
            check: RwSignal::new(Check::Open),
            round: StoredValue::new(0),
            idempotency_key: StoredValue::new(String::new()),
        }
    }

    /// Uploads what is chosen, once there is an account to own it.
    fn upload(self, part: RwSignal<Part>) {
        let Part::Chosen(file) = part.get() else { return };
        if self.account.with(Option::is_none) {
            return;
        }
        part.set(Part::Uploading(file.clone()));
        spawn_local(async move {
            let answer = api::upload((*file).clone()).await;
            if !part.with_untracked(|part| part.is_uploading(&file)) {
                // Another file was chosen meanwhile.
                return;
            }
            part.set(match answer {
                Ok(blob) => Part::Stored { name: file.name(), hash: blob.hash },
                Err(failure) if failure.is_unauthorized() => {
                    self.account.set(None);
                    Part::Chosen(file)
                }
                Err(failure) => Part::Refused { chosen: Some(file), message: failure.message() },
            });
        });
    }

    /// What the order would run, once all of it is there.
    fn program(self) -> Option<Program> {
        let input = self.input.with(Part::hash);
        if self.own_kernel.get() {
            return self.kernel.program(input?);
        }
        let model = self.model.with(Part::hash)?;
        let named = self.named.get();
        let (input, inputs) = if named.is_empty() {
            (Some(input?), BTreeMap::new())
        } else {
            let stored = named.into_iter().map(|(name, part)| Some((name, part.with(Part::hash)?)));
            (None, stored.collect::<Option<_>>()?)
        };
        Some(Program::Infer(Infer { model, input, inputs, tile_rows: None }))
    }

    /// Asks for a quote when everything is there, and whenever something changes.
    fn recheck(self) {
        let (Some(program), true) = (self.program(), self.account.with(Option::is_some)) else {
            self.check.set(Check::Open);
            return;
        };
        let request = QuoteRequest { program, privacy: self.privacy.get() };
        self.round.update_value(|round| *round += 1);
        let round = self.round.get_value();
        self.idempotency_key.set_value(format!("{round}-{}-{}", js_sys::Math::random(), js_sys::Math::random()));
        self.check.set(Check::Checking);
        spawn_local(async move {
            let answer = api::quote(&request).await;
            if self.round.get_value() != round {
                return;
            }
            self.check.set(match answer {
                Ok(quote) => Check::Quoted(Box::new((request.program, quote))),
                Err(failure) => {
                    if failure.is_unauthorized() {
                        self.account.set(None);
                    }
                    Check::Refused(failure)
                }
            });
        });
    }

    /// Takes files: each where its ending says, or where it was dropped. Several arrays are a model's
    /// inputs, each by its file's name.
    fn take(self, files: Vec<File>, onto: RwSignal<Part>) {
        let mut arrays = Vec::new();
        for file in files {
            let name = file.name().to_ascii_lowercase();
            match name.rsplit_once('.').map(|(_, ending)| ending) {
                Some("onnx" | "zip") => self.model.set(taken(file)),
                Some("npy" | "npz") => arrays.push(file),
                _ => onto.set(taken(file)),
            }
        }
        if arrays.len() > 1 && !self.own_kernel.get_untracked() {
            self.input.set(Part::Missing);
            let mut named: Vec<Named> = Vec::new();
            for file in arrays {
                let name = file.name();
                let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
                named.retain(|(known, _)| known != stem);
                named.push((stem.to_owned(), RwSignal::new(taken(file))));
            }
            self.named.set(named);
        } else if let Some(file) = arrays.pop() {
            self.named.set(Vec::new());
            self.input.set(taken(file));
        }
    }
}

fn taken(file: File) -> Part {
    if file.size() == 0.0 {
        return Part::Refused { chosen: None, message: format!("{}: {}", file.name(), text().jobs.empty_file) };
    }
    Part::Chosen(SendWrapper::new(file))
}

/// The order form.
#[island]
pub fn NewJobIsland(
    /// The caller's account, if there is one.
    account: Option<Account>,
    /// The job whose files, name and class the order begins with.
    from: Option<Job>,
    /// It begins with a kernel of one's own.
    own_kernel: bool,
) -> impl IntoView {
    let t = text();
    let order = Order::new(account, from);
    order.own_kernel.update(|own| *own |= own_kernel);
    Effect::new(move || order.upload(order.model));
    Effect::new(move || order.upload(order.input));
    Effect::new(move || order.named.get().into_iter().for_each(|(_, part)| order.upload(part)));
    Effect::new(move || order.upload(order.kernel.code));
    Effect::new(move || order.upload(order.kernel.params));
    Effect::new(move || order.recheck());
    view! {
        <div class="columns">
            <OrderForm order/>
            <div>
                <QuoteCard order/>
                <section class="card" aria-labelledby="account-title">
                    <h2 id="account-title">{t.site.account}</h2>
                    {move || match order.account.get() {
                        Some(account) => view! { <Balance account/> }.into_any(),
                        None => view! { <p>{t.jobs.no_account}</p> }.into_any(),
                    }}
                    // It stays while there is an account: a fresh key is shown in it.
                    <div class:unseen=move || order.account.with(Option::is_some) && document_has_no_fresh_key()>
                        <SignIn on_account=move |account| order.account.set(Some(account))/>
                    </div>
                </section>
            </div>
        </div>
    }
}

fn document_has_no_fresh_key() -> bool {
    cfg!(feature = "ssr") || document().get_element_by_id("fresh-key").is_none()
}

#[component]
fn OrderForm(
    /// The order.
    order: Order,
) -> impl IntoView {
    let t = text();
    let submitting = RwSignal::new(false);
    let start_here = RwSignal::new(false);
    let failure = RwSignal::new(None::<Failure>);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Check::Quoted(quoted) = order.check.get_untracked() else { return };
        let (program, quote) = *quoted;
        let request = SubmitJob {
            program,
            privacy: order.privacy.get_untracked(),
            name: order.name.get_untracked(),
            limit: Some(quote.cost),
        };
        submitting.set(true);
        spawn_local(async move {
            match api::submit(&request, &order.idempotency_key.get_value()).await {
                Ok(job) => {
                    let hash = if start_here.get_untracked() { START_HASH } else { "" };
                    window().location().set_href(&(href(Page::Job(job.id)) + hash)).unwrap_or_default();
                }
                Err(error) => {
                    if error.is_unauthorized() {
                        order.account.set(None);
                    }
                    failure.set(Some(error));
                    submitting.set(false);
                }
            }
        });
    };
    let ready = move || order.check.with(|check| matches!(check, Check::Quoted(..))) && !submitting.get();
    let name_refusal =
        move || failure.get().filter(|failure| failure.is_field("name")).map(|failure| failure.message());
    let other_refusal =
        move || failure.get().filter(|failure| !failure.is_field("name")).map(|failure| failure.message());
    view! {
        <form class="card" on:submit=submit>
            <ProgramField own_kernel=order.own_kernel/>
            {move || if order.own_kernel.get() {
                view! {
                    <KernelFields order/>
                    <FileField id="input" label=t.map.records hint=t.map.records_hint accept="" order part=order.input/>
                }
                .into_any()
            } else {
                view! {
                    <FileField id="model" label=t.infer.model hint=t.infer.model_hint accept=".onnx,.zip" order part=order.model/>
                    <FileField id="input" label=t.infer.input hint=t.infer.input_hint accept=".npy,.npz" order part=order.input/>
                }
                .into_any()
            }}
            <div class="field">
                <label for="name">{t.site.name}</label>
                <p class="hint" id="name-hint">{t.jobs.name_hint}</p>
                <input id="name" type="text" maxlength="128" aria-describedby="name-hint name-error" bind:value=order.name/>
                <p class="error" id="name-error" role="alert">{name_refusal}</p>
            </div>
            <PrivacyField privacy=order.privacy/>
            <div class="choice">
                <input type="checkbox" id="begin-here" bind:checked=start_here/>
                <label for="begin-here">{t.jobs.start_here}<small>{t.jobs.start_here_hint}</small></label>
            </div>
            <p class="error" role="alert">{other_refusal}</p>
            <div class="actions">
                <button type="submit" class="primary" disabled=move || !ready()>
                    {move || if submitting.get() { t.jobs.submitting } else { t.jobs.submit }}
                </button>
            </div>
        </form>
    }
}

/// What is run: a model, or a kernel of one's own.
#[component]
fn ProgramField(
    /// Whether it is a kernel.
    own_kernel: RwSignal<bool>,
) -> impl IntoView {
    let t = text();
    let choice = move |kernel: bool, id: &'static str, label: &'static str, hint: &'static str| {
        view! {
            <div class="choice">
                <input type="radio" name="program" id=id prop:checked=move || own_kernel.get() == kernel
                    checked=own_kernel.get_untracked() == kernel on:change=move |_| own_kernel.set(kernel)/>
                <label for=id>{label}<small>{hint}</small></label>
            </div>
        }
    };
    view! {
        <fieldset class="field">
            <legend>{t.jobs.what_to_run}</legend>
            {choice(false, "program-infer", t.infer.run_model, t.infer.run_model_hint)}
            {choice(true, "program-map", t.map.run_kernel, t.map.run_kernel_hint)}
        </fieldset>
    }
}

#[component]
fn PrivacyField(
    /// The class chosen.
    privacy: RwSignal<Privacy>,
) -> impl IntoView {
    let t = text();
    let choice = move |class: Privacy| {
        let (label, hint) = t.jobs.privacy_class(class);
        let id = format!("privacy-{}", class.name());
        view! {
            <div class="choice">
                <input type="radio" name="privacy" id=id.clone() prop:checked=move || privacy.get() == class
                    checked=privacy.get_untracked() == class on:change=move |_| privacy.set(class)/>
                <label for=id>{label}<small>{hint}</small></label>
            </div>
        }
    };
    view! {
        <fieldset class="field">
            <legend>{t.jobs.privacy}</legend>
            {Privacy::ALL.into_iter().map(choice).collect_view()}
        </fieldset>
    }
}
