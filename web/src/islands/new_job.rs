use std::collections::BTreeMap;

use leptos::prelude::*;
use leptos::task::spawn_local;
use send_wrapper::SendWrapper;
use wasm_bindgen::JsCast;
use web_sys::{DataTransfer, File, HtmlInputElement};
use wire::{Account, BlobHash, ErrorCode, Job, Privacy, Program, Quote, QuoteRequest, SubmitJob};

use super::account::{Balance, Doors};
use crate::api::{self, Failure};
use crate::components::Fact;
use crate::format;
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

/// A file stays on the browser's one thread; the server never has one.
type Chosen = SendWrapper<File>;

impl Part {
    fn is_uploading(&self, file: &File) -> bool {
        matches!(self, Self::Uploading(chosen) if js_sys::Object::is(chosen, file))
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
    Quoted(Program, Quote),
    Refused(Failure),
}

/// The order being written. What was typed or chosen stays, whatever fails.
#[derive(Clone, Copy)]
struct Order {
    account: RwSignal<Option<Account>>,
    model: RwSignal<Part>,
    input: RwSignal<Part>,
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
        let stored = |hash: BlobHash| Part::Stored { name: t.from_earlier_job.to_owned(), hash };
        let (model, input) = match from.as_ref().map(|job| &job.program) {
            Some(Program::Infer { model, input, .. }) => (stored(*model), input.map_or(Part::Missing, stored)),
            Some(Program::Map { .. }) | None => (Part::Missing, Part::Missing),
        };
        Self {
            account: RwSignal::new(account),
            model: RwSignal::new(model),
            input: RwSignal::new(input),
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

    /// Asks for a quote when everything is there, and whenever something changes.
    fn recheck(self) {
        let (Some(model), Some(input), true) =
            (self.model.with(Part::hash), self.input.with(Part::hash), self.account.with(Option::is_some))
        else {
            self.check.set(Check::Open);
            return;
        };
        let program = Program::Infer { model, input: Some(input), inputs: BTreeMap::new(), tile_rows: None };
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
                Ok(quote) => Check::Quoted(request.program, quote),
                Err(failure) => {
                    if failure.is_unauthorized() {
                        self.account.set(None);
                    }
                    Check::Refused(failure)
                }
            });
        });
    }

    /// Takes dropped files: each where its ending says, or where it was dropped.
    fn take(self, files: Vec<File>, onto: RwSignal<Part>) {
        for file in files {
            let name = file.name().to_ascii_lowercase();
            let part = match name.rsplit_once('.').map(|(_, ending)| ending) {
                Some("onnx") => self.model,
                Some("npy" | "npz") => self.input,
                _ => onto,
            };
            part.set(taken(file));
        }
    }
}

