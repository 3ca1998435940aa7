//! A request to recompute tiles, and what comes of it.

use std::ops::Range;
use std::sync::Arc;

use wire::{BlobHash, DeviceId, JobFault};

use crate::job::Job;
use crate::verification::party::{Parties, Party};

/// Names a request; the caller counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecheckId(pub u64);

#[derive(Clone, Debug)]
pub struct RecheckRequest {
    pub job: Arc<Job>,
    /// Counted over the job.
    pub tiles: Range<u64>,
    pub whom: Whom,
    /// Their devices may not answer.
    pub parties: Parties,
    /// The server can recompute the tiles itself, so the request ends at once when no checker can.
    pub has_fallback: bool,
    /// Each float is to be moved a little by this seed, which the operator's checkers alone are asked to do.
    pub nudge: Option<u64>,
}

/// Whom a request is put to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The operator's checkers where there are any, else a device that has standing and nothing to do with it.
    Checkers,
    /// Such a device though there are checkers: in a dispute.
    Witness,
    /// This device, which has signed another result: in a dispute. Ends at once when it is gone.
    Accused(DeviceId),
}

/// Who recomputes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answerer {
    /// The operator's checker, or the server itself: tied to no account.
    Checker,
    /// A device of a customer or a stranger.
    Peer { party: Party, device: DeviceId },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The tiles' outputs, stored.
    Output(BlobHash),
    Fault(JobFault),
}

/// Who answered, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub by: Answerer,
    pub answer: Answer,
}

/// Why a request ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecheckError {
    /// It is too large for those connected, or they gave it back.
    #[error("no connected checker could recompute the tiles")]
    NoChecker,
    #[error("no device could recompute the tiles")]
    GivenUp,
}
