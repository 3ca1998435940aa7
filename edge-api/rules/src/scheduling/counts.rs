//! How much a replica holds and how much of it waits: each figure is kept already, so that reading all of them takes a few
//! instructions under whatever lock guards the core.

use super::state::Core;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub devices: usize,
    /// Devices that would take a lease more.
    pub devices_waiting: usize,
    pub jobs: usize,
    pub jobs_with_free_tiles: u64,
    pub slices: usize,
    /// Leases that devices hold undone.
    pub leases_out: usize,
    /// Leases that await their check.
    pub leases_committed: usize,
    pub checkers: usize,
    /// Requests for tiles to be computed again that wait for somebody.
    pub rechecks_waiting: usize,
    /// Those that somebody has.
    pub rechecks_assigned: usize,
}

impl Core {
    pub fn counts(&self) -> Counts {
        Counts {
            devices: self.devices.len(),
            devices_waiting: self.waiting.len(),
            jobs: self.jobs.len(),
            jobs_with_free_tiles: self.turns.jobs(),
            slices: self.slices.len(),
            leases_out: self.deadlines.len(),
            leases_committed: self.leases.len() - self.deadlines.len(),
            checkers: self.rechecks.checkers(),
            rechecks_waiting: self.rechecks.waiting(),
            rechecks_assigned: self.rechecks.assigned(),
        }
    }
}
