//! When a device that lost the edge tries again.

use std::time::Duration;

/// First wait before connecting anew; doubled each time.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// Of an edge that sends its devices to others.
const WAIT_SENT_ON: Duration = Duration::from_millis(250);
/// While the edge is perhaps being replaced: it should find its devices again as soon as it is back.
const WAIT_WHILE_REPLACED: Duration = Duration::from_secs(3);
/// Attempts that are made so soon, which takes some seven minutes.
const ATTEMPTS_WHILE_REPLACED: u32 = 200;
/// Of an edge that has been away for longer, or that has too much to do.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// A connection that held for so long was a good one: the next wait is the first again.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It broke off, or nobody answered.
    Lost,
    /// The edge said that it can take no device now.
    TurnedAway,
    /// The edge is being replaced, and another one answers already.
    SentOn,
}

/// The attempts since the last good connection.
#[derive(Debug, Default)]
pub struct Backoff {
    attempt: u32,
}

impl Backoff {
    /// The wait after a connection that held for `connected`.
    pub fn next_wait(&mut self, connected: Duration, ended: Ended) -> Duration {
        // One that never took the device on would send it on again.
        if ended == Ended::SentOn && connected > Duration::ZERO {
            return WAIT_SENT_ON.mul_f64(f64::from(random_byte()) / 256.0);
        }
        if connected > GOOD_AFTER {
            self.attempt = 0;
        }
        let is_soon = ended != Ended::TurnedAway && self.attempt < ATTEMPTS_WHILE_REPLACED;
        let wait = wait(self.attempt, if is_soon { WAIT_WHILE_REPLACED } else { WAIT_MAX }, random_byte());
        self.attempt = self.attempt.saturating_add(1);
        wait
    }
}

/// Wait before attempt number `attempt`, spread by `random` so that devices do not come back at once.
fn wait(attempt: u32, most: Duration, random: u8) -> Duration {
    let doubled = WAIT_FIRST.saturating_mul(1 << attempt.min(10)).min(most);
    doubled.mul_f64(0.5 + f64::from(random) / 512.0)
}

fn random_byte() -> u8 {
    let mut byte = [0];
    // A wait that is not spread is still a wait.
    getrandom::fill(&mut byte).unwrap_or_default();
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(backoff: &mut Backoff, attempts: u32, ended: Ended) -> Vec<Duration> {
        (0..attempts).map(|_| backoff.next_wait(Duration::ZERO, ended)).collect()
    }

    #[test]
    fn a_device_is_back_within_three_seconds_of_an_edge_that_was_replaced() {
        let mut backoff = Backoff::default();
        let minutes = waits(&mut backoff, ATTEMPTS_WHILE_REPLACED, Ended::Lost);

        assert!(minutes[0] < WAIT_FIRST && minutes.iter().all(|wait| *wait < WAIT_WHILE_REPLACED));
        assert!(minutes.iter().sum::<Duration>() > Duration::from_mins(5), "for some minutes");
        let later = backoff.next_wait(Duration::ZERO, Ended::Lost);
        assert!(later >= WAIT_MAX / 2 && later < WAIT_MAX, "and then seldom: {later:?}");
    }

    #[test]
    fn an_edge_that_turns_devices_away_is_asked_less_and_less() {
        let waits = waits(&mut Backoff::default(), 8, Ended::TurnedAway);

        assert!(waits[0] < WAIT_FIRST && waits[7] >= WAIT_MAX / 2, "{waits:?}");
    }

    #[test]
    fn an_edge_that_is_replaced_costs_a_device_a_moment_and_no_attempt() {
        let mut backoff = Backoff::default();
        let held = Duration::from_millis(1);
        let waits: Vec<Duration> = (0..64).map(|_| backoff.next_wait(held, Ended::SentOn)).collect();

        assert!(waits.iter().all(|wait| *wait < WAIT_SENT_ON), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait != waits[0]), "not all devices at the same moment");
        assert!(backoff.next_wait(held, Ended::Lost) < WAIT_FIRST, "the next loss is the first");
    }

    #[test]
    fn a_device_that_is_only_ever_sent_on_comes_back_less_and_less() {
        let waits = waits(&mut Backoff::default(), 8, Ended::SentOn);

        assert!(waits[7] >= WAIT_WHILE_REPLACED / 2, "{waits:?}");
    }

    #[test]
    fn devices_do_not_come_back_at_once() {
        let (soonest, latest) = (wait(5, WAIT_WHILE_REPLACED, 0), wait(5, WAIT_WHILE_REPLACED, 255));

        assert!(latest.saturating_sub(soonest) > Duration::from_secs(1), "{soonest:?} to {latest:?}");
    }

    #[test]
    fn a_connection_that_held_begins_the_waits_anew() {
        let mut backoff = Backoff::default();
        waits(&mut backoff, 8, Ended::TurnedAway);

        assert!(backoff.next_wait(Duration::from_secs(1), Ended::TurnedAway) > Duration::from_secs(10));
        assert!(backoff.next_wait(Duration::from_mins(1), Ended::TurnedAway) < WAIT_FIRST);
    }
}
