//! When a device that lost the edge tries again.

use std::time::Duration;

/// First wait before connecting anew; doubled each time.
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(30);
/// A connection that held for so long was a good one: the next wait is the first again.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// The attempts since the last good connection.
#[derive(Debug, Default)]
pub struct Backoff {
    attempt: u32,
}

impl Backoff {
    /// The wait after a connection that held for `connected`.
    pub fn next_wait(&mut self, connected: Duration) -> Duration {
        if connected > GOOD_AFTER {
            self.attempt = 0;
        }
        let wait = wait(self.attempt, random_byte());
        self.attempt = self.attempt.saturating_add(1);
        wait
    }
}

/// Wait before attempt number `attempt`, spread by `random` so that devices do not come back at once.
fn wait(attempt: u32, random: u8) -> Duration {
    let doubled = WAIT_FIRST.saturating_mul(1 << attempt.min(10)).min(WAIT_MAX);
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

    #[test]
    fn waits_between_attempts_grow_to_a_bound() {
        assert!(wait(0, 255) < WAIT_FIRST);
        assert!(wait(50, 255) <= WAIT_MAX);
        assert!(wait(4, 0) > wait(0, 255));
    }

    #[test]
    fn a_connection_that_held_begins_the_waits_anew() {
        let mut backoff = Backoff::default();
        for _ in 0..8 {
            backoff.next_wait(Duration::ZERO);
        }

        assert!(backoff.next_wait(Duration::from_secs(1)) > Duration::from_secs(10));
        assert!(backoff.next_wait(Duration::from_mins(1)) < WAIT_FIRST);
    }
}
