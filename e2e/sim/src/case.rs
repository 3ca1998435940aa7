//! A receipt whose drawn tiles are being compared, and a fault that is looked into.

use std::ops::Range;

use rules::scheduling::recheck_request::{Answerer, RecheckId, Whom};
use rules::verification::dispute::{Comparison, Dispute};
use rules::verification::fault::FaultCase;
use wire::{DeviceId, JobId, LeaseId};

pub(crate) type CaseId = u64;

/// Why tiles of a receipt are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Commit,
    /// Another receipt of the device was rejected.
    After,
    Final,
}

/// A receipt whose drawn tiles are being compared.
pub(crate) struct Case {
    pub lease: LeaseId,
    pub cause: Cause,
    /// Counted from the lease's first, those that are left to compare.
    pub left: Vec<u32>,
    pub drawn: u32,
    /// Where peers check: whoever answered for the tiles up to here.
    pub peer: Option<(Answerer, Range<u32>)>,
    pub asked: Option<(Whom, Range<u32>)>,
    /// Devices that answered for drawn tiles, and for how many.
    pub judged: Vec<(DeviceId, u64)>,
    pub dispute: Option<Open>,
    pub is_own_work: bool,
}

pub(crate) struct Open {
    pub tile: u32,
    pub signed: u64,
    pub found: u64,
    pub dispute: Dispute,
    pub witnesses: Vec<(DeviceId, Comparison)>,
}

/// A fault while it is looked into.
pub(crate) struct OpenFault {
    pub gpu: usize,
    pub job: JobId,
    pub tile: u64,
    pub case: FaultCase,
    pub asked: Option<(RecheckId, Whom)>,
    /// Of whoever finished: an answer of 0 is right, and equal ones agree.
    pub finished: Vec<(DeviceId, u64)>,
}
