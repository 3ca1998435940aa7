//! A device's commit: its receipt looked at, stored together with those that came at the same time, and handed on to be
//! checked.

use std::sync::Arc;

use anyhow::Context;
use ed25519_dalek::VerifyingKey;
use rules::Job;
use rules::scheduling::lease::{CommitError, Lease, LeaseState};
use rules::scheduling::speed::Took;
use store::receipts::NewReceipt;
use wire::{BlobHash, DeviceId, ErrorCode, LeaseId, Receipt, Signature};

use super::gathered::{Commit, Committed};
use super::settle;
use super::token::LeaseToken;
use crate::app::App;
use crate::retry::retry;

/// How far a device's clock may be off: its time is published as it was signed.
const CLOCK_OFF_MAX: u64 = 86_400_000_000;

/// Why a commit was not taken; the device is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRefusal {
    pub code: ErrorCode,
    pub message: String,
}

/// A commit that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Now,
    /// It had been said before: the device hears what becomes of it.
    Before,
}

fn refuse(code: ErrorCode, message: impl Into<String>) -> CommitRefusal {
    CommitRefusal { code, message: message.into() }
}

/// Takes a device's signed receipt and has it checked. `token` came with the lease: where another replica granted it, it
/// tells what the lease was.
pub async fn commit(
    app: &App,
    device: DeviceId,
    receipt: Receipt,
    signature: Signature,
    token: &str,
) -> anyhow::Result<Result<Taken, CommitRefusal>> {
    if let Err(refusal) = check_signature(device, &receipt, signature).and_then(|()| check_time(app, &receipt)) {
        return Ok(Err(refusal));
    }
    let found = {
        let state = app.scheduler.lock();
        let lease = state.core.lease(receipt.lease).filter(|lease| lease.device == device).copied();
        lease.and_then(|lease| Some((lease, state.core.job(lease.job)?)))
    };
    let (lease, job) = match found {
        // Said again, after a reconnection: it hears what becomes of it.
        Some((lease, _)) if lease.state == LeaseState::Committed => {
            app.scheduler.lock().unanswered.insert(lease.id, device);
            return Ok(Ok(Taken::Before));
        }
        Some(found) => found,
        None => match find_lease_elsewhere(app, device, receipt.lease, token).await? {
            Elsewhere::Lease(lease, job) => (lease, job),
            Elsewhere::Committed => return Ok(Ok(Taken::Before)),
            Elsewhere::Unknown => {
                return Ok(Err(refuse(ErrorCode::UnknownLease, "this lease is not this device's, or has ended")));
            }
        },
    };
    if !is_about(&receipt, &lease, &job) {
        return Ok(Err(refuse(ErrorCode::MalformedFrame, "the receipt is not about this lease")));
    }
    let expected = job.tiles(lease.tile_range()).output_bytes();
    if !is_output_of(app, receipt.lease, receipt.output, expected).await? {
        return Ok(Err(refuse(ErrorCode::OutputMissing, "upload the lease's output before its receipt")));
    }
    let now = app.clock.now();
    let is_held_here = {
        let mut state = app.scheduler.lock();
        match state.core.on_commit(now, device, receipt.lease) {
            Err(CommitError::Twice) => {
                return Ok(Err(refuse(ErrorCode::ReplayedFrame, CommitError::Twice.to_string())));
            }
            committed => {
                state.unanswered.insert(receipt.lease, device);
                committed.is_ok()
            }
        }
    };
    let new = NewReceipt { receipt, signature, slice: lease.slice, device };
    let item = Commit { receipt: new, job: Arc::clone(&job) };
    let write = async |app: App, group: Arc<[Commit]>| retry(|| write_group(&app, &group)).await;
    let stored = app.gathered.commits.hand_in(&app.tasks, item, app, write).await;
    let stored = stored.and_then(|stored| stored.context("a receipt just written should be on record"));
    let Committed { stored, drawn } = match stored {
        Ok(stored) => stored,
        Err(error) => {
            let mut state = app.scheduler.lock();
            state.unanswered.remove(&lease.id);
            state.drive(|core, link| core.on_refused(link, now, lease.id));
            return Err(error).context("a receipt could not be stored");
        }
    };
    if is_held_here {
        settle::spawn_check(app, lease, stored, Some(drawn));
    } else {
        settle::take_found(app, stored, Some(drawn));
    }
    Ok(Ok(Taken::Now))
}

