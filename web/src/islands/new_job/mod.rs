//! The form that orders a job: what all programs share, around the chosen program's own fields.

mod job_form;
mod kept;
mod quote;
mod trial;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{Account, Job, Privacy, SubmitJob};

use self::job_form::JobForm;
use self::quote::QuoteCard;
use super::compute_here::START_HASH;
use super::sign_in::SignIn;
use crate::api::{self, Failure};
use crate::components::Balance;
use crate::programs::PROGRAMS;
use crate::programs::draft::{JobDraft, QuoteState};
use crate::programs::file_slot::FileSlot;
use crate::route::Page;
use crate::text::text;
use crate::visit::href;

#[island]
pub fn NewJobIsland(
    /// The caller's account, if there is one.
    account: Option<Account>,
    /// The job whose program, files, name and class the form begins with.
    earlier: Option<Job>,
    /// The name of the program that the form begins with, in place of the earlier job's.
    program: Option<String>,
) -> impl IntoView {
    let t = text();
    let form = JobForm::new(account, earlier, program.as_deref());
    let account = form.draft.account;
    let is_back = kept::keep(form);
    form.follow();
    let lacks_files = move || is_back.get() && form.draft.input.with(|input| matches!(input, FileSlot::Missing));
    view! {
        <Show when=lacks_files><p class="notice" role="status" data-testid="put-back">{t.jobs.put_back}</p></Show>
        <div class="columns">
            <FormCard form/>
            <div>
                <QuoteCard form/>
                <section class="card" aria-labelledby="account-title">
                    <h2 id="account-title">{t.site.account}</h2>
                    {move || match account.get() {
                        Some(account) => view! { <Balance account/> }.into_any(),
                        None => view! { <p>{t.jobs.no_account}</p> }.into_any(),
                    }}
                    <Show when=move || account.with(Option::is_none)>
                        <SignIn on_account=move |opened| account.set(Some(opened))/>
                    </Show>
                </section>
            </div>
        </div>
    }
}

#[component]
fn FormCard(
    /// The form's state.
    form: JobForm,
) -> impl IntoView {
    let t = text();
    let draft = form.draft;
    let submitting = RwSignal::new(false);
    let start_here = RwSignal::new(false);
    let failure = RwSignal::new(None::<Failure>);
    let (no_limit, no_deadline) = (RwSignal::new(false), RwSignal::new(false));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let QuoteState::Quoted(quoted) = draft.quote.get_untracked() else { return };
        let (program, quote) = *quoted;
        let (limit, deadline) = (draft.stated_limit(), draft.deadline_seconds());
        no_limit.set(limit.is_err());
        no_deadline.set(deadline.is_err());
        let (Ok(limit), Ok(deadline_seconds)) = (limit, deadline) else { return };
        let request = SubmitJob {
            program,
            privacy: draft.privacy.get_untracked(),
            name: draft.name.get_untracked(),
            limit: Some(limit.map_or(quote.cost, |limit| limit.min(quote.cost))),
            deadline_seconds,
            file_names: untrack(|| form.form()).file_names(),
        };
        failure.set(None);
        submitting.set(true);
        spawn_local(async move {
            match api::submit(&request, &form.idempotency_key.get_value()).await {
                Ok(job) => {
                    let hash = if start_here.get_untracked() { START_HASH } else { "" };
                    window().location().set_href(&(href(Page::Job(job.id)) + hash)).unwrap_or_default();
                }
                Err(error) => {
                    if error.is_unauthorized() {
                        draft.account.set(None);
                    }
                    failure.set(Some(error));
                    submitting.set(false);
                }
            }
        });
    };
    let is_ready = move || draft.quote.with(|quote| matches!(quote, QuoteState::Quoted(..))) && !submitting.get();
    let name_refusal =
        move || failure.get().filter(|failure| failure.is_field("name")).map(|failure| failure.message());
    let other_refusal =
        move || failure.get().filter(|failure| !failure.is_field("name")).map(|failure| failure.message());
    view! {
        <form class="card" on:submit=submit>
            <ProgramField program_name=form.program_name/>
            {move || form.form().fields()}
            <div class="field">
                <label for="name">{t.site.name}</label>
                <p class="hint" id="name-hint">{t.jobs.name_hint}</p>
                <input id="name" type="text" maxlength="128" aria-describedby="name-hint name-error" bind:value=draft.name/>
                <p class="error" id="name-error" role="alert">{name_refusal}</p>
            </div>
            <PrivacyField privacy=draft.privacy/>
            <Bounds draft no_limit no_deadline/>
            <div class="choice">
                <input type="checkbox" id="begin-here" bind:checked=start_here/>
                <label for="begin-here">{t.jobs.start_here}<small>{t.jobs.start_here_hint}</small></label>
            </div>
            <p class="error" role="alert">{other_refusal}</p>
            <div class="actions">
                <button type="submit" class="primary" disabled=move || !is_ready()>
                    {move || if submitting.get() { t.jobs.submitting } else { t.jobs.submit }}
                </button>
            </div>
        </form>
    }
}

