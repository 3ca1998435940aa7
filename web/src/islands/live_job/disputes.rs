//! Tiles of which two runs disagreed.

use leptos::prelude::*;
use wire::{DeviceId, JobDetail, JobDispute};

use crate::components::{Ago, Moment, short};
use crate::format;
use crate::route::Page;
use crate::text::{hardware, text};
use crate::visit::href;

/// What a device calls itself, where the job's page says so, or the beginning of its id.
pub(super) fn device_name(detail: &JobDetail, device: DeviceId) -> String {
    let share = detail.devices.iter().find(|share| share.device == device && !share.name.is_empty());
    share.map_or_else(|| short(&device), |share| format!("{} · {}", hardware(&share.name), device_hint(device)))
}

/// Tells two devices of one name apart.
fn device_hint(device: DeviceId) -> String {
    device.to_string().chars().take(4).collect()
}

/// The tiles of which two runs disagreed, if there are any.
#[component]
pub(super) fn Disputes(
    /// What is known of the job.
    detail: RwSignal<JobDetail>,
) -> impl IntoView {
    let t = text();
    let card = move |disputes: Vec<(JobDispute, String)>| {
        view! {
            <section class="card">
                <h2>{t.jobs.disputes}</h2>
                <p class="hint">{t.jobs.disputes_hint}</p>
                {disputes.into_iter().map(|(dispute, name)| view! { <Dispute dispute name/> }).collect_view()}
            </section>
        }
    };
    move || {
        let disputes: Vec<_> = detail.with(|detail| {
            let named = |dispute: &JobDispute| (dispute.clone(), device_name(detail, dispute.device));
            detail.disputes.iter().map(named).collect()
        });
        (!disputes.is_empty()).then(|| card(disputes))
    }
}

/// A tile of which two runs disagreed, with both outputs.
#[component]
fn Dispute(
    /// What differs, and what came of it.
    dispute: JobDispute,
    /// Of the device.
    name: String,
) -> impl IntoView {
    let t = text();
    let JobDispute { tile, at, device, state, first_value, signed, recomputed } = dispute;
    let heading = format!("{} {} · {}", t.site.tile, format::count(tile), t.jobs.dispute_state(state));
    let top = signed.iter().chain(&recomputed).filter_map(|value| value.parse::<f64>().ok()).fold(0.0, f64::max);
    // The first is why they are shown.
    let differs = |place: usize, value: &String, other: &[String]| {
        place == 0 || other.get(place).is_none_or(|other| are_apart(value, other, top))
    };
    let values = |values: &[String], other: &[String]| {
        if values.is_empty() {
            return t.jobs.no_output.into_any();
        }
        let value = |(place, value): (usize, &String)| {
            let shown =
                other.get(place).map_or_else(|| format::value(value), |other| format::values_apart(value, other).0);
            let value_text = format!("{shown} ");
            if differs(place, value, other) {
                view! { <mark>{value_text}</mark> }.into_any()
            } else {
                value_text.into_any()
            }
        };
        values.iter().enumerate().map(value).collect_view().into_any()
    };
    view! {
        <h3>{heading}</h3>
        <p class="soft"><Ago time=at/> " " <small class="when"><Moment time=at/></small></p>
        <dl class="outputs">
            <dt>{t.jobs.signed_by} " " <a href=href(Page::Device(device))>{name}</a>{t.site.comma} {t.jobs.values_from} " " {format::count(first_value)}</dt>
            <dd class="mono">{values(&signed, &recomputed)}</dd>
            <dt>{t.jobs.recomputed_as}</dt>
            <dd class="mono">{values(&recomputed, &signed)}</dd>
        </dl>
    }
}

/// Whether two values differ by more than last bits do: of floats by more than models' may, of integers at all.
fn are_apart(one: &str, other: &str, top: f64) -> bool {
    let float = |text: &str| text.contains(['.', 'e']).then(|| text.parse::<f64>().ok()).flatten();
    match (float(one), float(other)) {
        (Some(a), Some(b)) => (a - b).abs() > 1e-4 * b.abs() + 2e-5 * top.abs(),
        _ => one != other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_bits_of_floats_are_not_marked_and_integers_are() {
        assert!(!are_apart("0.9999844", "0.99998441", 1.0));
        assert!(!are_apart("0.00000004", "0.00000005", 1.0), "next to nothing beside the largest");
        assert!(are_apart("0.010004395", "0.000004395", 1.0));
        assert!(are_apart("7", "8", 8.0));
        assert!(!are_apart("NaN", "NaN", 1.0));
    }
}