/// Whether the blob was uploaded as this lease's output, whole: who names another's has not computed it.
pub async fn is_output_of(app: &App, lease: LeaseId, output: BlobHash, bytes: u64) -> anyhow::Result<bool> {
    let uploaded = store::blobs::find_lease_output(&mut *app.db.read().await?, lease).await?;
    Ok(uploaded == Some(output) && app.blobs.size(output).await? == Some(bytes))
}

fn is_about(receipt: &Receipt, lease: &Lease, job: &Job) -> bool {
    receipt.job == lease.job
        && receipt.first_tile == lease.first_tile
        && u64::from(receipt.tiles) == lease.tiles
        && receipt.program == job.task.program()
}

/// A lease that this replica does not hold, or no longer.
enum Elsewhere {
    /// Its token tells what it is.
    Lease(Lease, Arc<Job>),
    /// Its receipt is on record: the device hears what becomes of it.
    Committed,
    Unknown,
}

async fn find_lease_elsewhere(app: &App, device: DeviceId, lease: LeaseId, token: &str) -> anyhow::Result<Elsewhere> {
    let found = store::receipts::find_receipt(&mut *app.db.read().await?, lease).await?;
    if let Some((stored, _)) = found {
        if stored.device != device {
            return Ok(Elsewhere::Unknown);
        }
        app.scheduler.lock().unanswered.insert(lease, device);
        return Ok(Elsewhere::Committed);
    }
    let now = app.clock.now();
    let token = LeaseToken::open(token, &app.secret, now);
    let Some(token) = token.filter(|token| token.lease == lease && token.device == Some(device)) else {
        return Ok(Elsewhere::Unknown);
    };
    let (Some(slice), Some(job)) = (token.slice, store::jobs::load_job(&mut *app.db.read().await?, token.job).await?)
    else {
        return Ok(Elsewhere::Unknown);
    };
    let (first_tile, tiles) = (token.tiles.start, token.tiles.end - token.tiles.start);
    let (granted_at, deadline, took, state) = (now, now, Took::Unknown, LeaseState::Committed);
    let lease = Lease { id: lease, device, job: job.id, slice, first_tile, tiles, granted_at, deadline, took, state };
    Ok(Elsewhere::Lease(lease, Arc::new(job)))
}

fn check_time(app: &App, receipt: &Receipt) -> Result<(), CommitRefusal> {
    if receipt.time.abs_diff(app.clock.now()) <= CLOCK_OFF_MAX {
        return Ok(());
    }
    let message = "the receipt's time is more than a day off: set this machine's clock";
    Err(refuse(ErrorCode::MalformedFrame, message))
}

fn check_signature(device: DeviceId, receipt: &Receipt, signature: Signature) -> Result<(), CommitRefusal> {
    let key = VerifyingKey::from_bytes(&device.0)
        .map_err(|_no_key| refuse(ErrorCode::InvalidSignature, "the device's id is no key"))?;
    key.verify_strict(&receipt.signing_bytes(), &ed25519_dalek::Signature::from_bytes(&signature.0))
        .map_err(|_forged| refuse(ErrorCode::InvalidSignature, "the receipt is not signed by this device's key"))
}

/// Stores receipts with what is drawn of them, in one transaction.
async fn write_group(app: &App, group: &[Commit]) -> anyhow::Result<Vec<Option<Committed>>> {
    let now = app.clock.now();
    let receipts: Vec<NewReceipt> = group.iter().map(|item| item.receipt.clone()).collect();
    let leases = receipts.iter().map(|new| new.receipt.lease).collect();
    let mut tx = app.db.begin_write().await?;
    store::receipts::insert_pending_receipts(&mut tx, &receipts, now).await?;
    let stored = store::receipts::list_receipts(&mut tx, &leases).await?;
    let signed: Vec<_> =
        group.iter().map(|Commit { receipt: new, job }| (job.as_ref(), new.device, &new.receipt)).collect();
    let drawn = settle::draw_receipts(app, &mut tx, &signed).await?;
    tx.commit().await?;
    let committed = |lease| Some(Committed { stored: stored.get(&lease)?.clone(), drawn: drawn.get(&lease)?.clone() });
    Ok(receipts.iter().map(|new| committed(new.receipt.lease)).collect())
}
