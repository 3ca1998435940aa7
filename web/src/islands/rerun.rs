use std::rc::Rc;

use leptos::prelude::*;
use wire::JobId;
use wire::lend::{FromWorker, Recomputed, ToWorker};

use crate::browser::backend::{ANY_BACKEND, Backend};
use crate::browser::origin;
use crate::browser::web_worker::{WebWorker, run_request};
use crate::components::Fact;
use crate::format;
use crate::route::Page;
use crate::text::{hardware, text};
use crate::visit::href;

#[derive(Clone, Debug, PartialEq)]
enum RerunState {
    Idle,
    Running,
    Done(Recomputed),
    Failed(String),
}

/// A visitor's own GPU computes one tile of a published job again, beside what was signed for.
#[island]
pub fn RerunIsland(
    /// Which job.
    job: JobId,
) -> impl IntoView {
    let t = text();
    let state = RwSignal::new(RerunState::Idle);
    let worker = StoredValue::new_local(None::<WebWorker>);
    let start = move |_| {
        state.set(RerunState::Running);
        let make_request =
            move |backend: Backend| ToWorker::Recompute { url: origin(), software: backend.allows_software(), job };
        let on_finish = move |outcome| {
            state.try_set(match outcome {
                Ok(FromWorker::Recomputed(outcome)) => RerunState::Done(outcome),
                Ok(_) => RerunState::Idle,
                Err(message) => RerunState::Failed(message),
            });
        };
        run_request(worker, ANY_BACKEND, Rc::new(make_request), Rc::new(on_finish));
    };
    let busy = move || state.with(|state| *state == RerunState::Running);
    view! {
        <p class="actions">
            <button type="button" class="primary" disabled=busy on:click=start>
                {move || match state.get() {
                    RerunState::Running => t.explorer.rerunning,
                    RerunState::Done(_) => t.explorer.rerun_another,
                    RerunState::Idle | RerunState::Failed(_) => t.explorer.rerun,
                }}
            </button>
        </p>
        <div aria-live="polite">
            {move || match state.get() {
                RerunState::Idle | RerunState::Running => ().into_any(),
                RerunState::Failed(message) => view! { <p class="error" role="alert">{message}</p> }.into_any(),
                RerunState::Done(outcome) => view! { <Outcome outcome/> }.into_any(),
            }}
        </div>
    }
}

#[component]
fn Outcome(
    /// The tile beside what was signed.
    outcome: Recomputed,
) -> impl IntoView {
    let t = text();
    let lease = outcome.lease;
    let verdict = outcome.agrees && outcome.under_root && outcome.signature_holds;
    let badge = |yes: bool| {
        if yes {
            view! { <span class="badge good">{t.explorer.yes}</span> }
        } else {
            view! { <span class="badge poor">{t.explorer.no}</span> }
        }
    };
    let rows = outcome.here.iter().zip(&outcome.there).take(16).enumerate().map(|(i, (here, there))| {
        let (here, there) = format::values_apart(&here.to_string(), &there.to_string());
        view! { <tr><td class="number">{i}</td><td class="number mono">{here}</td><td class="number mono">{there}</td></tr> }
    });
    let rows: Vec<_> = rows.collect();
    view! {
        <p class=if verdict { "notice good" } else { "notice bad" } data-testid="verdict">
            {if verdict { t.explorer.rerun_agrees } else { t.explorer.rerun_differs }}
        </p>
        <dl class="facts">
            <Fact label=t.site.tile>{format::count(outcome.tile)}</Fact>
            <Fact label=t.explorer.values_agree>{badge(outcome.agrees)}</Fact>
            <Fact label=t.explorer.under_root>{badge(outcome.under_root)}</Fact>
            <Fact label=t.explorer.signature_holds>{badge(outcome.signature_holds)}</Fact>
            <Fact label=t.explorer.largest_difference>{format::difference(outcome.max_difference)}</Fact>
            <Fact label=t.site.took>{format!("{:.0} ms", outcome.millis)}</Fact>
            <Fact label=t.site.gpu><small>{hardware(&outcome.adapter)}</small></Fact>
            <Fact label=t.explorer.receipt><small class="mono"><a href=href(Page::Receipt(lease))>{crate::components::short(&lease)}</a></small></Fact>
        </dl>
        <div class="scroll" tabindex="0" role="group" aria-label=t.explorer.first_values>
            <table>
                <caption>{t.explorer.first_values} " " <small>{format::count(outcome.values)}</small></caption>
                <thead><tr><th scope="col" class="number">"#"</th><th scope="col" class="number">{t.explorer.computed_here}</th><th scope="col" class="number">{t.explorer.signed_there}</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}
