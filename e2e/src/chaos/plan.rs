//! What befalls a network in one round, drawn from a seed.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

/// At once in a round, at the most.
const FAULTS_MAX: usize = 3;
/// A fault begins within so many milliseconds of its round.
const BEGINS_WITHIN: u64 = 1500;
/// Longer than a replica may be silent before others take its slices.
const LONG: u64 = 7000;

/// Where it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Three replicas on `PostgreSQL`.
    Fleet,
    /// One server with `SQLite`.
    Alone,
}

/// Of a replica, by its number, where it is one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL; at the end it is started again.
    KillServer(usize),
    /// SIGKILL to a process in which a server has strangers' text read.
    KillChild(usize),
    /// SIGKILL to a device that is a process of its own.
    KillWorker,
    /// SIGKILL to a process of the database's, which has all others of it end.
    KillDatabase,
    RestartDatabase,
    /// SIGSTOP, and SIGCONT at the end.
    Sleep(usize),
    CutDatabase(usize),
    DelayDatabase(usize, Duration),
    /// All connections to servers, of devices and of customers.
    CutSockets,
    DelaySockets(Duration),
    /// No file can be written beyond so many bytes.
    FillDisk(usize, u64),
    /// A wall clock is off by so many seconds.
    MoveClock(usize, i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) at: Duration,
    pub(super) lasts: Duration,
    pub(super) fault: Fault,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} ms for {} ms", self.fault, self.at.as_millis(), self.lasts.as_millis())
    }
}

/// The faults of a round.
pub(super) fn draw(rng: &mut Rng, place: Place) -> Vec<Step> {
    (0..rng.usize(1..=FAULTS_MAX)).map(|_| step(rng, place)).collect()
}

fn step(rng: &mut Rng, place: Place) -> Step {
    let (kinds, replicas) = match place {
        Place::Fleet => (12, 3),
        Place::Alone => (8, 1),
    };
    let which = rng.usize(..replicas);
    let delay = Duration::from_millis(rng.u64(5..300));
    // Of either sign, from half a minute to half a day: a receipt's time may be off by a day.
    let seconds = rng.i64(30..43_000) * if rng.bool() { 1 } else { -1 };
    let (fault, longest) = match rng.u8(..kinds) {
        0 | 1 => (Fault::KillServer(which), 2000),
        2 => (Fault::KillChild(which), 1),
        3 => (Fault::KillWorker, 2000),
        4 => (Fault::Sleep(which), LONG),
        5 => (if rng.bool() { Fault::CutSockets } else { Fault::DelaySockets(delay) }, 4000),
        6 => (Fault::FillDisk(which, rng.u64(1..64) << rng.u8(8..20)), 3000),
        7 => (Fault::MoveClock(which, seconds), 4000),
        8 => (Fault::KillDatabase, 1),
        9 => (Fault::RestartDatabase, 1),
        10 => (Fault::CutDatabase(which), LONG),
        _ => (Fault::DelayDatabase(which, delay), 4000),
    };
    let [at, lasts] = [BEGINS_WITHIN, longest].map(|most| Duration::from_millis(rng.u64(..most)));
    Step { at, lasts, fault }
}

/// What begins (`true`) and ends, in its order in time.
pub(super) fn timeline(steps: &[Step]) -> Vec<(Duration, bool, Fault)> {
    let moments = |step: &Step| [(step.at, true, step.fault), (step.at + step.lasts, false, step.fault)];
    let mut moments: Vec<_> = steps.iter().flat_map(moments).collect();
    moments.sort_by_key(|(at, begins, _)| (*at, !begins));
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(seed: u64, place: Place) -> Vec<Vec<Step>> {
        let mut rng = Rng::with_seed(seed);
        (0..200).map(|_| draw(&mut rng, place)).collect()
    }

    #[test]
    fn a_seed_draws_the_same_faults_each_time() {
        assert_eq!(rounds(7, Place::Fleet), rounds(7, Place::Fleet));
        assert_ne!(rounds(7, Place::Fleet), rounds(8, Place::Fleet));
    }

    #[test]
    fn one_server_has_no_database_to_be_cut_off_from() {
        let is_of_database = |fault| {
            use Fault::{CutDatabase, DelayDatabase, KillDatabase, RestartDatabase};
            matches!(fault, KillDatabase | RestartDatabase | CutDatabase(_) | DelayDatabase(..))
        };
        let any = |place| rounds(7, place).concat().iter().any(|step| is_of_database(step.fault));

        assert!(any(Place::Fleet) && !any(Place::Alone));
    }

    #[test]
    fn what_begins_ends_in_the_order_of_time() {
        for steps in rounds(7, Place::Fleet) {
            let moments = timeline(&steps);

            assert_eq!(moments.len(), 2 * steps.len());
            assert!(moments.is_sorted_by_key(|(at, ..)| *at));
            for step in steps {
                let begins = moments.iter().position(|moment| *moment == (step.at, true, step.fault)).unwrap();
                let ends = (step.at + step.lasts, false, step.fault);
                assert!(moments[begins..].contains(&ends), "{step}");
            }
        }
    }
}
