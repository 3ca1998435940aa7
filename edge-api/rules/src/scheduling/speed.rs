//! How fast a device computes: as an estimate that leases are cut by, and as a figure that others are shown. Both go by
//! its work and by what it proves when it is challenged.

use wire::Micros;

/// Taken for granted until a device has shown its own, in operations a second.
const FIRST_RATE: f64 = 1e8;
/// A shorter lease was waiting and sending for the most part: the device is at least as fast as that, and no more is known.
const BELIEVED_FROM: Micros = 500_000;
/// However far off a lease's time was.
const SPREAD_MAX: f64 = 3.0;
/// Less work than this says nothing to others.
const SHOWN_FROM: f64 = 1e7;

/// How many times as fast as its challenge proved a device may seem by its work. A challenge multiplies integers, which
/// many processors do at a quarter of the speed of floats; and among many keys of one GPU each proves a part of it.
const BEYOND_PROOF: u64 = 8;

/// What a device showed when it was last challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Multiplications and additions of integers a second; 0 where it failed.
    pub ops_per_sec: u64,
    pub at: Micros,
}

/// How long a lease took, as far as the edge can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Took {
    /// It is not committed, or was not to this replica.
    Unknown,
    /// No longer than this: it was over so soon that its beginning is not known so well. Commits of two leases may arrive
    /// together, however long the second one took.
    AtMost(Micros),
    Measured(Micros),
}

impl Took {
    /// Of a lease that is committed `now`, by a device that committed its last one at `busy_since`.
    pub(super) fn of(granted_at: Micros, busy_since: Micros, now: Micros) -> Self {
        let worked = now - granted_at.max(busy_since);
        if worked >= BELIEVED_FROM { Self::Measured(worked) } else { Self::AtMost(now - granted_at) }
    }
}

/// In operations a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speed {
    estimate: f64,
    /// How far off the time of a lease was from what the estimate said, as a share of that, in the mean of the latest.
    spread: f64,
    /// By work for others that was verified; 0 until there was some.
    shown: f64,
}

impl Default for Speed {
    fn default() -> Self {
        Self { estimate: FIRST_RATE, spread: 0.0, shown: 0.0 }
    }
}

