use leptos::prelude::*;
use wire::explorer::ReceiptState;
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

pub(super) fn job_badge_class(state: JobState) -> &'static str {
    match state {
        JobState::Running => "badge busy",
        JobState::Done => "badge good",
        JobState::Cancelled => "badge",
        JobState::Nondeterministic | JobState::Failed => "badge poor",
    }
}

/// A job's state, coloured.
#[component]
pub fn JobBadge(
    /// The state.
    state: JobState,
) -> impl IntoView {
    view! { <span class=job_badge_class(state) data-testid="state">{text().jobs.job_state(state)}</span> }
}

pub(super) fn receipt_badge_class(state: ReceiptState) -> &'static str {
    match state {
        ReceiptState::Pending => "badge busy",
        ReceiptState::Accepted | ReceiptState::Matured => "badge good",
        ReceiptState::Void => "badge",
        ReceiptState::Rejected => "badge poor",
    }
}

/// A receipt's state, coloured.
#[component]
pub fn ReceiptBadge(
    /// The state.
    state: ReceiptState,
) -> impl IntoView {
    view! { <span class=receipt_badge_class(state)>{text().explorer.receipt_state(state)}</span> }
}

/// A moment: in UTC as the server sends it, in the reader's own zone once `page.js` has run, with
/// UTC on hover.
#[component]
pub fn Moment(
    /// The moment.
    time: Micros,
) -> impl IntoView {
    view! { <time datetime=format::iso8601(time)>{format::utc(time)}</time> }
}

/// How long ago a moment is, or how far ahead: `page.js` says it, and says it anew while the page is open. Beside a
/// [`Moment`], which says when, with its zone.
#[component]
pub fn Ago(
    /// The moment.
    time: Micros,
) -> impl IntoView {
    // A text for the script to replace: an island that is yet to wake looks for the very nodes that the server sent.
    view! { <span class="ago soft" data-ago=format::iso8601(time)>"\u{a0}"</span> }
}
