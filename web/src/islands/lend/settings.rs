//! What a person allows: how much of the device, at which hours, for how long. Plain rules; clocks are passed in.

use serde::{Deserialize, Serialize};
use wire::lend::PauseReason;

use crate::browser::backend::Backend;
use crate::browser::conditions::Conditions;

/// Set by the person whose device it is, and stored by the browser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LendSettings {
    #[serde(default)]
    pub backend: Backend,
    pub duty_percent: u8,
    /// No customer's kernel runs.
    #[serde(default)]
    pub models_only: bool,
    pub while_hidden: bool,
    pub on_battery: bool,
    /// Minutes after the start; 0 for never.
    pub stop_after_minutes: u32,
    /// Compute only from the first to the second minute of the day; past midnight where the first is later.
    pub hours: Option<(u16, u16)>,
}

impl Default for LendSettings {
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            duty_percent: 50,
            models_only: false,
            while_hidden: false,
            on_battery: false,
            stop_after_minutes: 0,
            hours: None,
        }
    }
}

impl LendSettings {
    /// Why the device should pause, if it should.
    pub fn pause(&self, now: Conditions) -> Option<PauseReason> {
        if now.hidden && !self.while_hidden {
            Some(PauseReason::Hidden)
        } else if now.on_battery && !self.on_battery {
            Some(PauseReason::Battery)
        } else if self.hours.is_some_and(|(from, to)| !is_within(now.minute_of_day, from, to)) {
            Some(PauseReason::Schedule)
        } else {
            None
        }
    }

    /// Whether to stop after lending for this long.
    pub fn is_over(&self, lent_millis: f64) -> bool {
        self.stop_after_minutes > 0 && lent_millis >= f64::from(self.stop_after_minutes) * 60_000.0
    }
}

fn is_within(minute: u16, from: u16, to: u16) -> bool {
    if from <= to { (from..to).contains(&minute) } else { minute >= from || minute < to }
}

/// `22:30` as minutes of the day.
pub fn parse_minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

pub fn show_minute(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWAY: Conditions = Conditions { hidden: true, on_battery: true, minute_of_day: 600 };

    #[test]
    fn a_guest_rests_when_hidden_or_on_battery_unless_told_otherwise() {
        let settings = LendSettings::default();

        assert_eq!(settings.pause(AWAY), Some(PauseReason::Hidden));
        assert_eq!(settings.pause(Conditions { hidden: false, ..AWAY }), Some(PauseReason::Battery));
        let eager = LendSettings { while_hidden: true, on_battery: true, ..settings };
        assert_eq!(eager.pause(AWAY), None);
    }

    #[test]
    fn hours_may_go_across_midnight() {
        let night = LendSettings { hours: Some((22 * 60, 7 * 60)), ..LendSettings::default() };
        let at = |minute_of_day| night.pause(Conditions { minute_of_day, ..Conditions::default() });

        assert_eq!([at(23 * 60), at(0), at(7 * 60 - 1)], [None; 3]);
        assert_eq!([at(7 * 60), at(12 * 60)], [Some(PauseReason::Schedule); 2]);
    }

    #[test]
    fn two_hours_and_then_stop() {
        let settings = LendSettings { stop_after_minutes: 120, ..LendSettings::default() };

        assert!(!settings.is_over(7_199_999.0));
        assert!(settings.is_over(7_200_000.0));
        assert!(!LendSettings::default().is_over(1e12));
    }

    #[test]
    fn times_of_day_read_back() {
        assert_eq!(parse_minute("22:30").map(show_minute).as_deref(), Some("22:30"));
        assert_eq!([parse_minute("24:00"), parse_minute("7"), parse_minute("-1:00")], [None; 3]);
    }
}