impl Speed {
    /// What it was shown with when it was last here.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn remembered(flops_per_sec: u64) -> Self {
        if flops_per_sec == 0 {
            return Self::default();
        }
        Self { estimate: flops_per_sec as f64, spread: 0.0, shown: flops_per_sec as f64 }
    }

    pub(super) fn estimate(&self) -> f64 {
        self.estimate
    }

    /// What leases are cut by: the less a device's next lease can be told from its last ones, the less it is lent.
    pub(super) fn reliable(&self) -> f64 {
        self.estimate / (1.0 + self.spread)
    }

    /// `None` as long as the device has shown nothing of itself.
    pub(super) fn measured(&self) -> Option<f64> {
        (self.estimate.to_bits() != FIRST_RATE.to_bits()).then_some(self.estimate)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, far below 2^63")]
    pub(super) fn shown(&self) -> u64 {
        self.shown.clamp(0.0, 1e18) as u64
    }

    /// A challenge was passed: what nothing is known of goes by that, and what is known is no other by more than a factor.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn on_proved(&mut self, ops_per_sec: u64) {
        let (proved, beyond) = (ops_per_sec.max(1) as f64, BEYOND_PROOF as f64);
        let known = self.measured().unwrap_or(proved);
        self.estimate = known.clamp(proved / beyond, proved * beyond);
    }

    /// What others are shown of a device with this speed by its work and this proof: work for others says more of a
    /// device than integers do, within what it has proved.
    pub(super) fn shown_with(&self, proof: Option<Proof>) -> u64 {
        match (self.shown(), proof) {
            (by_work, None) => by_work,
            (0, Some(proof)) => proof.ops_per_sec,
            (by_work, Some(proof)) => by_work.min(proof.ops_per_sec.saturating_mul(BEYOND_PROOF)),
        }
    }

    /// A lease was verified. Half and half with what was known; others are shown what was done for others: who knows the
    /// answer is as fast as it likes.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn on_settled(&mut self, flops: u64, took: Took, is_own: bool) {
        let measured = match took {
            Took::Unknown => return,
            Took::Measured(time) => rate(flops, time),
            Took::AtMost(time) => rate(flops, time).max(self.estimate),
        };
        if let (Took::Measured(_), Some(known)) = (took, self.measured()) {
            let off = (known / measured.max(1.0) - 1.0).abs().min(SPREAD_MAX);
            self.spread = f64::midpoint(self.spread, off);
        }
        self.estimate = f64::midpoint(self.estimate, measured);
        if is_own {
            return;
        }
        let is_first = self.shown.to_bits() == 0.0_f64.to_bits();
        match took {
            Took::Measured(_) if is_first => self.shown = measured,
            Took::Measured(_) => self.shown = f64::midpoint(self.shown, measured),
            Took::AtMost(time) if flops as f64 >= SHOWN_FROM => self.shown = self.shown.max(rate(flops, time)),
            Took::AtMost(_) | Took::Unknown => {}
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn rate(flops: u64, took: Micros) -> f64 {
    flops as f64 / (took.max(1) as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;

    #[test]
    fn tiny_leases_make_no_device_slow() {
        let mut speed = Speed::remembered(1_000_000_000_000);

        for _ in 0..100 {
            speed.on_settled(65_200, Took::AtMost(200_000), false);
        }

        assert_eq!((speed.shown(), speed.measured()), (1_000_000_000_000, Some(1e12)));
    }

    #[test]
    fn a_device_without_work_of_some_size_shows_no_speed() {
        let mut speed = Speed::default();

        speed.on_settled(65_200, Took::AtMost(1_000), false);
        assert_eq!((speed.shown(), speed.measured()), (0, None));
        speed.on_settled(20_000_000, Took::AtMost(10_000), false);
        assert_eq!(speed.shown(), 2_000_000_000, "at least that");
        speed.on_settled(400_000_000, Took::Measured(SECOND), false);

        assert_eq!(speed.shown(), 1_200_000_000, "a second's work counts, also where it is slower");
    }

    #[test]
    fn a_short_lease_that_waited_for_another_counts_from_its_grant() {
        assert_eq!(Took::of(0, 2 * SECOND, 2 * SECOND + 4_000), Took::AtMost(2 * SECOND + 4_000));
        assert_eq!(Took::of(0, 2 * SECOND, 3 * SECOND), Took::Measured(SECOND));
        assert_eq!(Took::of(SECOND, 0, 3 * SECOND), Took::Measured(2 * SECOND));
    }

    #[test]
    fn a_challenge_shows_the_speed_of_a_device_without_work_and_bounds_that_of_another() {
        let proof = |ops_per_sec| Some(Proof { ops_per_sec, at: 0 });
        let (idle, busy) = (Speed::default(), Speed::remembered(1_000_000_000_000));

        assert_eq!((idle.shown_with(None), idle.shown_with(proof(7))), (0, 7));
        assert_eq!(busy.shown_with(None), 1_000_000_000_000, "it was not asked yet");
        assert_eq!(busy.shown_with(proof(300_000_000_000)), 1_000_000_000_000, "integers are slower than floats");
        assert_eq!(busy.shown_with(proof(1_000_000_000)), 8_000_000_000, "one of a hundred keys of a GPU");
        assert_eq!(busy.shown_with(proof(0)), 0, "it did not answer");
    }

    #[test]
    fn leases_go_by_a_challenge_until_there_is_work_and_then_by_both() {
        let (mut idle, mut busy) = (Speed::default(), Speed::remembered(1_000_000_000_000));

        idle.on_proved(5_000_000_000);
        busy.on_proved(5_000_000_000);

        assert_eq!(idle.estimate().to_bits(), 5e9_f64.to_bits());
        assert_eq!(busy.estimate().to_bits(), 4e10_f64.to_bits());
    }

    #[test]
    fn a_device_whose_times_vary_is_lent_less_than_one_as_fast_whose_times_do_not() {
        let (mut steady, mut varying) = (Speed::remembered(1_000_000_000), Speed::remembered(1_000_000_000));
        for turn in 0..20 {
            steady.on_settled(1_000_000_000, Took::Measured(SECOND), false);
            let time = if turn % 2 == 0 { SECOND / 2 } else { 3 * SECOND };
            varying.on_settled(1_000_000_000, Took::Measured(time), false);
        }

        assert!((steady.reliable() / steady.estimate() - 1.0).abs() < 0.01);
        let share = varying.reliable() / varying.estimate();
        assert!(share < 0.6, "{share} of what its speed alone would say");

        for _ in 0..10 {
            varying.on_settled(1_000_000_000, Took::Measured(SECOND), false);
        }
        let share = varying.reliable() / varying.estimate();
        assert!(share > 0.95, "{share}: it has steadied");
    }

    #[test]
    fn neither_a_first_lease_nor_one_too_short_to_measure_says_that_times_vary() {
        let mut speed = Speed::default();

        speed.on_settled(500_000_000_000, Took::Measured(SECOND), false);
        speed.on_settled(65_200, Took::AtMost(1_000), false);

        assert_eq!(speed.reliable().to_bits(), speed.estimate().to_bits());
    }

    #[test]
    fn work_of_ones_own_moves_the_estimate_alone() {
        let mut speed = Speed::default();

        speed.on_settled(100_000_000_000, Took::Measured(SECOND), true);

        assert_eq!((speed.shown(), speed.measured()), (0, Some(50_050_000_000.0)));
    }
}
