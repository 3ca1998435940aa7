//! What the core tells the world.

use std::ops::Range;

use wire::{DeviceId, JobId, LeaseId, Micros, SliceId};

use super::recheck_request::{Answered, RecheckError, RecheckId};
use crate::job::Job;

/// Tiles lent to a device until a deadline, be it to be paid for them or to check others' work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub lease: LeaseId,
    /// The slice that the tiles are settled in; `None` where they are only to be checked.
    pub slice: Option<SliceId>,
    /// Counted over the job.
    pub tiles: Range<u64>,
    pub deadline: Micros,
    /// See [`wire::LeaseGrant::nudge`].
    pub nudge: Option<u64>,
}

pub trait Link {
    /// A fresh, unguessable name for a lease.
    fn lease_id(&mut self) -> LeaseId;
    /// A number below `bound` that nobody can foresee: whoever is asked to check is drawn.
    fn draw_below(&mut self, bound: u64) -> u64;
    fn grant(&mut self, device: DeviceId, job: &Job, grant: Grant, now: Micros);
    fn revoke(&mut self, device: DeviceId, lease: LeaseId);
    /// A re-check has ended; it is told once.
    fn end_recheck(&mut self, id: RecheckId, outcome: Result<Answered, RecheckError>);
    /// Leases that begin with this tile came back undone time and again: perhaps nobody can compute it.
    fn report_undone(&mut self, job: JobId, tile: u64);
    /// An operator's checker did not do what it was asked to: the operator should know.
    fn report_checker_failure(&mut self, checker: DeviceId, job: JobId);
}
