//! Challenges: when all devices are asked at once how fast they are, how much each is asked for, and what its answer says.
//!
//! A device that stands for many keys has one GPU, and all its keys are asked at one instant that nobody can foresee: it
//! shows that GPU's speed once, however many keys it is divided among.

use wire::Micros;

/// Rows and columns of a challenge's matrices: the larger, the cheaper the answer is to check for what it took.
const SIDES: [u32; 4] = [256, 512, 1024, 2048];
/// Matrices of one challenge. More would take a processor seconds to check.
const STEPS_MAX: u32 = 512;
/// A larger matrix than this many of which are multiplied in time says less: a device stops after a whole one.
const STEPS_MIN: f64 = 24.0;
/// Of growing size, each several times the one before.
const ROUNDS_MAX: u32 = 8;
/// The most that is asked of a device that has proved nothing, in operations: what it said of smaller challenges is not
/// looked at, and a larger answer costs more to check.
const UNPROVED_OPS: f64 = 1.5e11;
/// How many times as fast as it proved a device is taken to be at the most.
const FASTER_MAX: f64 = 16.0;
/// A device stops by itself after so many milliseconds.
pub const STOP_AFTER_MILLIS: u32 = 3000;
/// And an answer counts until then: the device may have had to end a submission, and to rest.
pub const ANSWER_WITHIN: Micros = 8_000_000;
/// How long what a challenge proved is good for once a device is asked no more.
pub const PROOF_LASTS: Micros = 3_600_000_000;
/// Bytes of rows that are looked at.
const ROW_BYTES: u32 = 256 << 10;

/// What a challenge is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// All devices are asked at one instant: what they show is what others are shown of them.
    Proof,
    /// One device is asked as it comes, so that its first leases and a quote's time go by something. It proves nothing: one
    /// GPU may come as a hundred devices, one after another.
    Benchmark,
}

impl Purpose {
    /// How long an answer should take, in seconds: a proof's long beside what the line takes.
    fn aim(self) -> f64 {
        match self {
            Self::Proof => 1.5,
            Self::Benchmark => 0.3,
        }
    }

    /// Whoever answers sooner is asked for more at once: its answer says how long the line is.
    fn too_soon(self) -> Micros {
        match self {
            Self::Proof => 500_000,
            Self::Benchmark => 250_000,
        }
    }
}

/// What one device is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Rows and columns of each matrix.
    pub side: u32,
    /// Matrices to multiply.
    pub steps: u32,
}

/// What becomes of an answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It came too soon to say much.
    Again(Size),
    /// In operations a second, if the answer is right.
    Judge { ops_per_sec: u64 },
}

/// What is known of a device that is challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenged {
    pub purpose: Purpose,
    /// When it was challenged last; 0 where it failed, or never was.
    pub proved_ops_per_sec: u64,
    pub buffer_bytes_max: u64,
}

/// How long an answer took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Since this round was asked.
    pub of_round: Micros,
    /// Since the first one was.
    pub of_all: Micros,
}

impl Size {
    /// For a device of which so many operations a second are expected, that has proved so many when it was challenged last,
    /// and that has buffers of so many bytes.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a few hundred")]
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn for_rate(rate: f64, device: Challenged) -> Self {
        let most = UNPROVED_OPS.max(device.proved_ops_per_sec as f64 * FASTER_MAX * device.purpose.aim());
        let ops = (rate * device.purpose.aim()).min(most);
        let fits =
            |side: &u32| ops / step_ops(*side) >= STEPS_MIN && 4 * u64::from(side * side) <= device.buffer_bytes_max;
        let side = SIDES.into_iter().rev().find(fits).unwrap_or(SIDES[0]);
        Self { side, steps: (ops / step_ops(side)).clamp(2.0, f64::from(STEPS_MAX)) as u32 }
    }

    /// After `steps` of it were done, in the last of `round` rounds, counted from one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, far below 2^63")]
    pub fn next(self, (round, steps): (u32, u32), times: Times, device: Challenged) -> Next {
        let done = step_ops(self.side) * f64::from(steps);
        let larger = Self::for_rate(done / secs(times.of_round), device);
        if steps == self.steps
            && times.of_round < device.purpose.too_soon()
            && round < ROUNDS_MAX
            && larger.ops() > self.ops()
        {
            return Next::Again(larger);
        }
        // What is looked at, over all the time since everybody was asked: what was said of rounds before may be made up,
        // and whoever answers for one key after another is the slower for each.
        let took = match device.purpose {
            Purpose::Proof => times.of_all,
            Purpose::Benchmark => times.of_round,
        };
        Next::Judge { ops_per_sec: (done / secs(took)).clamp(0.0, 1e18) as u64 }
    }

    /// How many rows of the answer are looked at.
    pub fn rows_drawn(self) -> u32 {
        (ROW_BYTES / 4 / self.side).min(self.side)
    }

