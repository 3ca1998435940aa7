//! The job's first tile on the customer's own device, before anything is paid.

use std::rc::Rc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::lend::{FromWorker, ToWorker, TrialResult};
use wire::{DType, QuoteRequest, number};

use super::job_form::JobForm;
use crate::api;
use crate::browser::backend::Backend;
use crate::browser::origin;
use crate::browser::web_worker::{WebWorker, run_request};
use crate::components::Fact;
use crate::format;
use crate::text::{hardware, spaced, text};

#[derive(Clone, Debug, PartialEq)]
enum TrialState {
    Idle,
    Running,
    Done(TrialResult),
    Failed(String),
}

#[component]
pub(super) fn TrialCard(
    /// The form's state.
    form: JobForm,
    /// The job whose first tile is computed.
    request: QuoteRequest,
    /// Rows of the whole job.
    rows: u64,
) -> impl IntoView {
    let t = text();
    let state = RwSignal::new(TrialState::Idle);
    let worker = StoredValue::new_local(None::<WebWorker>);
    let backends = untrack(|| form.program()).backends();
    let start = move |_| {
        state.set(TrialState::Running);
        let request = request.clone();
        spawn_local(async move {
            match api::trial(&request).await {
                Ok(grant) => {
                    let make_request = move |backend: Backend| ToWorker::Try {
                        url: origin(),
                        software: backend.allows_software(),
                        grant: grant.clone(),
                    };
                    let on_finish = move |outcome| {
                        state.try_set(match outcome {
                            Ok(FromWorker::Tried(tried)) => TrialState::Done(tried),
                            Ok(_) => TrialState::Idle,
                            Err(message) => TrialState::Failed(message),
                        });
                    };
                    run_request(worker, backends, Rc::new(make_request), Rc::new(on_finish));
                }
                Err(failure) => state.set(TrialState::Failed(failure.message())),
            }
        });
    };
    let busy = move || state.with(|state| *state == TrialState::Running);
    view! {
        <p class="actions">
            <button type="button" disabled=busy on:click=start>
                {move || if busy() { t.jobs.trying } else { t.jobs.try_tile }}
            </button>
        </p>
        <p class="hint">{t.jobs.try_tile_hint}</p>
        <div aria-live="polite" data-testid="trial">
            {move || match state.get() {
                TrialState::Idle | TrialState::Running => ().into_any(),
                TrialState::Failed(message) => view! { <p class="error" role="alert">{message}</p> }.into_any(),
                TrialState::Done(tried) => outcome(tried, rows, untrack(|| form.form()).has_float_outputs()),
            }}
        </div>
    }
}

fn outcome(tried: TrialResult, rows: u64, floats: bool) -> AnyView {
    let t = text();
    if let Some(line) = tried.out_of_fuel {
        return view! { <p class="error" role="alert">{spaced(t.jobs.out_of_fuel)} {line}</p> }.into_any();
    }
    let shown: Vec<String> = tried.words.iter().map(|&word| show_word(word, tried.dtype, floats)).collect();
    let alone_secs = u128::from(tried.micros) * u128::from(rows) / u128::from(tried.rows.max(1)) / 1_000_000;
    let alone = format::duration(number::to::<u64>(alone_secs).max(1));
    view! {
        <dl class="facts">
            <Fact label=t.site.took>{tried.micros / 1000} "." {tried.micros % 1000 / 100} " ms"</Fact>
            <Fact label=t.site.rows>{format::count(tried.rows)}</Fact>
            <Fact label=t.jobs.alone_here>{alone}</Fact>
        </dl>
        <p class="soft">{hardware(&tried.adapter)} {tried.software.then(|| format!("{}{}", t.site.gap, t.explorer.software))}</p>
        <p class="mono">{shown.join(" ")}</p>
    }
    .into_any()
}

/// An output's 32-bit word, by the output's type.
fn show_word(word: u32, dtype: Option<DType>, floats: bool) -> String {
    let is_float = dtype.map_or(floats, |dtype| matches!(dtype, DType::Float32 | DType::Float16));
    let is_signed = matches!(dtype, Some(DType::Int64 | DType::Int32 | DType::Int16 | DType::Int8));
    match (is_float, is_signed) {
        (true, _) => format::float(f32::from_bits(word)),
        (false, true) => word.cast_signed().to_string(),
        (false, false) => word.to_string(),
    }
}
