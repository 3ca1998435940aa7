//! What waits to be written together with others of its kind.

use std::sync::Arc;

use bytes::Bytes;
use rules::Job;
use rules::scheduling::lease::Lease;
use store::blobs::NewOutput;
use store::receipts::{NewReceipt, StoredReceipt};
use store::verdicts::Verdict;
use wire::device::Backend;
use wire::{Blob, BlobHash};

use super::gatherer::Gatherer;
use super::verified::Verified;

#[derive(Debug, Default)]
pub struct Gathered {
    pub outputs: Arc<Gatherer<Upload, Kept>>,
    pub commits: Arc<Gatherer<Commit, Stored>>,
    pub settlements: Arc<Gatherer<ToSettle, Settled>>,
}

/// What a device uploaded for a lease.
#[derive(Clone, Debug)]
pub struct Upload {
    pub blob: Blob,
    pub output: NewOutput,
    /// The bytes, where they lie in the database.
    pub small: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The lease's output is this one from here on.
    Output(BlobHash),
    /// An older copy of the blob is being deleted: nothing was written.
    BeingDeleted,
}

/// A receipt that a device hands in.
#[derive(Clone, Debug)]
pub struct Commit {
    pub receipt: NewReceipt,
    pub job: Arc<Job>,
    /// The output that came along.
    pub output: Option<Bytes>,
}

/// What became of a receipt that was handed in.
#[derive(Clone, Debug)]
pub enum Stored {
    Committed(Box<Committed>),
    /// An older copy of its output is being deleted: nothing was written.
    BeingDeleted,
}

/// A receipt that is stored, with what is drawn of it.
#[derive(Clone, Debug)]
pub struct Committed {
    pub stored: StoredReceipt,
    pub drawn: Verdict,
}

/// A lease whose check passed.
#[derive(Clone, Debug)]
pub struct ToSettle {
    pub job: Arc<Job>,
    pub lease: Lease,
    pub verified: Verified,
    /// Of its receipt.
    pub backend: Backend,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is paid, and so many of its job's tiles are left.
    Paid {
        remaining: u64,
    },
    /// This replica holds its tiles no longer, or they are settled.
    Taken,
    /// Another replica owns the slice.
    NotOurs,
    JobEnded,
    /// The device was caught in the meantime.
    Suspended,
    /// The receipt awaited nothing any more.
    DecidedBefore,
}
