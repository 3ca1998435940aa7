//! A job's page lets the customer's own device compute tiles of this job alone.

use leptos::prelude::*;
use wire::JobId;

use super::lend;
use super::lend::session::{LendSession, LendState, LendTarget, shown_status};
use super::lend::settings::LendSettings;
use crate::browser::backend::Backend;
use crate::text::{self, hardware, text};

/// At the end of a job's address it has the page start computing at once.
pub const START_HASH: &str = "#here";

/// One button to compute the job on this device too. It stops when the card leaves the page.
#[component]
pub fn ComputeHereCard(
    /// The job.
    id: JobId,
    /// What the job's program can be computed with, best first.
    backends: &'static [Backend],
) -> impl IntoView {
    let t = text();
    let state = RwSignal::new(LendState::Idle);
    let session = LendSession::new(state, RwSignal::new(LendSettings::default()), LendTarget::Job(id, backends));
    Effect::new(move |_| {
        if window().location().hash().is_ok_and(|hash| hash == START_HASH) {
            session.start();
        }
    });
    let is_on = Memo::new(move |_| state.with(LendState::is_on));
    let doing = move || {
        state.with(|state| match state {
            LendState::Idle => String::new(),
            LendState::Starting => t.lend.connecting.to_owned(),
            LendState::Working(status) => t.lend.phase(status.phase).to_owned(),
            LendState::Failed(code, message) => {
                format!("{}{}{}", t.lend.stopped_because, t.site.gap, lend::why(*code, message))
            }
        })
    };
    let shown = shown_status(state);
    let figures = move || {
        shown.get().map(|status| {
            format!(
                " · {} {} · {}",
                text::tiles(status.tiles_verified),
                t.jobs.verified_here,
                hardware(&status.adapter)
            )
        })
    };
    view! {
        <section class="card" aria-labelledby="here-title">
            <h2 id="here-title">{t.jobs.compute_here_title}</h2>
            <p class="hint">{t.jobs.compute_here_hint}</p>
            <div class="actions">
                <Show when=move || is_on.get() fallback=move || view! {
                    <button type="button" on:click=move |_| session.start()>{t.jobs.compute_here}</button>
                }>
                    <button type="button" on:click=move |_| session.stop()>{t.lend.stop}</button>
                </Show>
                // The figures change each second: they are not read out.
                <span data-testid="here"><span aria-live="polite">{doing}</span>{figures}</span>
            </div>
        </section>
    }
}
