//! Measures how smoothly this page is drawn while its GPU computes, so that the person sees what lending costs.

use leptos::prelude::*;

use crate::browser::monotonic_millis;
use crate::text::text;

/// Frames of one second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Second {
    pub frames: u32,
    /// The longest time between two of them.
    pub worst_millis: f64,
}

/// Counts frames into seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    begun: Option<f64>,
    last: f64,
    frames: u32,
    worst: f64,
}

impl Meter {
    /// Counts a frame at `now` (milliseconds). Returns a second once it is full.
    pub fn frame(&mut self, now: f64) -> Option<Second> {
        let begun = *self.begun.get_or_insert(now);
        if begun < now {
            self.frames += 1;
            self.worst = self.worst.max(now - self.last);
        }
        self.last = now;
        if now - begun < 1000.0 {
            return None;
        }
        let second = Second { frames: self.frames, worst_millis: self.worst };
        *self = Self { begun: Some(now), last: now, frames: 0, worst: 0.0 };
        Some(second)
    }
}

/// Frames a second and the slowest of them, while lending is on.
#[component]
pub fn Frames(
    /// Whether to count.
    is_on: Memo<bool>,
) -> impl IntoView {
    let t = text();
    let second = RwSignal::new(None::<Second>);
    Effect::new(move |_| {
        second.set(None);
        if is_on.get() {
            count(second, is_on);
        }
    });
    view! {
        <p class="frames" data-testid="frames" data-frames=move || second.get().map(|second| second.frames.to_string())>
            {move || second.get().map_or_else(|| t.lend.frames_idle.to_owned(), |second| {
                format!("{}{}{} {} · {} {:.0} ms", t.lend.page_smoothness, t.site.colon, second.frames, t.lend.frames_per_second, t.lend.slowest, second.worst_millis)
            })}
        </p>
    }
}

/// One frame asks for the next until lending stops.
fn count(second: RwSignal<Option<Second>>, is_on: Memo<bool>) {
    let meter = StoredValue::new(Meter::default());
    step(second, is_on, meter);
}

fn step(second: RwSignal<Option<Second>>, is_on: Memo<bool>, meter: StoredValue<Meter>) {
    request_animation_frame(move || {
        if is_on.try_get_untracked() != Some(true) {
            return;
        }
        let now = monotonic_millis();
        if let Some(over) = meter.try_update_value(|meter| meter.frame(now)).flatten() {
            second.try_set(Some(over));
        }
        step(second, is_on, meter);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_knows_its_frames_and_its_slowest() {
        let mut meter = Meter::default();
        let mut now = 5.0;
        let mut seconds = Vec::new();

        for step in [20.0; 40].into_iter().chain([200.0]).chain([20.0; 50]) {
            seconds.extend(meter.frame(now));
            now += step;
        }

        assert_eq!(seconds[0], Second { frames: 41, worst_millis: 200.0 });
    }
}