/// What a job may cost, and how long it may take.
#[component]
fn Bounds(
    /// The job that is being written.
    draft: JobDraft,
    /// What is typed is no amount.
    no_limit: RwSignal<bool>,
    /// What is typed is no time.
    no_deadline: RwSignal<bool>,
) -> impl IntoView {
    let t = text();
    let unit = |(seconds, label): (u32, &'static str)| {
        let chosen = draft.deadline_unit.get_untracked() == seconds;
        view! { <option value=seconds.to_string() selected=chosen prop:selected=move || draft.deadline_unit.get() == seconds>{label}</option> }
    };
    let units = [(60, t.jobs.minutes), (3600, t.jobs.hours), (86_400, t.jobs.days)];
    // What was wrong is said until something else is typed.
    Effect::new(move || {
        draft.limit.track();
        no_limit.set(false);
    });
    Effect::new(move || {
        draft.deadline.track();
        draft.deadline_unit.track();
        no_deadline.set(false);
    });
    let choose_unit = move |event: leptos::ev::Event| {
        draft.deadline_unit.set(event_target_value(&event).parse().unwrap_or(3600));
    };
    view! {
        <div class="bounds">
            <div class="field">
                <label for="limit">{t.jobs.limit}</label>
                <p class="hint" id="limit-hint">{t.jobs.limit_hint}</p>
                <input id="limit" type="text" inputmode="decimal" autocomplete="off" bind:value=draft.limit
                    aria-describedby="limit-hint limit-error" aria-invalid=move || no_limit.get().to_string()/>
                <p class="error" id="limit-error" role="alert">{move || no_limit.get().then_some(t.jobs.no_amount)}</p>
            </div>
            <div class="field">
                <label for="deadline">{t.jobs.deadline}</label>
                <p class="hint" id="deadline-hint">{t.jobs.deadline_hint}</p>
                <div class="joined">
                    <input id="deadline" type="text" inputmode="decimal" autocomplete="off" bind:value=draft.deadline
                        aria-describedby="deadline-hint deadline-error" aria-invalid=move || no_deadline.get().to_string()/>
                    <select aria-label=t.jobs.deadline_unit on:change=choose_unit>{units.map(unit).collect_view()}</select>
                </div>
                <p class="error" id="deadline-error" role="alert">{move || no_deadline.get().then_some(t.jobs.no_time)}</p>
            </div>
        </div>
    }
}

#[component]
fn ProgramField(
    /// The chosen program's name.
    program_name: RwSignal<String>,
) -> impl IntoView {
    let t = text();
    let choices = PROGRAMS.iter().map(|program| {
        let name = program.name();
        let id = format!("program-{name}");
        let (label, hint) = program.label(t);
        view! {
            <div class="choice">
                <input type="radio" name="program" id=id.clone() prop:checked=move || program_name.with(|chosen| chosen == name)
                    checked=program_name.with_untracked(|chosen| chosen == name)
                    on:change=move |_| program_name.set(name.to_owned())/>
                <label for=id>{label}<small>{hint}</small></label>
            </div>
        }
    });
    view! {
        <fieldset class="field">
            <legend>{t.jobs.what_to_run}</legend>
            {choices.collect_view()}
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
