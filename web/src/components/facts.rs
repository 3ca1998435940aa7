use leptos::prelude::*;
use wire::{JobState, Micros};

use crate::format;
use crate::text::text;

/// One labelled figure of a `dl.facts`.
#[component]
pub fn Fact(
    /// What the figure is.
    label: &'static str,
    /// The figure.
    children: Children,
) -> impl IntoView {
    view! {
        <div>
            <dt>{label}</dt>
            <dd>{children()}</dd>
        </div>
    }
}

/// A job's state, coloured.
#[component]
pub fn JobBadge(
    /// The state.
    state: JobState,
) -> impl IntoView {
    let class = match state {
        JobState::Running => "badge pulse",
        JobState::Done => "badge good",
        JobState::Cancelled => "badge",
        JobState::Nondeterministic => "badge poor",
    };
    view! { <span class=class data-testid="state">{text().job_state(state)}</span> }
}

/// A moment in UTC, machine-readable beside.
#[component]
pub fn Moment(
    /// The moment.
    at: Micros,
) -> impl IntoView {
    let shown = format::utc(at);
    let machine = shown.replacen(' ', "T", 1).replace(" UTC", "Z");
    view! { <time datetime=machine>{shown}</time> }
}
