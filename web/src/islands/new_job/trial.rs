//! The job's first tile on the customer's own device, before anything is paid.

use std::rc::Rc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::lend::{FromWorker, ToWorker, Tried};
use wire::{DType, QuoteRequest};

use super::job_form::JobForm;
use crate::api;
use crate::browser::backend::Backend;
use crate::browser::origin;
use crate::browser::web_worker::{WebWorker, run_request};
use crate::components::Fact;
use crate::format;
use crate::text::text;

#[derive(Clone, Debug, PartialEq)]
enum Trial {
    Idle,
    Running,
    Done(Tried),
    Failed(String),
}

#[component]
pub(super) fn TrialCard(
    /// The form's state.
    form: JobForm,
    /// What would be tried.
    request: QuoteRequest,
    /// Rows of the whole job.
    rows: u64,
) -> impl IntoView {
    let t = text();
    let trial = RwSignal::new(Trial::Idle);
    let worker = StoredValue::new_local(None::<WebWorker>);
    let backends = untrack(|| form.program()).backends();
    let start = move |_| {
        trial.set(Trial::Running);
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
                        trial.try_set(match outcome {
                            Ok(FromWorker::Tried(tried)) => Trial::Done(tried),
                            Ok(_) => Trial::Idle,
                            Err(message) => Trial::Failed(message),
                        });
                    };
                    run_request(worker, backends, Rc::new(make_request), Rc::new(on_finish));
                }
                Err(failure) => trial.set(Trial::Failed(failure.message())),
            }
        });
    };
    let busy = move || trial.with(|trial| *trial == Trial::Running);
    view! {
        <p class="actions">
            <button type="button" disabled=busy on:click=start>
                {move || if busy() { t.jobs.trying } else { t.jobs.try_tile }}
            </button>
        </p>
        <p class="hint">{t.jobs.try_tile_hint}</p>
        <div aria-live="polite" data-testid="trial">
            {move || match trial.get() {
                Trial::Idle | Trial::Running => ().into_any(),
                Trial::Failed(message) => view! { <p class="error" role="alert">{message}</p> }.into_any(),
                Trial::Done(tried) => outcome(tried, rows, untrack(|| form.form()).has_float_outputs()),
            }}
        </div>
    }
}

fn outcome(tried: Tried, rows: u64, floats: bool) -> AnyView {
    let t = text();
    if let Some(line) = tried.out_of_fuel {
        return view! { <p class="error" role="alert">{t.jobs.out_of_fuel} " " {line}</p> }.into_any();
    }
    let shown: Vec<String> = tried.words.iter().map(|&word| number(word, tried.dtype, floats)).collect();
    let alone = u128::from(tried.micros) * u128::from(rows) / u128::from(tried.rows.max(1)) / 1_000_000;
    let alone = format::duration(u64::try_from(alone).unwrap_or(u64::MAX).max(1));
    view! {
        <dl class="facts">
            <Fact label=t.site.took>{tried.micros / 1000} "." {tried.micros % 1000 / 100} " ms"</Fact>
            <Fact label=t.site.rows>{format::count(tried.rows)}</Fact>
            <Fact label=t.jobs.alone_here>{alone}</Fact>
        </dl>
        <p class="soft">{tried.adapter} {tried.software.then(|| format!(" {}", t.explorer.software))}</p>
        <p class="mono">{shown.join(" ")}</p>
    }
    .into_any()
}

/// A word as its output means it.
fn number(word: u32, dtype: Option<DType>, floats: bool) -> String {
    let is_float = dtype.map_or(floats, |dtype| matches!(dtype, DType::Float32 | DType::Float16));
    let is_signed = matches!(dtype, Some(DType::Int64 | DType::Int32 | DType::Int16 | DType::Int8));
    match (is_float, is_signed) {
        (true, _) => f32::from_bits(word).to_string(),
        (false, true) => word.cast_signed().to_string(),
        (false, false) => word.to_string(),
    }
}
