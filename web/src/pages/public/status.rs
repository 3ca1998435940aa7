use std::fmt::Write as _;

use leptos::prelude::*;
use wire::Micros;
use wire::number::to;
use wire::status::{Incident, NetworkStatus, PartDay, PartState, PartStatus, StatusPart};

use crate::api::{Api, Failure};
use crate::components::{Ago, Fact, Moment};
use crate::document::Document;
use crate::format;
use crate::text::Text;

const DAY: Micros = 86_400_000_000;
const DAYS: Micros = 90;

/// Whether everything works, and how well it did.
pub(crate) async fn load(t: &'static Text, api: &Api) -> Result<Document, Failure> {
    let status = api.status().await?;
    let body = move || {
        let NetworkStatus { at, looked_at, parts, incidents } = status;
        let (class, says) = whole(t, &parts);
        let names: Vec<_> = parts.into_iter().map(|part| view! { <PartSection t part at/> }).collect();
        let looked_at = looked_at.map(|at| view! { <p class="soft">{format!("{}{}", t.status.looked_at, t.site.colon)}<Moment time=at/> " " <Ago time=at/></p> });
        view! {
            <div class="title-row"><h1>{t.status.title}</h1> <span class=class data-testid="whole">{says}</span></div>
            <p class="lead">{t.status.lead}</p>
            {looked_at}
            <div class="columns even plain">{names}</div>
            <p class="hint">{t.status.days_hint}</p>
            <section class="card" aria-labelledby="incidents">
                <h2 id="incidents">{t.status.incidents}</h2>
                {if incidents.is_empty() {
                    view! { <p class="soft">{t.status.no_incidents}</p> }.into_any()
                } else {
                    view! { <p class="hint">{t.status.incidents_hint}</p><IncidentTable t incidents/> }.into_any()
                }}
            </section>
        }
        .into_any()
    };
    Ok(Document::new(t.status.title, body).described(t.status.lead))
}

/// The worst of all parts, as a badge's class and what it says.
fn whole(t: &'static Text, parts: &[PartStatus]) -> (&'static str, &'static str) {
    if parts.iter().any(|part| part.state == PartState::Down) {
        ("badge poor", t.status.some_wrong)
    } else if parts.iter().any(|part| part.state == PartState::Unknown) {
        ("badge", t.status.unknown_now)
    } else {
        ("badge good", t.status.all_well)
    }
}

#[component]
fn PartSection(
    /// Every word.
    t: &'static Text,
    /// The part.
    part: PartStatus,
    /// When this was read.
    at: Micros,
) -> impl IntoView {
    let PartStatus { part, state, trouble, latency_micros, present, days } = part;
    let class = match state {
        PartState::Up => "badge good",
        PartState::Down => "badge poor",
        PartState::Idle | PartState::Unknown => "badge",
    };
    let latency = match part {
        StatusPart::Edge => Some(t.status.late),
        StatusPart::Checks => Some(t.status.waits),
        StatusPart::Database | StatusPart::Blobs => Some(t.status.latency),
        StatusPart::Devices => None,
    };
    let count = match part {
        StatusPart::Edge => Some(t.status.running),
        StatusPart::Devices => Some(t.status.connected),
        StatusPart::Database | StatusPart::Blobs | StatusPart::Checks => None,
    };
    let from = first_day(at);
    let sums = Sums::of(&days, from, at);
    let or_unknown = |known: Option<String>| known.unwrap_or_else(|| format::UNKNOWN.to_owned());
    view! {
        <section class="card" aria-labelledby=part.name()>
            <div class="title-row"><h2 class="bare" id=part.name()>{t.status.part_name(part)}</h2> <span class=class>{t.status.state(state)}</span></div>
            {trouble.map(|trouble| view! { <p class="error">{t.status.trouble(trouble)}</p> })}
            <dl class="facts">
                {count.map(|label| view! { <Fact label>{or_unknown(present.map(format::count))}</Fact> })}
                {latency.map(|label| view! { <Fact label>{or_unknown(latency_micros.map(time))}</Fact> })}
                <Fact label=t.status.up_of_known>{or_unknown(sums.up().map(share))}</Fact>
                <Fact label=t.status.known>{share(sums.known())}</Fact>
            </dl>
            <DayStrip t days from/>
        </section>
    }
}

