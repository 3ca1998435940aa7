//! What follows of a look at a part: time for which it worked or did not, and an incident that begins or ends.

use store::incidents::{Finding, FoundPart};
use wire::Micros;
use wire::status::PartDay;

const DAY: Micros = 86_400_000_000;
/// Days that are kept, today among them.
pub const DAYS: Micros = 90;
/// How long what was found is taken to last, if nobody looks again.
pub const KNOWN_FOR: Micros = 60_000_000;

/// What follows of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub failing_since: Option<Micros>,
    /// Of the time since the look before.
    pub passed: Passed,
    pub incident: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    Up,
    Down,
    /// Nobody looked for too long, nobody was wanted, or one look alone found something wrong.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    Begins { began_at: Micros },
    Ends,
}

/// Judges a look at `now` by what was found at `looked_at`. Time between two looks is as the first of them found it, so that a
/// part's time down is that of its incidents; one look alone is no incident.
pub fn judge(last: Option<FoundPart>, looked_at: Option<Micros>, now: Micros, finding: Finding) -> Judgement {
    let last = last.zip(looked_at);
    let seen = last.filter(|(_, looked_at)| now - looked_at <= KNOWN_FOR);
    let failing_since = seen.and_then(|(last, _)| last.failing_since);
    let was_confirmed = seen.is_some_and(|(_, looked_at)| failing_since.is_some_and(|since| since < looked_at));
    let fails = matches!(finding, Finding::Fails(_));
    let passed = match seen.map(|(last, _)| last.finding) {
        Some(Finding::Works) => Passed::Up,
        Some(Finding::Fails(_)) if fails || was_confirmed => Passed::Down,
        Some(Finding::Fails(_) | Finding::Idle) | None => Passed::Unknown,
    };
    let incident = match failing_since {
        Some(began_at) if fails && !was_confirmed => Step::Begins { began_at },
        _ if !fails && last.is_some_and(|(last, _)| matches!(last.finding, Finding::Fails(_))) => Step::Ends,
        _ => Step::Nothing,
    };
    Judgement { failing_since: fails.then(|| failing_since.unwrap_or(now)), passed, incident }
}

/// The midnight at which the first day begins that is kept.
pub fn first_day(now: Micros) -> Micros {
    now - now.rem_euclid(DAY) - (DAYS - 1) * DAY
}

/// The time from one moment to another by days of UTC, as far back as days are kept.
pub fn days(from: Micros, to: Micros, passed: Passed) -> Vec<PartDay> {
    let mut parts = Vec::new();
    let mut begin = from.max(first_day(to));
    while begin < to && passed != Passed::Unknown {
        let day = begin - begin.rem_euclid(DAY);
        let end = to.min(day + DAY);
        let micros = end - begin;
        let (up_micros, down_micros) = if passed == Passed::Up { (micros, 0) } else { (0, micros) };
        parts.push(PartDay { day, up_micros, down_micros });
        begin = end;
    }
    parts
}

#[cfg(test)]
mod tests {
    use wire::status::{StatusPart, Trouble};

    use super::*;

    const SECOND: Micros = 1_000_000;
    const FAILS: Finding = Finding::Fails(Trouble::Unreachable);

    /// Looks every fifteen seconds, `+` for one that finds it to work, `-` for one that does not, `o` for an idle one and a blank
    /// for none; what follows of the last.
    #[track_caller]
    fn check(looks: &str, passed: Passed, incident: Step) {
        let (mut last, mut looked_at, mut judgement) = (None, None, None);
        for (now, look) in (1..).map(|i| i * 15 * SECOND).zip(looks.chars()) {
            let finding = match look {
                '+' => Finding::Works,
                '-' => FAILS,
                'o' => Finding::Idle,
                _ => continue,
            };
            let judged = judge(last, looked_at, now, finding);
            let failing_since = judged.failing_since;
            last = Some(FoundPart { part: StatusPart::Blobs, finding, failing_since, latency: None, present: None });
            (looked_at, judgement) = (Some(now), Some(judged));
        }
        let judged = judgement.unwrap();
        assert_eq!((judged.passed, judged.incident), (passed, incident), "{looks}");
    }

    #[test]
    fn an_incident_begins_with_the_first_of_two_looks_that_find_something_wrong() {
        check("+", Passed::Unknown, Step::Nothing);
        check("++", Passed::Up, Step::Nothing);
        check("++-", Passed::Up, Step::Nothing);
        check("++--", Passed::Down, Step::Begins { began_at: 45 * SECOND });
        check("++---", Passed::Down, Step::Nothing);
        check("++--+", Passed::Down, Step::Ends);
        check("++--o", Passed::Down, Step::Ends);
        check("--", Passed::Down, Step::Begins { began_at: 15 * SECOND });
    }

    #[test]
    fn one_look_alone_is_no_incident_and_no_time_down() {
        check("+-+", Passed::Unknown, Step::Ends);
        check("+-+-", Passed::Up, Step::Nothing);
    }

    #[test]
    fn an_idle_part_is_neither_up_nor_down() {
        check("oo", Passed::Unknown, Step::Nothing);
        check("o-", Passed::Unknown, Step::Nothing);
        check("o--", Passed::Down, Step::Begins { began_at: 30 * SECOND });
        check("+o", Passed::Up, Step::Nothing);
    }

    #[test]
    fn time_in_which_nobody_looked_is_neither_up_nor_down() {
        check("+   +", Passed::Up, Step::Nothing);
        check("+    +", Passed::Unknown, Step::Nothing);
        check("-    -", Passed::Unknown, Step::Nothing);
        check("-    --", Passed::Down, Step::Begins { began_at: 90 * SECOND });
        check("--    +", Passed::Unknown, Step::Ends);
    }

    #[test]
    fn time_is_counted_on_the_days_on_which_it_passed() {
        let noon = 1000 * DAY + DAY / 2;
        let down = |day: Micros, down_micros| PartDay { day: day * DAY, up_micros: 0, down_micros };

        let outage = days(noon, noon + DAY, Passed::Down);

        assert_eq!(outage, [down(1000, DAY / 2), down(1001, DAY / 2)]);
        assert_eq!(days(noon, noon + 15, Passed::Up), [PartDay { day: 1000 * DAY, up_micros: 15, down_micros: 0 }]);
        assert_eq!(days(noon, noon + 15, Passed::Unknown), []);
        assert_eq!(days(noon, noon, Passed::Up), []);
        assert_eq!(days(0, noon, Passed::Down).len(), 90, "no more days than are kept");
    }
}
