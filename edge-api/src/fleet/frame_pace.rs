//! How many frames a device may send.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Frames that a device may send a second, and at once after a while of silence, beside those of its work.
pub const FRAMES_PER_SECOND: NonZeroU32 = NonZeroU32::new(50).unwrap();
const FRAMES_AT_ONCE: NonZeroU32 = NonZeroU32::new(200).unwrap();
/// Whoever hands in work has sent a frame for that, and one that asks for more.
const FRAMES_OF_WORK: u32 = 2;
const FRAMES_OF_WORK_MAX: u32 = 1000;

/// Of one socket. Frames that hand in what was computed cost nothing: whoever computes fast, a checker above all, is not
/// held up, and whoever only talks is.
#[derive(Debug)]
pub struct FramePace {
    limit: DefaultDirectRateLimiter,
    of_work: u32,
}

impl Default for FramePace {
    fn default() -> Self {
        let limit = RateLimiter::direct(Quota::per_second(FRAMES_PER_SECOND).allow_burst(FRAMES_AT_ONCE));
        Self { limit, of_work: 0 }
    }
}

impl FramePace {
    /// A frame came in; `false`: it is one too many.
    pub fn allows_frame(&mut self) -> bool {
        if self.of_work > 0 {
            self.of_work -= 1;
            return true;
        }
        self.limit.check().is_ok()
    }

    /// The last frame handed in something that was computed and uploaded.
    pub fn on_work(&mut self) {
        self.of_work = (self.of_work + FRAMES_OF_WORK).min(FRAMES_OF_WORK_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_hands_in_work_as_fast_as_it_can_is_not_held_up() {
        let mut pace = FramePace::default();
        for _ in 0..10_000 {
            assert!(pace.allows_frame(), "what was computed");
            pace.on_work();
            assert!(pace.allows_frame(), "and that it would do more");
        }
    }

    #[test]
    fn whoever_only_talks_is_stopped() {
        let mut pace = FramePace::default();
        assert!((0..10_000).any(|_| !pace.allows_frame()));
    }
}
