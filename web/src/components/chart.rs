use leptos::prelude::*;
use wire::explorer::ChartRange;
use wire::{Micros, number};

use crate::format;
use crate::text::text;
use crate::visit::Visit;

/// One value of a [`BarChart`], from its time to the next one's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    pub time: Micros,
    /// `None` where nobody knows it.
    pub value: Option<f64>,
}

/// What stands around the bars.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Frame {
    /// The value at the upper edge.
    top: f64,
    from: Micros,
    to: Micros,
    bars: usize,
}

impl Frame {
    fn of(bars: &[Bar], least: f64) -> Self {
        let most = bars.iter().filter_map(|bar| bar.value).fold(0.0, f64::max);
        let from = bars.first().map_or(0, |bar| bar.time);
        let last = bars.last().map_or(0, |bar| bar.time);
        let step = bars.get(1).map_or(0, |second| second.time - from);
        Self { top: top_of(most.max(least)), from, to: last + step, bars: bars.len().max(1) }
    }
}

/// Round, not below `most`, and with a round half.
fn top_of(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let scale = 10f64.powf(most.log10().floor());
    let digit = [1.0, 2.0, 4.0, 6.0, 8.0].into_iter().find(|digit| digit * scale >= most * (1.0 - 1e-9));
    digit.unwrap_or(10.0) * scale
}

/// Values over time, oldest first, with axes. All bars are one path; what each of them says is its column's title, which
/// `page.js` shows in the heading.
#[component]
pub fn BarChart(
    /// What the values are, with their unit.
    label: &'static str,
    /// The values.
    #[prop(into)]
    bars: Signal<Vec<Bar>>,
    /// A value with its unit.
    show: fn(f64) -> String,
    /// The value axis goes up to this at least: 2 for what is counted, whose half is then whole.
    #[prop(default = 0.0)]
    least: f64,
) -> impl IntoView {
    let t = text();
    let frame = Memo::new(move |_| bars.with(|bars| Frame::of(bars, least)));
    let most = move || bars.with(|bars| bars.iter().filter_map(|bar| bar.value).reduce(f64::max));
    let said = move || {
        most()
            .filter(|most| *most > 0.0)
            .map_or_else(|| format::UNKNOWN.to_owned(), |most| format!("{} {}", t.site.peak, show(most)))
    };
    let summary = move || {
        let (Frame { from, to, .. }, stop) = (frame.get(), t.site.stop);
        format!("{label}{stop}{} – {}{stop}{}", format::utc_minute(from), format::utc_minute(to), said())
    };
    view! {
        <figure class="chart">
            <figcaption>
                <span>{label}</span>
                <output class="chart-at"></output>
                <span class="chart-most">{said}</span>
            </figcaption>
            <div class="chart-plot">
                <div class="chart-y" aria-hidden="true">
                    <span>{move || format::number(frame.get().top)}</span>
                    <span>{move || format::number(frame.get().top / 2.0)}</span>
                    <span>"0"</span>
                </div>
                <svg role="img" aria-label=summary viewBox=move || format!("0 0 {} 100", frame.get().bars) preserveAspectRatio="none">
                    <path class="grid" d=move || { let end = frame.get().bars; format!("M0 0H{end}M0 50H{end}M0 100H{end}") } vector-effect="non-scaling-stroke"/>
                    <path class="bars" d=move || bars.with(|bars| path_of(bars, frame.get().top))/>
                    {move || bars.with(|bars| columns(bars, show))}
                </svg>
                {move || view! { <TimeAxis from=frame.get().from to=frame.get().to/> }}
            </div>
        </figure>
    }
}

/// What the pointer finds: a column a bar, as high as the chart.
fn columns(bars: &[Bar], show: fn(f64) -> String) -> Vec<AnyView> {
    let column = |(i, bar): (usize, &Bar)| {
        let value = bar.value.map_or_else(|| format::UNKNOWN.to_owned(), show);
        let says = format!("{value} · {}", format::utc_minute(bar.time));
        view! { <rect class="column" x=i.to_string() y="0" width="1" height="100"><title>{says}</title></rect> }
            .into_any()
    };
    bars.iter().enumerate().map(column).collect()
}

#[expect(clippy::format_collect, reason = "a few hundred short texts at most")]
fn path_of(bars: &[Bar], top: f64) -> String {
    let bars =
        bars.iter().enumerate().filter_map(|(i, bar)| bar.value.filter(|value| *value > 0.0).map(|value| (i, value)));
    // A value that is not 0 is drawn at least one hundredth high, so that it can be seen.
    bars.map(|(i, value)| format!("M{i}.1 100v-{:.1}h.8V100z", (value / top * 100.0).max(1.0))).collect()
}

