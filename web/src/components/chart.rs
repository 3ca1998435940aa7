use leptos::prelude::*;
use wire::{Micros, number};

use super::facts::Moment;
use crate::format;

/// One value of a [`BarChart`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    pub time: Micros,
    pub value: f64,
}

/// Values over time, oldest first. All bars are one path: a node each would be slow.
#[component]
pub fn BarChart(
    /// What the values are.
    label: &'static str,
    /// The values.
    #[prop(into)]
    bars: Signal<Vec<Bar>>,
    /// A value with its unit.
    show: fn(f64) -> String,
) -> impl IntoView {
    let most = move || bars.with(|bars| bars.iter().map(|bar| bar.value).fold(0.0, f64::max));
    let ends = move || bars.with(|bars| bars.first().zip(bars.last()).map(|(first, last)| (first.time, last.time)));
    let count = move || bars.with(|bars| bars.len().max(1));
    let summary = move || format!("{label}. {}", show(most()));
    view! {
        <figure class="chart">
            <figcaption><span>{label}</span><span class="most">{move || show(most())}</span></figcaption>
            <svg role="img" aria-label=summary viewBox=move || format!("0 0 {} 100", count()) preserveAspectRatio="none">
                <path d=move || bars.with(|bars| path_of(bars))/>
            </svg>
            <div class="axis">
                {move || ends().map(|(first, last)| view! { <Moment time=first/><Moment time=last/> })}
            </div>
        </figure>
    }
}

#[expect(clippy::format_collect, reason = "a few hundred short texts at most")]
fn path_of(bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    if most <= 0.0 {
        return String::new();
    }
    let bars = bars.iter().enumerate().filter(|(_, bar)| bar.value > 0.0);
    // A value that is not 0 is drawn at least one hundredth high, so that it can be seen.
    bars.map(|(i, bar)| format!("M{i}.1 100v-{:.1}h.8V100z", (bar.value / most * 100.0).max(1.0))).collect()
}

/// A cell a day, darker the longer the device was online.
#[component]
pub fn UptimeStrip(
    /// What it shows.
    label: &'static str,
    /// Microseconds online on each day.
    days: Vec<u64>,
    /// Midnight of the first.
    from: Micros,
) -> impl IntoView {
    const DAY: u64 = 86_400_000_000;
    let cell = |(i, online): (usize, &u64)| {
        let percent = online.min(&DAY) * 100 / DAY;
        let level = if *online == 0 { 0 } else { 1 + percent.min(99) / 25 };
        let day = from + number::to::<Micros>(i) * 86_400_000_000;
        let title = format!("{}: {percent} %", format::day(day));
        view! { <li class=format!("level-{level}") title=title.clone()><span class="unseen">{title.clone()}</span></li> }
    };
    view! { <ol class="uptime" aria-label=label>{days.iter().enumerate().map(cell).collect_view()}</ol> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_high_as_its_value_and_nothing_has_none() {
        let bars = [4.0, 0.0, 1.0, 0.001].map(|value| Bar { time: 0, value });

        assert_eq!(path_of(&bars), "M0.1 100v-100.0h.8V100zM2.1 100v-25.0h.8V100zM3.1 100v-1.0h.8V100z");
        assert_eq!(path_of(&[]), "");
    }
}