fn first_day(at: Micros) -> Micros {
    at - at.rem_euclid(DAY) - (DAYS - 1) * DAY
}

/// To a thousandth of a percent, which of ninety days is most of two minutes. Cut and not rounded: what is not all is not shown
/// as if it were.
fn share(part: f64) -> String {
    let cut = (part * 100_000.0).floor() / 1000.0;
    format!("{} %", format::number(cut))
}

/// A latency in milliseconds, a wait as people say it.
fn time(micros: Micros) -> String {
    if micros == 0 {
        "0 ms".to_owned()
    } else if micros < 1000 {
        format!("0.{:02} ms", (micros / 10).max(1))
    } else if micros < 10_000_000 {
        let tenths = micros / 100;
        format!("{}.{} ms", tenths / 10, tenths % 10)
    } else {
        format::duration(to(micros / 1_000_000))
    }
}

/// Time found up, found down, and passed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    up: f64,
    down: f64,
    passed: f64,
}

impl Sums {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    fn of(days: &[PartDay], from: Micros, at: Micros) -> Self {
        let days = days.iter().filter(|day| day.day >= from);
        let (up, down) = days.fold((0, 0), |(up, down), day| (up + day.up_micros, down + day.down_micros));
        Self { up: up as f64, down: down as f64, passed: (at - from).max(1) as f64 }
    }

    /// `None` where nothing is known.
    fn up(self) -> Option<f64> {
        (self.up + self.down > 0.0).then(|| self.up / (self.up + self.down))
    }

    fn known(self) -> f64 {
        ((self.up + self.down) / self.passed).min(1.0)
    }
}

/// Ninety days, each as full as anything is known of it, and as red as the part was down.
#[component]
fn DayStrip(
    /// Every word.
    t: &'static Text,
    /// Days of which anything is known.
    days: Vec<PartDay>,
    /// Midnight of the first one.
    from: Micros,
) -> impl IntoView {
    let shown: Vec<(Micros, Option<PartDay>)> = (0..DAYS)
        .map(|i| {
            let midnight = from + i * DAY;
            (midnight, days.iter().find(|day| day.day == midnight).copied())
        })
        .collect();
    let poor = days.iter().filter(|day| day.day >= from && day.down_micros > 0).count();
    let says = if poor == 0 { t.status.days_well.to_owned() } else { format!("{poor} {}", t.status.days_poor) };
    let label = format!("{}{}{says}", t.status.days_of, t.site.colon);
    let columns = shown.iter().enumerate().map(|(i, day)| {
        view! { <rect class="column" x=i.to_string() y="0" width="1" height="100"><title>{day_title(t, day)}</title></rect> }
    });
    view! {
        <div class="chart">
            <svg class="days" role="img" aria-label=label viewBox=format!("0 0 {DAYS} 100") preserveAspectRatio="none">
                <path class="bars" d=bars(&shown, |day| (0, day.up_micros))/>
                <path class="down" d=bars(&shown, |day| (day.up_micros, day.down_micros))/>
                {columns.collect::<Vec<_>>()}
            </svg>
            <div class="chart-x"><span>{format::day(from)}</span><span>{format!("{} UTC", format::day(from + (DAYS - 1) * DAY))}</span></div>
        </div>
    }
}

/// What a day was like.
fn day_title(t: &'static Text, (midnight, day): &(Micros, Option<PartDay>)) -> String {
    let says = match day {
        None => t.status.unknown.to_owned(),
        Some(day) if day.down_micros == 0 => t.status.up.to_owned(),
        Some(day) => {
            let secs = (day.down_micros / 1_000_000).max(1);
            format!("{}{}{}", t.status.down, t.site.colon, format::duration(to(secs)))
        }
    };
    format!("{}{}{says}", format::day(*midnight), t.site.colon)
}

/// Where a share of a day ends below which nothing can be seen, of a hundred.
const SEEN: Micros = 6;