fn taken(file: File) -> Part {
    if file.size() == 0.0 {
        return Part::Refused { chosen: None, message: format!("{}: {}", file.name(), text().empty_file) };
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
) -> impl IntoView {
    let t = text();
    let order = Order::new(account, from);
    Effect::new(move || order.upload(order.model));
    Effect::new(move || order.upload(order.input));
    Effect::new(move || order.recheck());
    view! {
        <div class="columns">
            <OrderForm order/>
            <div>
                <QuoteCard order/>
                <section class="card" aria-labelledby="account-title">
                    <h2 id="account-title">{t.account}</h2>
                    {move || match order.account.get() {
                        Some(account) => view! { <Balance account/> }.into_any(),
                        None => view! { <p>{t.no_account}</p> }.into_any(),
                    }}
                    // It stays while there is an account: a fresh key is shown in it.
                    <div class:unseen=move || order.account.with(Option::is_some) && document_has_no_fresh_key()>
                        <Doors on_account=move |account| order.account.set(Some(account))/>
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
    let failure = RwSignal::new(None::<Failure>);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Check::Quoted(program, quote) = order.check.get_untracked() else { return };
        let request = SubmitJob {
            program,
            privacy: order.privacy.get_untracked(),
            name: order.name.get_untracked(),
            limit: Some(quote.cost),
        };
        submitting.set(true);
        spawn_local(async move {
            match api::submit(&request, &order.idempotency_key.get_value()).await {
                Ok(job) => window().location().set_href(&href(Page::Job(job.id))).unwrap_or_default(),
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
            <FileField id="model" label=t.model hint=t.model_hint accept=".onnx" order part=order.model/>
            <FileField id="input" label=t.input hint=t.input_hint accept=".npy,.npz" order part=order.input/>
            <div class="field">
                <label for="name">{t.name}</label>
                <p class="hint" id="name-hint">{t.name_hint}</p>
                <input id="name" type="text" maxlength="128" aria-describedby="name-hint name-error" bind:value=order.name/>
                <p class="error" id="name-error" role="alert">{name_refusal}</p>
            </div>
            <PrivacyField privacy=order.privacy/>
            <p class="error" role="alert">{other_refusal}</p>
            <div class="actions">
                <button type="submit" class="primary" disabled=move || !ready()>
                    {move || if submitting.get() { t.submitting } else { t.submit }}
                </button>
            </div>
        </form>
    }
}

/// A file to choose or to drop, with its hint, and its refusal in place.
#[component]
fn FileField(
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
    let refusal = move || match part.get() {
        Part::Refused { message, .. } => Some(message),
        Part::Missing | Part::Chosen(_) | Part::Uploading(_) | Part::Stored { .. } => {
            order.check.with(|check| match check {
                Check::Refused(failure) if failure.is_field(id) => Some(failure.message()),
                _ => None,
            })
        }
    };
    let state = move || match part.get() {
        Part::Missing | Part::Refused { chosen: None, .. } => t.no_file.to_owned(),
        Part::Chosen(file) | Part::Refused { chosen: Some(file), .. } => file.name(),
        Part::Uploading(file) => format!("{} · {}", file.name(), t.uploading),
        Part::Stored { name, hash } => format!("{name} · {}", crate::components::short(&hash)),
    };
    let on_change = move |event: leptos::ev::Event| {
        let input = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
        let files = input.and_then(|input| input.files());
        if let Some(file) = files.and_then(|files| files.get(0)) {
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
            <p class="hint" id=format!("{id}-hint")>{hint} " " {t.or_drop}</p>
            <input id=id type="file" accept=accept on:change=on_change
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
            return Err(format!("{}: {}", entry.name(), text().folder_dropped));
        }
    }
    let files = data.files().map(|files| listed(&files)).unwrap_or_default();
    if files.is_empty() { Err(text().nothing_dropped.to_owned()) } else { Ok(files) }
}

#[component]
fn PrivacyField(
    /// The class chosen.
    privacy: RwSignal<Privacy>,
) -> impl IntoView {
    let t = text();
    let choice = move |class: Privacy| {
        let (label, hint) = t.privacy_class(class);
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
            <legend>{t.privacy}</legend>
            {Privacy::ALL.into_iter().map(choice).collect_view()}
        </fieldset>
    }
}

#[component]
fn QuoteCard(
    /// The order.
    order: Order,
) -> impl IntoView {
    let t = text();
    let body = move || match order.check.get() {
        Check::Open => view! { <p class="soft">{t.quote_wait}</p> }.into_any(),
        Check::Checking => view! { <p class="soft">{t.checking}</p> }.into_any(),
        // A field's refusal stands at the field.
        Check::Refused(failure) if failure.is_field("model") || failure.is_field("input") => {
            view! { <p class="soft">{t.quote_refused}</p> }.into_any()
        }
        Check::Refused(failure) if failure.code() == Some(ErrorCode::Unauthorized) => {
            view! { <p class="error">{t.session_ended}</p> }.into_any()
        }
        Check::Refused(failure) => view! {
            <p class="error" role="alert">{failure.message()}</p>
            <button type="button" on:click=move |_| order.recheck()>{t.try_again}</button>
        }
        .into_any(),
        Check::Quoted(_, quote) => view! { <QuoteFacts quote/> }.into_any(),
    };
    view! {
        <section class="card quote" aria-labelledby="quote-title" aria-live="polite">
            <h2 id="quote-title">{t.quote}</h2>
            {body}
        </section>
    }
}

/// An output's type and row shape.
fn shown(field: &wire::Field) -> String {
    let shape: Vec<String> = field.shape.iter().map(ToString::to_string).collect();
    format!("{} [{}]", field.dtype.name(), shape.join(", "))
}

#[component]
fn QuoteFacts(
    /// What the job would be.
    quote: Quote,
) -> impl IntoView {
    let t = text();
    view! {
        <dl class="facts" data-testid="quote">
            <Fact label=t.cost_at_most>{format::credits(quote.cost)} " " <small>{t.credits}</small></Fact>
            <Fact label=t.takes_about>{quote.seconds.map_or_else(|| "–".to_owned(), |secs| format::duration(secs.max(1)))}</Fact>
            <Fact label=t.rows>{format::count(quote.rows)}</Fact>
            <Fact label=t.tiles>{format::count(quote.tiles)}</Fact>
            <Fact label=t.work>{format::flops(quote.flops)}</Fact>
            <Fact label=t.output_shape>{quote.outputs.iter().map(shown).collect::<Vec<_>>().join("; ")}</Fact>
            <Fact label=t.peak_memory>{format::bytes(quote.peak_bytes)}</Fact>
            <Fact label=t.checked_by_label>{t.checked_by(quote.checked_by)}</Fact>
            <Fact label=t.devices_now>{format::count(quote.devices)}</Fact>
        </dl>
        {(quote.devices == 0).then(|| view! { <p class="hint">{t.no_devices_yet}</p> })}
        <p class="hint">{t.quote_hint}</p>
    }
}
