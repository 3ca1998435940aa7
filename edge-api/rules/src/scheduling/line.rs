//! How fast a device's line to the edge is, and what it need not fetch once more: so that a deadline leaves time for
//! what has to be sent.

use std::collections::VecDeque;

use wire::{BlobHash, Micros};

use crate::job::Needs;

/// Taken for granted until a transfer was measured, in bytes a second: eight megabits, which most homes have both ways.
const FIRST_RATE: f64 = 1e6;
/// Shorter transfers say more about buffers on the way than about the line. What is sent lies in the system's buffers
/// before it has left; what arrives was sent.
const DOWN_BYTES_MIN: u64 = 4 << 20;
const UP_BYTES_MIN: u64 = 192 << 10;
/// A line that nothing measured for a day is measured on purpose.
const MEASURED_FOR: Micros = 86_400_000_000;
/// How many times as long as expected a transfer may take.
const MARGIN: f64 = 2.0;
/// Half an hour: who needs longer for a model is of no use to its job.
const TIME_MAX: f64 = 1.8e9;
/// Models and kernels that a device keeps at once.
const KEPT_MAX: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the device.
    Down,
    Up,
}

/// A line as it was measured, in bytes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineSpeed {
    /// 0 until it was measured.
    pub down: u64,
    /// 0 until it was measured.
    pub up: u64,
    /// When both were measured on purpose.
    pub probed_at: Micros,
}

#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Bytes a second, as deadlines take it.
    down: f64,
    up: f64,
    measured: LineSpeed,
    /// Code that it fetched for leases which it finished, the latest last.
    kept: VecDeque<BlobHash>,
}

impl Default for Line {
    fn default() -> Self {
        Self { down: FIRST_RATE, up: FIRST_RATE, measured: LineSpeed::default(), kept: VecDeque::new() }
    }
}

impl Line {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn remembered(measured: LineSpeed) -> Self {
        let rate = |measured: u64| if measured == 0 { FIRST_RATE } else { measured as f64 };
        Self { down: rate(measured.down), up: rate(measured.up), measured, kept: VecDeque::new() }
    }

    pub(super) fn measured(&self) -> LineSpeed {
        self.measured
    }

    pub(super) fn wants_probe(&self, now: Micros) -> bool {
        self.measured.probed_at == 0 || now - self.measured.probed_at > MEASURED_FOR
    }

    /// Both directions were measured on purpose.
    pub(super) fn on_probed(&mut self, now: Micros) {
        self.measured.probed_at = now;
    }

    /// Takes a transfer in, half and half with what was known.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an estimate")]
    #[expect(clippy::cast_sign_loss, reason = "an estimate, above zero")]
    pub(super) fn measure(&mut self, direction: Direction, bytes: u64, took: Micros) {
        let (rate, measured, least) = match direction {
            Direction::Down => (&mut self.down, &mut self.measured.down, DOWN_BYTES_MIN),
            Direction::Up => (&mut self.up, &mut self.measured.up, UP_BYTES_MIN),
        };
        if bytes >= least {
            let now = bytes as f64 / (took.max(1) as f64 / 1e6);
            *rate = f64::midpoint(*rate, now);
            *measured = if *measured == 0 { now as u64 } else { rate.clamp(1.0, 1e18) as u64 };
        }
    }

    /// The device has finished a lease of this code.
    pub(super) fn keep(&mut self, code: BlobHash) {
        self.kept.retain(|kept| *kept != code);
        self.kept.push_back(code);
        if self.kept.len() > KEPT_MAX {
            self.kept.pop_front();
        }
    }

    /// Time that a lease's transfers may take: the code unless the device keeps it, the inputs, and the outputs back.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn time_for(&self, needs: &Needs, tiles: u64) -> Micros {
        let code = if self.kept.contains(&needs.code) { 0 } else { needs.code_bytes };
        let out = needs.tile_out_bytes.saturating_mul(tiles);
        let both = needs.tile_bytes.saturating_mul(tiles);
        let down = code.saturating_add(both.saturating_sub(out));
        allow(down as f64 / self.down.max(1.0) + out as f64 / self.up.max(1.0))
    }
}

/// Time that a device of which nothing is known may take to fetch so many bytes.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
pub fn time_to_fetch(bytes: u64) -> Micros {
    allow(bytes as f64 / FIRST_RATE)
}

#[expect(clippy::cast_possible_truncation, reason = "an estimate, clamped")]
fn allow(secs: f64) -> Micros {
    (secs * MARGIN * 1e6).min(TIME_MAX) as Micros
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Job;
    use crate::scheduling::tests::open_job;

    const SECOND: Micros = 1_000_000;

    fn needs() -> Needs {
        Job { code_bytes: 178_000_000, ..open_job() }.needs()
    }

    #[test]
    fn a_model_takes_as_long_as_the_line_needs_for_it_and_nothing_once_it_is_kept() {
        let mut line = Line::default();

        assert_eq!(line.time_for(&needs(), 0), 356 * SECOND);
        // Five times as fast as was taken for granted, so three times is believed.
        line.measure(Direction::Down, 50_000_000, 10 * SECOND);
        assert_eq!(line.time_for(&needs(), 0) / SECOND, 118);
        line.keep(needs().code);
        assert_eq!(line.time_for(&needs(), 0), 0);
        for other in 1..=4 {
            line.keep(BlobHash([other; 32]));
        }
        assert!(line.time_for(&needs(), 0) > 0, "four others have taken its place");
    }

    #[test]
    fn outputs_go_by_the_way_up_and_what_is_small_measures_nothing() {
        let mut line = Line::default();
        line.keep(needs().code);

        let at_first = line.time_for(&needs(), 10_000);
        line.measure(Direction::Up, UP_BYTES_MIN - 1, 1);
        line.measure(Direction::Down, DOWN_BYTES_MIN - 1, 1);
        assert_eq!(line.time_for(&needs(), 10_000), at_first, "10 MB, half of them up");
        line.measure(Direction::Up, 1 << 20, 3_600 * SECOND);

        assert!(line.time_for(&needs(), 10_000) > at_first * 5 / 4, "half of it takes nearly twice as long");
        assert_eq!(line.time_for(&needs(), u64::MAX), 1_800 * SECOND, "half an hour at the most");
    }
}
