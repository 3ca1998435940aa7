//! A job in figures, and the files that it was ordered with.

use leptos::prelude::*;
use wire::explorer::Share;
use wire::{Credits, Job, JobDetail, JobProgress, JobState, number};

use crate::api;
use crate::components::{Ago, Fact, Moment, short};
use crate::format;
use crate::programs::program_of;
use crate::text::text;

#[component]
pub(super) fn JobFacts(
    /// The job.
    progress: RwSignal<JobProgress>,
    /// For the server's clock.
    detail: RwSignal<JobDetail>,
) -> impl IntoView {
    let t = text();
    let figure = move |read: fn(&JobProgress) -> String| move || progress.with(read);
    // Time left at the mean speed so far. The server's clock, since this computer's may be wrong.
    let left = move || {
        let (job, now) = (progress.with(|progress| progress.job.clone()), detail.with(|detail| detail.at));
        let spent = number::to::<u64>((now - job.created_at).max(0) / 1_000_000);
        let running = job.state == JobState::Running && job.verified_tiles > 0 && spent > 0;
        running.then(|| format::duration(spent * (job.tiles - job.verified_tiles) / job.verified_tiles))
    };
    let (created, deadline) = progress.with_untracked(|p| (p.job.created_at, p.job.deadline));
    view! {
        <dl class="facts">
            <Fact label=t.site.verified><span data-testid="verified">{figure(|p| format::count(p.job.verified_tiles))}</span> " / " {figure(|p| format::count(p.job.tiles))}</Fact>
            <Fact label=t.site.recomputed>{figure(|p| format::count(p.job.recomputed_tiles))}</Fact>
            <Fact label=t.jobs.at_work>{figure(|p| format::count(p.devices_at_work))}</Fact>
            <Fact label=t.site.cost><span data-testid="cost">{figure(|p| format::credits(p.job.cost))}</span> <small>{t.jobs.of_held} {figure(|p| format::credits(p.job.hold))} " " {t.site.credits}</small></Fact>
            <Fact label=t.jobs.cost_per_thousand>{move || match progress.with(|p| cost_per_thousand(&p.job)) {
                Some(amount) => view! { {amount} " " <small>{t.site.credits}</small> }.into_any(),
                None => format::UNKNOWN.into_any(),
            }}</Fact>
            <Fact label=t.site.rows>{figure(|p| format::count(p.job.rows))}</Fact>
            {move || {
                let (label, amount) = progress.with(|p| detail.with(|detail| work(&p.job, &detail.devices)));
                view! { <Fact label>{amount}</Fact> }
            }}
            <Fact label=t.jobs.privacy>{move || progress.with(|p| t.jobs.privacy_class(p.job.privacy).0)}</Fact>
            <Fact label=t.site.started><Ago time=created/> <small class="when"><Moment time=created/></small></Fact>
            {deadline.map(|deadline| view! { <Fact label=t.jobs.deadline><Ago time=deadline/> <small class="when"><Moment time=deadline/></small></Fact> })}
            {move || left().map(|left| view! { <Fact label=t.jobs.time_left>{left}</Fact> })}
            {move || progress.with(|p| p.job.ended_at.map(|ended| (p.job.created_at, ended))).map(|(created, ended)| view! {
                <Fact label=t.site.took>{format::seconds(created, ended)}</Fact>
            })}
        </dl>
    }
}

/// What is said of a job's work: as a kernel's fuel bounds it, until it has ended and receipts say what was used.
fn work(job: &Job, shares: &[Share]) -> (&'static str, String) {
    let t = text();
    let is_bound = program_of(&job.program).work_is_bound();
    if job.state.has_ended() && (is_bound || job.state != JobState::Done) {
        return (t.site.work_verified, format::kflop(shares.iter().map(|share| share.kflop).sum()));
    }
    (if is_bound { t.site.work_at_most } else { t.site.work }, format::flops(job.flops))
}

/// Of what was paid for what is verified; of a running job, the most that it can be; nothing where a job ended without.
#[expect(clippy::cast_precision_loss, reason = "shown to some digits")]
fn cost_per_thousand(job: &Job) -> Option<String> {
    let of = |amount: Credits, rows: u64| small_credits(amount.micros() as f64 / 1e6 * 1000.0 / rows.max(1) as f64);
    // What is paid is rounded once a job: of a part of one, it says little.
    if job.state == JobState::Running {
        return Some(format!("≤ {}", of(job.hold, job.rows)));
    }
    let rows = (job.verified_tiles * job.tile_rows).min(job.rows);
    (rows > 0).then(|| of(job.cost, rows))
}

/// Like other amounts, and less than a micro-credit by two digits that count: it is not booked, only compared.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few decimals")]
fn small_credits(amount: f64) -> String {
    if amount >= 1e-4 || amount <= 0.0 {
        return format::about_credits(amount);
    }
    let decimals = 1 + (-amount.log10()).ceil().min(14.0) as usize;
    format!("{amount:.decimals$}")
}

/// The files by the names that their customer gave them.
#[component]
pub(super) fn JobFiles(
    /// The job.
    job: Job,
) -> impl IntoView {
    let t = text();
    let files = program_of(&job.program).order_files(&job.program, t);
    let row = |file: crate::programs::order_file::OrderFile| {
        let name = file.given_name(&job);
        let label = match file.field.strip_prefix("inputs.") {
            Some(input) => format!("{} {input}", file.label),
            None => file.label.to_owned(),
        };
        let shown = name.clone().unwrap_or_else(|| short(&file.hash));
        let download = name.unwrap_or_else(|| file.usual_name.clone());
        let link = api::file_link(file.hash, &download);
        view! {
            <div>
                <dt>{label}</dt>
                <dd><a href=link download=download>{shown}</a></dd>
            </div>
        }
    };
    view! { <dl class="files" data-testid="files">{files.into_iter().map(row).collect_view()}</dl> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thousand_rows_cost_can_be_compared_however_little_it_is() {
        let shown = [0.0, 5.564e-7, 0.000_034, 0.123_456, 2.5].map(small_credits);
        assert_eq!(shown, ["0", "0.00000056", "0.000034", "0.1235", "2.50"]);
    }
}
