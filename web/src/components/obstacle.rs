use leptos::prelude::*;
use wire::Obstacle;

use crate::format;
use crate::text::text;

/// Why nobody does a job now, and what would change it.
#[component]
pub fn ObstacleNotice(
    /// What stands in the way.
    obstacle: Obstacle,
) -> impl IntoView {
    let t = text();
    let (what, remedy) = t.jobs.obstacle(obstacle);
    let sizes = match obstacle {
        Obstacle::Memory { needs, largest } => Some(format!(
            " {} {}{} {}. ",
            t.jobs.needs,
            format::bytes(needs),
            t.jobs.largest_has,
            format::bytes(largest)
        )),
        Obstacle::CheckerMemory { needs } => Some(format!(" {} {}. ", t.jobs.needs, format::bytes(needs))),
        _ => None,
    };
    view! {
        <div class="notice" role="status" data-testid="obstacle">
            <p><b>{what}</b> {sizes.unwrap_or_else(|| " ".to_owned())} {remedy}</p>
        </div>
    }
}
