//! What the job would cost.

use leptos::prelude::*;
use wire::{ErrorCode, Quote, QuoteRequest};

use super::job_form::JobForm;
use super::trial::TrialCard;
use crate::components::{Fact, ObstacleNotice};
use crate::format;
use crate::programs::draft::QuoteState;
use crate::programs::program_of;
use crate::text::text;

#[component]
pub(super) fn QuoteCard(
    /// The form's state.
    form: JobForm,
) -> impl IntoView {
    let t = text();
    let draft = form.draft;
    let body = move || match draft.quote.get() {
        QuoteState::Incomplete => {
            view! { <p class="soft">{move || form.form().waits().unwrap_or(t.jobs.quote_wait)}</p> }.into_any()
        }
        QuoteState::Asking => view! { <p class="soft">{t.jobs.checking}</p> }.into_any(),
        // A field's refusal stands at the field.
        QuoteState::Refused(failure) if form.shows_beside_field(&failure) => {
            view! { <p class="soft">{t.jobs.quote_refused}</p> }.into_any()
        }
        QuoteState::Refused(failure) if failure.code() == Some(ErrorCode::Unauthorized) => {
            view! { <p class="error">{t.account.session_ended}</p> }.into_any()
        }
        QuoteState::Refused(failure) => view! {
            <p class="error" role="alert">{failure.message()}</p>
            <button type="button" on:click=move |_| form.ask_quote()>{t.site.try_again}</button>
        }
        .into_any(),
        QuoteState::Quoted(quoted) => {
            let (program, quote) = *quoted;
            let request = QuoteRequest { program, privacy: draft.privacy.get_untracked() };
            let rows = quote.rows;
            let bound = program_of(&request.program).work_is_bound();
            view! {
                <QuoteFacts quote bound/>
                <TrialCard form request rows/>
            }
            .into_any()
        }
    };
    view! {
        <section class="card quote" aria-labelledby="quote-title" aria-live="polite">
            <h2 id="quote-title">{t.jobs.quote}</h2>
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
    /// Its operations are the most that it can take.
    bound: bool,
) -> impl IntoView {
    let t = text();
    let whole = quote.outputs.iter().any(|output| output.whole);
    view! {
        <dl class="facts" data-testid="quote">
            <Fact label=t.jobs.cost_at_most>{format::credits(quote.cost)} " " <small>{t.site.credits}</small></Fact>
            <Fact label=t.jobs.takes_about>{quote.seconds.map_or_else(|| t.jobs.time_unknown.to_owned(), |secs| format::duration(secs.max(1)))}</Fact>
            <Fact label=t.site.rows>{format::count(quote.rows)}</Fact>
            <Fact label=t.site.tiles>{format::count(quote.tiles)}</Fact>
            <Fact label=if bound { t.site.work_at_most } else { t.site.work }>{format::flops(quote.flops)}</Fact>
            <Fact label=if whole { t.jobs.output } else { t.jobs.output_shape }>{quote.outputs.iter().map(shown).collect::<Vec<_>>().join(t.site.semicolon)}</Fact>
            <Fact label=t.jobs.peak_memory>{format::bytes(quote.peak_bytes)}</Fact>
            <Fact label=t.jobs.checked_by_label>{t.jobs.checked_by(quote.checked_by)}</Fact>
            <Fact label=t.jobs.devices_now>{format::count(quote.devices)}</Fact>
        </dl>
        {whole.then(|| view! { <p class="hint">{t.jobs.runs_whole}</p> })}
        {quote.obstacle.map(|obstacle| view! { <ObstacleNotice obstacle/> })}
        {(quote.devices == 0 && quote.obstacle.is_none()).then(|| view! { <p class="hint">{t.jobs.no_devices_yet}</p> })}
        <p class="hint">{t.jobs.quote_hint}</p>
    }
}
