use leptos::prelude::*;
use wire::Obstacle;

use crate::format;
use crate::text::text;

/// Why nobody does a job now, and what would change it.
#[component]
pub fn ObstacleNotice(
    /// What stands in the way.
    obstacle: Obstacle,
    /// The job is, and its order stays as it is.
    #[prop(optional)]
    submitted: bool,
) -> impl IntoView {
    let t = text();
    let (what, remedy) = if submitted { t.jobs.obstacle_now(obstacle) } else { t.jobs.obstacle(obstacle) };
    let (needs, largest) = match obstacle {
        Obstacle::Memory { needs, largest } => (Some(needs), Some(largest)),
        Obstacle::CheckerMemory { needs } => (Some(needs), None),
        _ => (None, None),
    };
    let sizes = needs.map(|needs| {
        let largest = largest.map(|largest| format!("{} {}", t.jobs.largest_has, format::bytes(largest)));
        format!("{} {}{}{}", t.jobs.needs, format::bytes(needs), largest.unwrap_or_default(), t.jobs.full_stop)
    });
    view! {
        <div class="notice" role="status" data-testid="obstacle">
            <p><b>{what}</b> {format!("{}{}{remedy}", t.site.gap, sizes.unwrap_or_default())}</p>
        </div>
    }
}
