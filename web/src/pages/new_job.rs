use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;
use send_wrapper::SendWrapper;
use wasm_bindgen::JsCast;
use web_sys::{File, HtmlInputElement};
use wire::{Account, ErrorCode, Privacy, Program, Quote, QuoteRequest, SubmitJob};

use crate::api::{self, Failure};
use crate::components::{AccountCard, Fact};
use crate::format;
use crate::route::Page;
use crate::text::text;

/// What the form knows of the order.
#[derive(Clone, Debug, PartialEq, Default)]
enum Check {
    /// Something is still missing.
    #[default]
    Open,
    Checking,
    Quoted(Program, Quote),
    Refused(Failure),
}

/// A file stays on the browser's one thread; the server never has one.
type Chosen = SendWrapper<File>;

/// The order being written. What was typed or chosen stays, whatever fails.
#[derive(Clone, Copy)]
struct Order {
    account: RwSignal<Option<Account>>,
    model: RwSignal<Option<Chosen>>,
    input: RwSignal<Option<Chosen>>,
    privacy: RwSignal<Privacy>,
    name: RwSignal<String>,
    check: RwSignal<Check>,
    /// Counts checks, so that an old answer does not overwrite a new one.
    round: StoredValue<u32>,
}

impl Order {
    fn new() -> Self {
        Self {
            account: RwSignal::new(None),
            model: RwSignal::new(None),
            input: RwSignal::new(None),
            privacy: RwSignal::new(Privacy::Open),
            name: RwSignal::new(String::new()),
            check: RwSignal::new(Check::Open),
            round: StoredValue::new(0),
        }
    }

    /// Uploads both files and asks for a quote.
    fn recheck(self) {
        let (Some(model), Some(input), true) = (self.model.get(), self.input.get(), self.account.with(Option::is_some))
        else {
            return;
        };
        let privacy = self.privacy.get();
        self.round.update_value(|round| *round += 1);
        let round = self.round.get_value();
        self.check.set(Check::Checking);
        spawn_local(async move {
            let answer = quoted(model.take(), input.take(), privacy).await;
            if self.round.get_value() == round {
                self.check.set(match answer {
                    Ok((program, quote)) => Check::Quoted(program, quote),
                    Err(failure) => Check::Refused(failure),
                });
            }
        });
    }
}

async fn quoted(model: File, input: File, privacy: Privacy) -> Result<(Program, Quote), Failure> {
    let (model, input) = futures::future::try_join(api::upload(model), api::upload(input)).await?;
    let program = Program::Infer { model: model.hash, input: input.hash, tile_rows: None };
    let quote = api::quote(&QuoteRequest { program: program.clone(), privacy }).await?;
    Ok((program, quote))
}

/// The order form.
#[component]
pub fn NewJob() -> impl IntoView {
    let t = text();
    let order = Order::new();
    let found = Resource::new_blocking(|| (), |()| async { api::account().await.ok() });
    Effect::new(move || order.recheck());
    view! {
        <Title text=t.new_job/>
        <h1>{t.new_job}</h1>
        <p class="lead">{t.new_job_lead}</p>
        <div class="columns">
            <OrderForm order/>
            <div>
                <QuoteCard order/>
                <Suspense>
                    {move || Suspend::new(async move {
                        if let Some(account) = found.await {
                            order.account.set(Some(account));
                        }
                        view! { <AccountCard account=order.account/> }
                    })}
                </Suspense>
            </div>
        </div>
    }
}

