//! Virtual time: one event after another, and what the core says in between.

use std::cmp::Reverse;
use std::fmt;

use crate::cheat::Kind;
use crate::link::Said;
use crate::world::{Event, SECOND, World};

/// Something that should never be.
#[derive(Debug)]
pub(crate) struct Violation {
    pub seed: u64,
    pub seconds: f64,
    /// Counted from the first.
    pub number: u64,
    pub event: Event,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, seconds, number, event, what } = self;
        write!(f, "{what} (seed {seed}, {seconds:.6} s, event {number}: {event:?})")
    }
}

impl World {
    /// Runs to the end of the virtual time, or to the first thing that should not be.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        let end = i64::try_from(self.settings.seconds).expect("hours should be few") * SECOND;
        // What is derived anew takes longer, the larger the network is.
        let look_each = 10 * u64::from(self.settings.gpus);
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            if at > end {
                break;
            }
            self.now = at;
            self.tally.events += 1;
            self.on_event(event);
            self.act();
            self.look_at_touched();
            if self.tally.events.is_multiple_of(look_each) {
                self.look_at_everything();
            }
            if let Some(what) = self.broken.take() {
                #[expect(clippy::cast_precision_loss, reason = "a duration")]
                let seconds = self.now as f64 / 1e6;
                return Err(Violation { seed: self.settings.seed, seconds, number: self.tally.events, event, what });
            }
        }
        self.now = end;
        self.count_time();
        Ok(())
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Join(gpu) => self.join(gpu),
            Event::Leave { gpu, session } => self.leave(gpu, session),
            Event::Ready { gpu, session } => self.on_ready(gpu, session),
            Event::Done { gpu, lease } => self.on_done(gpu, lease),
            Event::Check(lease) => self.open_check(lease),
            Event::Advance(case) => self.advance(case),
            Event::LookAgain(case) => self.look_again(case),
            Event::AdvanceFault(lease) => self.advance_fault(lease),
            Event::FaultTimesOut(lease) => self.time_fault_out(lease),
            Event::GiveUp(recheck) => self.give_up(recheck),
            Event::Tick => {
                self.core.on_tick(&mut self.link, self.now);
                self.after(SECOND, Event::Tick);
            }
            Event::WarmedUp => {
                self.count_time();
                self.tally_warm = self.tally.clone();
            }
        }
    }

    /// Acts on what the core said, which may make it say more.
    fn act(&mut self) {
        while !self.link.said.is_empty() {
            for said in std::mem::take(&mut self.link.said) {
                match said {
                    Said::Granted { device, job, grant } => self.on_granted(device, job, grant),
                    Said::Revoked { lease } => self.on_revoked(lease),
                    Said::Rechecked { id, answered } => {
                        if !self.on_fault_answered(id, answered) {
                            self.on_recheck_ended(id, answered);
                        }
                    }
                }
            }
        }
    }

    /// Adds up the time that honest GPUs were online and at work until now.
    fn count_time(&mut self) {
        let now = self.now;
        for gpu in self.gpus.iter_mut().filter(|gpu| gpu.is_online) {
            gpu.count_time(now);
        }
        let honest = || self.gpus.iter().filter(|gpu| gpu.kind == Kind::Honest);
        self.tally.online = honest().map(|gpu| gpu.online).sum();
        self.tally.busy = honest().map(|gpu| gpu.busy).sum();
    }
}
