//! A device's commit: its receipt looked at, stored together with those that came at the same time, and handed on to be
//! checked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use ed25519_dalek::VerifyingKey;
use rules::Job;
use rules::scheduling::lease::{CommitError, Lease, LeaseState};
use rules::scheduling::speed::Took;
use store::receipts::NewReceipt;
use wire::number::to;
use wire::{Blob, BlobHash, DeviceId, ErrorCode, LeaseId, Receipt, Signature};

use super::closing::commit_failed;
use super::gathered::{Commit, Committed, Stored};
use super::settle;
use super::token::LeaseToken;
use super::uploads::blob_of;
use crate::app::App;
use crate::blobs::collect;
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

/// What a device hands in.
#[derive(Clone, Debug)]
pub struct HandedIn {
    pub receipt: Receipt,
    pub signature: Signature,
    /// It came with the lease: where another replica granted that, it tells what the lease was.
    pub token: String,
    /// The output, where it came along.
    pub output: Option<Bytes>,
}

/// Takes a device's signed receipt and has it checked.
pub async fn commit(
    app: &App,
    device: DeviceId,
    HandedIn { receipt, signature, token, output }: HandedIn,
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
        None => match find_lease_elsewhere(app, device, receipt.lease, &token).await? {
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
    if let Some(refusal) = output_refusal(app, &receipt, output.as_ref(), expected).await? {
        return Ok(Err(refusal));
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
    let item = Commit { receipt: new, job, output };
    let task = app.clone();
    // The device is heard further meanwhile; the server waits for it when it stops.
    app.tasks.spawn(async move { take(&task, lease, item, is_held_here).await });
    Ok(Ok(Taken::Now))
}

/// Stores a receipt that may be stored, and has it checked. A device whose receipt could not be stored is to say it again.
async fn take(app: &App, lease: Lease, item: Commit, is_held_here: bool) {
    let (device, output) = (lease.device, item.output.clone());
    match store_commit(app, item).await {
        Ok(Committed { stored, drawn }) if is_held_here => settle::spawn_check(app, lease, stored, Some(drawn), output),
        Ok(Committed { stored, drawn }) => settle::take_found(app, stored, Some(drawn)),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), %device, "a receipt could not be stored");
            let now = app.clock.now();
            let mut state = app.scheduler.lock();
            state.unanswered.remove(&lease.id);
            state.drive(|core, link| core.on_refused(link, now, lease.id));
            state.disconnect(device, commit_failed());
        }
    }
}

/// Why an output is not what the receipt says; `None` where it is.
async fn output_refusal(
    app: &App,
    receipt: &Receipt,
    output: Option<&Bytes>,
    expected: u64,
) -> anyhow::Result<Option<CommitRefusal>> {
    let Some(output) = output else {
        let is_there = is_output_of(app, receipt.lease, receipt.output, expected).await?;
        let missing = || refuse(ErrorCode::OutputMissing, "upload the lease's output before its receipt");
        return Ok((!is_there).then(missing));
    };
    let Blob { hash, size } = blob_of(output);
    if size != expected {
        let message = format!("the output of this lease has {expected} bytes, and {size} came along");
        return Ok(Some(refuse(ErrorCode::OutputSize, message)));
    }
    if hash != receipt.output {
        let message = "what came along is not the output that the receipt names";
        return Ok(Some(refuse(ErrorCode::OutputMissing, message)));
    }
    // Nothing is taken that there may be no room for.
    Ok(app.disk.check().err().map(|full| refuse(ErrorCode::StorageFull, full.to_string())))
}

/// Stores a receipt together with those that came at the same time.
async fn store_commit(app: &App, item: Commit) -> anyhow::Result<Committed> {
    loop {
        let write = async |app: App, group: Arc<[Commit]>| retry(|| write_group(&app, &group)).await;
        match app.gathered.commits.hand_in(&app.tasks, item.clone(), app, write).await? {
            Stored::Committed(committed) => return Ok(*committed),
            Stored::BeingDeleted => {
                let blob = item.output.as_ref().map(blob_of).context("a blob that is stored should not go")?;
                collect::reserve(app, &blob).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
            }
        }
    }
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

/// Stores receipts with the outputs that came along and what is drawn of them, in one transaction. It does not wait for the
/// disk: nobody hears of it before something is decided, and what is decided rests on it. Where it was lost with the machine,
/// the device says its commit again.
async fn write_group(app: &App, group: &[Commit]) -> anyhow::Result<Vec<Stored>> {
    let now = app.clock.now();
    let along: BTreeMap<BlobHash, &[u8]> =
        group.iter().filter_map(|item| Some((item.receipt.receipt.output, &item.output.as_ref()?[..]))).collect();
    let sizes = along.iter().map(|(hash, bytes)| (*hash, to(bytes.len()))).collect();
    let mut tx = app.db.begin_unsynced_write().await?;
    let used = store::blobs::use_blobs(&mut tx, &sizes, now).await?;
    let is_usable = |item: &&Commit| item.output.is_none() || used.contains(&item.receipt.receipt.output);
    let small = along.into_iter().filter(|(hash, _)| used.contains(hash)).collect();
    store::blobs::insert_small_blobs(&mut tx, &small).await?;
    let usable: Vec<&Commit> = group.iter().filter(is_usable).collect();
    let receipts: Vec<NewReceipt> = usable.iter().map(|item| item.receipt.clone()).collect();
    let providers = store::receipts::insert_pending_receipts(&mut tx, &receipts, now).await?;
    let leases = receipts.iter().map(|new| new.receipt.lease);
    let before: BTreeSet<LeaseId> = leases.filter(|lease| !providers.contains_key(lease)).collect();
    let mut stored = BTreeMap::new();
    if !before.is_empty() {
        stored = store::receipts::list_receipts(&mut tx, &before).await?;
    }
    for item in &usable {
        if let Some(provider) = providers.get(&item.receipt.receipt.lease) {
            stored.insert(item.receipt.receipt.lease, item.receipt.stored(*provider, item.job.customer));
        }
    }
    let signed: Vec<_> =
        usable.iter().map(|Commit { receipt: new, job, .. }| (job.as_ref(), new.device, &new.receipt)).collect();
    let drawn = settle::draw_receipts(app, &mut tx, &signed).await?;
    tx.commit().await?;
    let became = |item: &Commit| {
        if !is_usable(&item) {
            return Ok(Stored::BeingDeleted);
        }
        let lease = item.receipt.receipt.lease;
        let stored = stored.get(&lease).context("a receipt just written should be on record")?.clone();
        let drawn = drawn.get(&lease).context("a verdict just written should be on record")?.clone();
        Ok(Stored::Committed(Box::new(Committed { stored, drawn })))
    };
    group.iter().map(became).collect()
}
