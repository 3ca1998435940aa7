//! How much work is submitted to a device at once. A submission cannot be stopped, so the first ones are
//! small, and they grow while they take far less time than the limit.

use std::time::Duration;

/// Budget of one submission in a browser tab, which shares its GPU with somebody's desktop.
pub const TAB: Duration = Duration::from_millis(50);
/// Budget of one submission of a native worker.
pub const NATIVE: Duration = Duration::from_millis(250);

/// Work of the first submission, in floating-point operations (or bytes moved).
const FIRST: f64 = 4e6;
const LEAST: f64 = 1e5;

/// The work that one submission may hold, learned from the time that earlier ones took.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    limit: Duration,
    work: f64,
}

impl Budget {
    pub fn new(limit: Duration) -> Self {
        Self { limit, work: FIRST }
    }

    /// Work that the next submission may hold.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "work is positive and far below 2^64")]
    pub fn work(&self) -> u64 {
        self.work as u64
    }

    /// Learns from a submission of `work` that took `busy`. Grows at most fourfold at a time, and
    /// aims at half the limit, since submissions of one size differ in time.
    pub fn learn(&mut self, work: u64, busy: Duration) {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let rate = work as f64 / busy.as_secs_f64().max(1e-5);
        let aim = rate * self.limit.as_secs_f64() / 2.0;
        // A small submission says little about large ones: its time is mostly overhead.
        self.work = aim.clamp(LEAST, self.work * 4.0).max(if busy < self.limit / 4 { self.work } else { LEAST });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submission_grows_while_it_is_quick_and_shrinks_when_it_is_slow() {
        let mut budget = Budget::new(TAB);
        let first = budget.work();

        budget.learn(first, Duration::from_millis(1));
        let grown = budget.work();
        budget.learn(grown, Duration::from_millis(200));
        let shrunk = budget.work();

        assert!(grown > first && grown <= 4 * first, "{first} {grown}");
        assert!(shrunk <= grown / 7, "{grown} {shrunk}");
    }
}