/// Beginning, middle and end of the time that a picture shows. The last of the times says for all of them in which zone
/// they are: there is room for it once.
#[component]
pub fn TimeAxis(
    /// Where it begins.
    from: Micros,
    /// Where it ends.
    to: Micros,
) -> impl IntoView {
    const DAY: Micros = 86_400_000_000;
    const MINUTE: Micros = 60_000_000;
    const FEW_SECONDS: Micros = 10_000_000;
    let tick = move |time: Micros| {
        // Where it is all one second or few, how long after the beginning.
        if to - from < FEW_SECONDS && time > from {
            return view! { <span>{format!("+{}", format::seconds(from, time))}</span> }.into_any();
        }
        let (shape, shown) = match to - from {
            ..600_000_000 => ("second", format!("{}:{:02}", format::clock(time), time.rem_euclid(MINUTE) / 1_000_000)),
            length if length <= 2 * DAY => ("minute", format::clock(time)),
            _ => ("day", format::day(time)),
        };
        let is_last = time == to || to - from < FEW_SECONDS;
        let shown = if is_last { format!("{shown} UTC") } else { shown };
        view! { <time datetime=format::iso8601(time) data-shape=shape data-zone=is_last.then_some("")>{shown}</time> }
            .into_any()
    };
    view! { <div class="chart-x">{(to > from).then(|| [from, from + (to - from) / 2, to].map(tick).collect_view())}</div> }
}

/// Links to how far back the charts of this page may go.
#[component]
pub fn ChartRanges(
    /// What they show.
    chosen: ChartRange,
) -> impl IntoView {
    let t = text();
    let visit = Visit::current();
    let link = |range: ChartRange| {
        let value = if range == ChartRange::default() { "" } else { range.name() };
        let address = visit.as_ref().map(|visit| visit.link_with(&[], "range", value));
        let current = (range == chosen).then_some("true");
        view! { <li><a href=address aria-current=current>{t.explorer.chart_range(range)}</a></li> }
    };
    view! { <nav class="tabs ranges" aria-label=t.explorer.chart_ranges><ul>{ChartRange::ALL.map(link).collect_view()}</ul></nav> }
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
    /// When the device was first seen: nobody knows of the days before.
    first_seen: Micros,
) -> impl IntoView {
    const DAY: Micros = 86_400_000_000;
    let to = from + number::to::<Micros>(days.len().max(1) - 1) * DAY;
    let cell = |(i, online): (usize, &u64)| {
        let day = from + number::to::<Micros>(i) * DAY;
        let level = if *online == 0 { 0 } else { 1 + (online * 4 / number::to::<u64>(DAY)).min(3) };
        let (class, time) = if day + DAY <= first_seen {
            ("unknown".to_owned(), format::UNKNOWN.to_owned())
        } else {
            (format!("level-{level}"), format::duration(online / 1_000_000))
        };
        let title = format!("{}{}{time}", format::day(day), text().site.colon);
        view! { <li class=class title=title.clone()><span class="unseen">{title.clone()}</span></li> }
    };
    view! {
        <div class="chart">
            <ol class="uptime" aria-label=label>{days.iter().enumerate().map(cell).collect_view()}</ol>
            <div class="chart-x"><span>{format::day(from)}</span><span>{format::day(to)} " UTC"</span></div>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(values: [Option<f64>; 4]) -> Vec<Bar> {
        values.into_iter().zip(0..).map(|(value, i)| Bar { time: i * 60, value }).collect()
    }

    #[test]
    fn a_bar_is_as_high_as_its_value_and_nothing_has_none() {
        let bars = bars([Some(4.0), None, Some(1.0), Some(0.001)]);

        assert_eq!(path_of(&bars, 4.0), "M0.1 100v-100.0h.8V100zM2.1 100v-25.0h.8V100zM3.1 100v-1.0h.8V100z");
        assert_eq!(path_of(&[], 1.0), "");
    }

    #[test]
    fn the_value_axis_ends_at_a_round_number_with_a_round_half() {
        let tops = [0.0, 1.0, 3.0, 5.0, 9.0, 100.0, 101.0, 799.0, 0.000_03].map(|most| format::number(top_of(most)));
        assert_eq!(tops, ["1", "1", "4", "6", "10", "100", "200", "800", "0.00004"]);
        let counted = Frame::of(&bars([Some(1.0), Some(0.0), None, None]), 2.0);
        assert!((counted.top - 2.0).abs() < 1e-12, "one of two, not one of one: half a tile is nothing to read");
    }

    #[test]
    fn the_time_axis_ends_where_the_last_bar_does() {
        let Frame { from, to, bars, .. } = Frame::of(&bars([None; 4]), 0.0);

        assert_eq!((from, to, bars), (0, 240, 4));
    }
}