/// A bar a day over what lies below it. What is not nothing can be seen.
fn bars(days: &[(Micros, Option<PartDay>)], of: impl Fn(&PartDay) -> (Micros, Micros)) -> String {
    let mut path = String::new();
    for (i, (_, day)) in days.iter().enumerate() {
        let Some((below, own)) = day.as_ref().map(&of).filter(|(_, own)| *own > 0) else { continue };
        let height = |micros: Micros| (micros * 100 / DAY).clamp(0, 100);
        let own = height(own).max(SEEN);
        let foot = (100 - height(below)).max(own);
        write!(path, "M{i}.1 {foot}v-{own}h.8V{foot}z").expect("writing to memory should not fail");
    }
    path
}

#[component]
fn IncidentTable(
    /// Every word.
    t: &'static Text,
    /// The latest first.
    incidents: Vec<Incident>,
) -> impl IntoView {
    let row = move |incident: Incident| {
        let Incident { part, trouble, began_at, ended_at } = incident;
        let lasted = match ended_at {
            Some(ended) => format::duration(to(((ended - began_at) / 1_000_000).max(1))),
            None => format::UNKNOWN.to_owned(),
        };
        let ended = match ended_at {
            Some(ended) => view! { <Moment time=ended/> }.into_any(),
            None => view! { <span class="badge poor">{t.status.goes_on}</span> }.into_any(),
        };
        view! {
            <tr>
                <td data-label=t.status.what>{format!("{}{}{}", t.status.part_name(part), t.site.colon, t.status.trouble(trouble))}</td>
                <td data-label=t.status.began><Moment time=began_at/></td>
                <td data-label=t.status.ended>{ended}</td>
                <td data-label=t.status.lasted class="number">{lasted}</td>
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=t.status.incidents>
            <table class="rows">
                <thead><tr><th scope="col">{t.status.what}</th><th scope="col">{t.status.began}</th><th scope="col">{t.status.ended}</th><th scope="col" class="number">{t.status.lasted}</th></tr></thead>
                <tbody>{incidents.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_as_full_as_anything_is_known_and_red_where_the_part_was_down() {
        let day = |up, down| Some(PartDay { day: 0, up_micros: up * DAY / 100, down_micros: down * DAY / 100 });
        let days = [(0, None), (0, day(100, 0)), (0, day(50, 25)), (0, day(0, 0))];

        assert_eq!(bars(&days, |day| (0, day.up_micros)), "M1.1 100v-100h.8V100zM2.1 100v-50h.8V100z");
        assert_eq!(bars(&days, |day| (day.up_micros, day.down_micros)), "M2.1 50v-25h.8V50z");
    }

    #[test]
    fn a_second_of_an_outage_can_be_seen() {
        let days = [(0, Some(PartDay { day: 0, up_micros: DAY - 1_000_000, down_micros: 1_000_000 }))];

        assert_eq!(bars(&days, |day| (day.up_micros, day.down_micros)), "M0.1 6v-6h.8V6z");
        assert_eq!(share(1.0 - 1.0 / 86_400.0), "99.998 %");
        assert_eq!(share(0.999_999_9), "99.999 %", "what is not all is not shown as all");
        assert_eq!([share(1.0), share(0.0)], ["100 %", "0 %"]);
    }

    #[test]
    fn what_is_not_known_is_no_uptime() {
        let sums = Sums::of(&[], 0, DAY);
        assert_eq!((sums.up(), sums.known()), (None, 0.0));

        let half = Sums::of(&[PartDay { day: 0, up_micros: DAY / 4, down_micros: DAY / 4 }], 0, DAY);
        assert_eq!((half.up(), half.known()), (Some(0.5), 0.5));
    }

    #[test]
    fn a_latency_is_in_milliseconds_and_a_long_wait_in_what_people_say() {
        assert_eq!([0, 4, 86, 820, 1_440].map(time), ["0 ms", "0.01 ms", "0.08 ms", "0.82 ms", "1.4 ms"]);
        assert_eq!([12_345, 615_000_000].map(time), ["12.3 ms", "10 min"]);
    }
}
