//! Virtual time: one event after another, and what the core says in between.

use std::cmp::Reverse;

use crate::link::Said;
use crate::world::{Event, SECOND, World};

impl World {
    /// Runs to the end of the virtual time.
    pub(crate) fn run(&mut self) {
        let end = i64::try_from(self.settings.seconds).expect("hours should be few") * SECOND;
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            if at > end {
                break;
            }
            self.now = at;
            self.on_event(event);
            self.act();
        }
        self.now = end;
        for gpu in 0..self.gpus.len() {
            if self.gpus[gpu].is_online {
                self.gpus[gpu].online += self.now - self.gpus[gpu].online_since;
            }
        }
    }

    pub(crate) fn on_event(&mut self, event: Event) {
        match event {
            Event::Join(gpu) => self.join(gpu),
            Event::Leave { gpu, session } => self.leave(gpu, session),
            Event::Done { gpu, lease } => self.on_done(gpu, lease),
            Event::Rechecked { gpu, lease } => self.on_rechecked(gpu, lease),
            Event::Check(lease) => self.open_check(lease),
            Event::LookAgain(case) => self.look_again(case),
            Event::Tick => {
                self.core.on_tick(&mut self.link, self.now);
                self.after(SECOND, Event::Tick);
            }
        }
    }

    /// Acts on what the core said, which may make it say more.
    pub(crate) fn act(&mut self) {
        while !self.link.said.is_empty() {
            for said in std::mem::take(&mut self.link.said) {
                match said {
                    Said::Granted { device, job, grant } => self.on_granted(device, job, grant),
                    Said::Revoked { lease } => self.on_revoked(lease),
                    Said::Rechecked { id, outcome } => self.on_recheck_ended(id, outcome),
                }
            }
        }
    }
}