#[component]
fn OrderForm(
    /// The order.
    order: Order,
) -> impl IntoView {
    let t = text();
    let submitting = RwSignal::new(false);
    let failure = RwSignal::new(None::<Failure>);
    let navigate = use_navigate();
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Check::Quoted(program, quote) = order.check.get_untracked() else { return };
        // One key an order: pressing twice, or a lost answer, submits once.
        let key = format!("{:?}-{}-{}", order.round.get_value(), js_sys::Math::random(), js_sys::Date::now());
        let request = SubmitJob {
            program,
            privacy: order.privacy.get_untracked(),
            name: order.name.get_untracked(),
            limit: Some(quote.cost),
        };
        let navigate = navigate.clone();
        submitting.set(true);
        spawn_local(async move {
            match api::submit(&request, &key).await {
                Ok(job) => navigate(&Page::Job(job.id).path(), NavigateOptions::default()),
                Err(error) => failure.set(Some(error)),
            }
            submitting.set(false);
        });
    };
    let ready = move || order.check.with(|check| matches!(check, Check::Quoted(..))) && !submitting.get();
    view! {
        <form class="card" on:submit=submit>
            <FileField id="model" label=t.model hint=t.model_hint accept=".onnx" file=order.model check=order.check/>
            <FileField id="input" label=t.input hint=t.input_hint accept=".npy" file=order.input check=order.check/>
            <div class="field">
                <label for="name">{t.name}</label>
                <p class="hint" id="name-hint">{t.name_hint}</p>
                <input id="name" type="text" maxlength="128" aria-describedby="name-hint" bind:value=order.name/>
            </div>
            <PrivacyField privacy=order.privacy/>
            <p class="error" role="alert">{move || failure.get().map(|failure| failure.message())}</p>
            <div class="actions">
                <button type="submit" class="primary" disabled=move || !ready()>
                    {move || if submitting.get() { t.submitting } else { t.submit }}
                </button>
            </div>
        </form>
    }
}

/// A file with its hint, and its refusal in place.
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
    /// Filled with what was chosen.
    file: RwSignal<Option<Chosen>>,
    /// Whose refusal to show.
    check: RwSignal<Check>,
) -> impl IntoView {
    let refusal = move || {
        check.with(|check| match check {
            Check::Refused(failure) if failure.is_field(id) => Some(failure.message()),
            _ => None,
        })
    };
    let on_change = move |event: leptos::ev::Event| {
        let chosen = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
        file.set(chosen.and_then(|input| input.files()).and_then(|files| files.get(0)).map(SendWrapper::new));
    };
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <p class="hint" id=format!("{id}-hint")>{hint}</p>
            <input id=id type="file" accept=accept required on:change=on_change
                aria-describedby=format!("{id}-hint {id}-error")
                aria-invalid=move || refusal().is_some().to_string()/>
            <p class="error" id=format!("{id}-error") role="alert">{refusal}</p>
        </div>
    }
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
                <input type="radio" name="privacy" id=id.clone() checked=class == Privacy::Open on:change=move |_| privacy.set(class)/>
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
        Check::Open => view! { <p class="hint">{t.quote_wait}</p> }.into_any(),
        Check::Checking => view! { <p class="hint pulse">{t.checking}</p> }.into_any(),
        // A field's refusal stands at the field.
        Check::Refused(failure) if failure.is_field("model") || failure.is_field("input") => {
            view! { <p class="hint">{t.quote_wait}</p> }.into_any()
        }
        Check::Refused(failure) if failure.code() == Some(ErrorCode::Unauthorized) => {
            view! { <p class="error">{t.no_account}</p> }.into_any()
        }
        Check::Refused(failure) => view! { <p class="error" role="alert">{failure.message()}</p> }.into_any(),
        Check::Quoted(_, quote) => view! { <QuoteFacts quote/> }.into_any(),
    };
    view! {
        <section class="card" aria-labelledby="quote-title" aria-live="polite">
            <h2 id="quote-title">{t.quote}</h2>
            {body}
        </section>
    }
}

#[component]
fn QuoteFacts(
    /// What the job would be.
    quote: Quote,
) -> impl IntoView {
    let t = text();
    let shape: Vec<String> = quote.output_row_shape.iter().map(ToString::to_string).collect();
    view! {
        <dl class="facts" data-testid="quote">
            <Fact label=t.cost_at_most>{format::credits(quote.cost)} " " <small>{t.credits}</small></Fact>
            <Fact label=t.rows>{format::count(quote.rows)}</Fact>
            <Fact label=t.tiles>{format::count(quote.tiles)}</Fact>
            <Fact label=t.work>{format::flops(quote.flops)}</Fact>
            <Fact label=t.output_shape>"[" {shape.join(", ")} "]"</Fact>
            <Fact label=t.devices_now>{format::count(quote.devices)}</Fact>
        </dl>
        {(quote.devices == 0).then(|| view! { <p class="hint">{t.no_devices_yet}</p> })}
    }
}