    fn ops(self) -> f64 {
        step_ops(self.side) * f64::from(self.steps)
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn secs(took: Micros) -> f64 {
    took.max(1) as f64 / 1e6
}

/// Multiplications and additions of one product.
fn step_ops(side: u32) -> f64 {
    2.0 * f64::from(side).powi(3)
}

/// The first instant after `now` at which all devices are challenged: one in each period of `every`, the same on every
/// replica that shares the secret, and known to nobody else.
pub fn next_instant(secret: &[u8; 32], every: Micros, now: Micros) -> Micros {
    let every = every.max(1);
    let of_period = |period: i64| {
        let mut text = b"tessera.challenge.1\0".to_vec();
        text.extend(period.to_le_bytes());
        let hash = blake3::keyed_hash(secret, &text);
        let drawn = hash.as_bytes().first_chunk().expect("a hash has thirty-two bytes");
        let into = u64::from_le_bytes(*drawn) % every.unsigned_abs();
        period * every + Micros::try_from(into).unwrap_or(0)
    };
    let period = now.div_euclid(every);
    let this = of_period(period);
    if this > now { this } else { of_period(period + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Challenged = Challenged { purpose: Purpose::Proof, proved_ops_per_sec: 0, buffer_bytes_max: 1 << 30 };
    const FAST: Challenged = Challenged { proved_ops_per_sec: 1_000_000_000_000, ..NEW };

    #[test]
    fn a_faster_device_is_asked_for_larger_matrices() {
        assert_eq!(Size::for_rate(1e6, NEW), Size { side: 256, steps: 2 }, "the least there is");
        assert_eq!(Size::for_rate(1e9, NEW), Size { side: 256, steps: 44 });
        assert_eq!(Size::for_rate(1e12, FAST).side, 2048);
        assert_eq!(
            Size::for_rate(1e12, Challenged { buffer_bytes_max: 4 << 20, ..FAST }).side,
            1024,
            "its buffers hold that"
        );
        assert_eq!(Size::for_rate(1e18, FAST), Size { side: 2048, steps: 512 }, "the most there is");
    }

    #[test]
    fn who_has_proved_nothing_is_asked_for_little_whatever_it_says() {
        assert_eq!(Size::for_rate(1e18, NEW), Size { side: 1024, steps: 69 });
        assert!(Size::for_rate(1e18, Challenged { proved_ops_per_sec: 10_000_000_000, ..NEW }).ops() <= 2.4e11);
    }

    /// What a device that does so many operations a second, a tenth of a second away, shows, and in how many rounds.
    fn prove(ops_per_sec: i64, device: Challenged) -> (u64, u32) {
        let mut size = Size::for_rate(1e8, device);
        let (mut rounds, mut of_all) = (0, 0);
        loop {
            rounds += 1;
            let ops = 2 * Micros::from(size.side).pow(3) * Micros::from(size.steps);
            let of_round = ops / (ops_per_sec / 1_000_000) + 100_000;
            of_all += of_round;
            match size.next((rounds, size.steps), Times { of_round, of_all }, device) {
                Next::Again(larger) => size = larger,
                Next::Judge { ops_per_sec } => return (ops_per_sec, rounds),
            }
        }
    }

    #[test]
    fn an_answer_that_came_too_soon_is_followed_by_a_larger_challenge() {
        let (first, rounds) = prove(1_000_000_000_000, NEW);
        assert!(first > 100_000_000_000 && rounds <= 7, "{first} after {rounds}");
        let (second, _) = prove(1_000_000_000_000, Challenged { proved_ops_per_sec: first, ..NEW });
        assert!((500_000_000_000..1_000_000_000_000).contains(&second), "{second}");
        let (slow, rounds) = prove(1_000_000_000, NEW);
        assert!((600_000_000..1_000_000_000).contains(&slow) && rounds <= 3, "{slow} after {rounds}");
    }

    #[test]
    fn a_benchmark_takes_a_moment_and_tells_roughly_how_fast_a_device_is() {
        for ops_per_sec in [1_000_000_000_i64, 20_000_000_000, 1_000_000_000_000] {
            let (found, rounds) = prove(ops_per_sec, Challenged { purpose: Purpose::Benchmark, ..NEW });

            let share = f64::from(u32::try_from(found / 1_000_000).unwrap())
                / f64::from(u32::try_from(ops_per_sec / 1_000_000).unwrap());
            assert!(share > 0.1 && rounds <= 8, "{share} of {ops_per_sec} after {rounds}");
        }
    }

    #[test]
    fn who_stops_early_or_answers_late_is_judged_by_what_it_shows_since_everybody_was_asked() {
        let size = Size { side: 256, steps: 100 };
        let judge = |answer, of_round, of_all| size.next(answer, Times { of_round, of_all }, NEW);

        assert_eq!(judge((1, 50), 400_000, 400_000), Next::Judge { ops_per_sec: 4_194_304_000 });
        assert_eq!(judge((1, 100), 10_000_000, 10_000_000), Next::Judge { ops_per_sec: 335_544_320 });
        assert_eq!(judge((8, 100), 400_000, 400_000), Next::Judge { ops_per_sec: 8_388_608_000 }, "the last round");
        let after_made_up_rounds = judge((8, 1), 100_000, 3_000_000);
        assert_eq!(after_made_up_rounds, Next::Judge { ops_per_sec: 11_184_810 }, "one step in three seconds");
    }

    #[test]
    fn a_quarter_of_a_mebibyte_is_looked_at_or_all_there_is() {
        let drawn = SIDES.map(|side| Size { side, steps: 1 }.rows_drawn());

        assert_eq!(drawn, [256, 128, 64, 32]);
    }

    #[test]
    fn each_period_has_one_instant_that_nobody_without_the_secret_knows() {
        let every = 600_000_000;
        let mut now = 1_800_000_000_000_000;
        for _ in 0..100 {
            let next = next_instant(&[1; 32], every, now);
            assert!(next > now && next - now < 2 * every);
            assert_eq!(next_instant(&[1; 32], every, next - 1), next, "the same for whoever asks");
            assert_ne!(next_instant(&[2; 32], every, now), next);
            assert_ne!(next_instant(&[1; 32], every, next).div_euclid(every), next.div_euclid(every));
            now = next;
        }
    }
}
