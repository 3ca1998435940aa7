//! From a device's commit to money: the receipt stored, its output checked, its tiles settled.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ed25519_dalek::VerifyingKey;
use rules::Job;
use rules::billing::transfer::Payment;
use rules::scheduling::lease::{CommitError, Lease, LeaseState, Settlement};
use rules::scheduling::speed::Took;
use rules::verification::draw::draw;
use rules::verification::standing::{matures_at, verified_kflop};
use store::devices::AcceptedWork;
use store::job_progress::JobBalance;
use store::receipts::{Acceptance, StoredReceipt};
use store::verdicts::{Cause, Verdict, VerdictState};
use wire::explorer::ReceiptState;
use wire::{BlobHash, DeviceId, ErrorCode, JobEventKind, JobState, LeaseId, Receipt, Signature, ToDevice};

use super::check::{Judgement, Verified, check_lease};
use super::close::{close_job, end_if_unreproducible};
use super::lease_output::committed_lease;
use super::mature;
use super::observed;
use super::reject::{DAMAGED, Fall, UNCHECKED, reject};
use super::token::LeaseToken;
use super::undone;
use crate::app::App;
use crate::programs;
use crate::random;
use crate::retry::retry;

/// Attempts at a check, and the time before the second one; doubled for each one more.
const CHECK_ATTEMPTS: u32 = 6;
const CHECK_AGAIN: Duration = Duration::from_secs(2);

/// How far a device's clock may be off: its time is published as it was signed.
const CLOCK_OFF_MAX: u64 = 86_400_000_000;

/// Why a receipt comes to nothing.
pub const SETTLED_BY_ANOTHER: &str = "its tiles are another device's by now";
pub const JOB_ENDED: &str = "its job has ended";

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
    let stored = retry(async || {
        let mut tx = app.db.begin_write().await?;
        store::receipts::insert_pending_receipt(&mut tx, &receipt, signature, lease.slice, device, now).await?;
        let stored = store::receipts::find_receipt(&mut tx, receipt.lease).await?;
        tx.commit().await?;
        let (stored, _) = stored.context("a receipt just written should be on record")?;
        Ok::<StoredReceipt, anyhow::Error>(stored)
    });
    let stored = match stored.await {
        Ok(stored) => stored,
        Err(error) => {
            let mut state = app.scheduler.lock();
            state.unanswered.remove(&lease.id);
            state.drive(|core, link| core.on_refused(link, now, lease.id));
            return Err(error).context("a receipt could not be stored");
        }
    };
    if is_held_here {
        spawn_check(app, lease, stored);
    } else {
        take_found(app, stored);
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

/// A receipt that was not committed to a lease of this replica: checked here, if its slice is this replica's; else it
/// waits for whoever owns that.
pub fn take_found(app: &App, stored: StoredReceipt) {
    let now = app.clock.now();
    let lease = committed_lease(&stored, now);
    let (owns, taken) = {
        let mut state = app.scheduler.lock();
        let is_known = state.core.lease(lease.id).is_some();
        let owns = state.core.owns(lease.slice) && !is_known;
        (owns, owns && state.drive(|core, link| core.on_receipt_found(link, now, lease)))
    };
    if taken {
        spawn_check(app, lease, stored);
    } else if owns {
        spawn_drop(app, stored, SETTLED_BY_ANOTHER);
    }
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

/// Checks a committed lease in the background, and again after a while where that fails: one read that fails costs a
/// receipt at the most. The server waits for it when it stops.
pub fn spawn_check(app: &App, lease: Lease, stored: StoredReceipt) {
    let task = app.clone();
    app.tasks.spawn(async move {
        let _taken = observed::Receipt::taken(&task, lease);
        for doubled in 0..CHECK_ATTEMPTS {
            let Err(error) = check(&task, lease, &stored).await else { return };
            tracing::error!(error = format!("{error:#}"), lease = %lease.id, "a check could not be finished");
            tokio::select! {
                () = task.stop.cancelled() => return,
                () = tokio::time::sleep(CHECK_AGAIN * 2_u32.pow(doubled)) => {}
            }
            if task.scheduler.lock().core.lease(lease.id).is_none() {
                // The slice is somebody else's by now, and the receipt with it.
                return;
            }
        }
        spawn_drop(&task, stored, "it could not be checked");
    });
}

/// Drops a receipt that comes to nothing, in the background.
pub fn spawn_drop(app: &App, stored: StoredReceipt, why: &'static str) {
    let task = app.clone();
    app.tasks.spawn(async move {
        let lease = stored.receipt.lease;
        if let Err(error) = drop_receipt(&task, &stored, why).await {
            tracing::error!(error = format!("{error:#}"), %lease, "a receipt could not be dropped");
            // It is found again with its slice.
            task.scheduler.forget_slice(stored.slice);
        }
    });
}

/// The receipt comes to nothing and nobody is to blame. Only the slice's owner may say so, or anybody once its job has
/// ended.
async fn drop_receipt(app: &App, stored: &StoredReceipt, why: &str) -> anyhow::Result<()> {
    let lease = stored.receipt.lease;
    let fence = app.scheduler.lock().core.fence(stored.slice);
    let dropped = retry(async || {
        let mut tx = app.db.begin_write().await?;
        let owns = match fence {
            Some(fence) => store::slices::lock_fence(&mut tx, stored.slice, fence).await?,
            None => false,
        };
        let state = store::job_progress::find_job_state(&mut tx, stored.receipt.job).await?;
        if !owns && state == Some(JobState::Running) {
            return Ok(Dropped::NotOurs);
        }
        let voided = store::receipts::end_pending_receipt(&mut tx, lease, ReceiptState::Void).await?;
        tx.commit().await?;
        Ok::<Dropped, anyhow::Error>(if voided { Dropped::Voided } else { Dropped::DecidedBefore })
    })
    .await?;
    if dropped == Dropped::NotOurs {
        // Whoever owns the slice finds the receipt waiting.
        app.scheduler.forget_slice(stored.slice);
        return Ok(());
    }
    let now = app.clock.now();
    let mut state = app.scheduler.lock();
    state.drive(|core, link| core.on_refused(link, now, lease));
    if dropped == Dropped::Voided {
        let message = format!("nothing is paid for this lease: {why}");
        state.answer(stored.device, lease, ToDevice::Refused { lease, code: ErrorCode::UnknownLease, message });
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dropped {
    /// Another replica owns the slice.
    NotOurs,
    Voided,
    /// It awaited nothing any more; the device hears of what was decided.
    DecidedBefore,
}

async fn check(app: &App, lease: Lease, stored: &StoredReceipt) -> anyhow::Result<()> {
    let job = app.scheduler.lock().core.job(lease.job);
    let Some(job) = job else { return drop_receipt(app, stored, JOB_ENDED).await };
    let standings = store::devices::find_standings(&mut *app.db.read().await?, lease.device).await?;
    let standing = standings.of(job.task.program_name(), app.clock.now());
    // Drawn only now that the device has signed its root, and stored before anything is compared.
    let seed = random::bytes();
    let checked_by = job.checked_by(app.config.has_checkers());
    let drawn = draw(standing, stored.receipt.tiles, job.tile_flops(), checked_by, seed);
    let verdict = retry(async || {
        let mut tx = app.db.begin_write().await?;
        let now = app.clock.now();
        let verdict = store::verdicts::open_verdict(&mut tx, lease.id, Cause::Commit, seed, &drawn, now).await?;
        tx.commit().await?;
        Ok::<Verdict, anyhow::Error>(verdict)
    })
    .await?;
    match check_lease(app, &job, &lease, &stored.receipt, &verdict.tiles).await? {
        Judgement::Stands(verified) => settle(app, &job, &lease, stored, verified).await,
        Judgement::Falls(mismatch) => reject(app, stored, &job, Cause::Commit, Fall::Wrong(mismatch)).await,
        Judgement::Damaged => drop_receipt(app, stored, DAMAGED).await,
        Judgement::Unanswered(given_up) => {
            // Perhaps nobody can, and then the job ends.
            undone::look_into(app, job.id, given_up.tiles).await?;
            drop_receipt(app, stored, UNCHECKED).await
        }
    }
}

/// Settles a lease whose check passed: tiles, receipt and money in one transaction.
async fn settle(
    app: &App,
    job: &Arc<Job>,
    lease: &Lease,
    stored: &StoredReceipt,
    verified: Verified,
) -> anyhow::Result<()> {
    let checked_at = app.clock.now();
    let slice_turn = app.scheduler.lock().settling(lease.slice);
    let turn = slice_turn.lock().await;
    let settlement = app.scheduler.lock().core.settlement(lease.id);
    let Some(settlement) = settlement else { return drop_receipt(app, stored, SETTLED_BY_ANOTHER).await };
    let flops_left = verified.flops_left;
    let written = retry(|| write_settlement(app, job, lease, &settlement, verified)).await?;
    let settled = match written {
        Written::Settled(settled) => settled,
        Written::Suspended => return drop_receipt(app, stored, "the device is suspended").await,
        Written::JobEnded => {
            // Perhaps by another replica.
            app.scheduler.end_job(app.clock.now(), lease.job);
            return drop_receipt(app, stored, JOB_ENDED).await;
        }
        Written::NotOurs => {
            // Whoever owns the slice finds the receipt waiting; the device hears of it all the same.
            drop(turn);
            app.scheduler.forget_slice(lease.slice);
            return Ok(());
        }
        Written::DecidedBefore => {
            drop(turn);
            let now = app.clock.now();
            app.scheduler.lock().drive(|core, link| core.on_refused(link, now, lease.id));
            return Ok(());
        }
    };
    observed::settled(app, lease, checked_at);
    let remaining = settled.remaining;
    {
        let mut state = app.scheduler.lock();
        state.core.on_settled(lease.id, &settlement, settled.verified_kflop, flops_left);
        let (tiles, earnings) = (stored.receipt.tiles, settled.earnings);
        state.answer(lease.device, lease.id, ToDevice::Settled { lease: lease.id, tiles, earnings });
    }
    drop(turn);
    app.scheduler.job_changed(lease.job);
    if remaining == 0 {
        close_job(app, lease.job).await?;
    } else {
        end_if_unreproducible(app, lease.job).await?;
    }
    Ok(())
}

enum Written {
    Settled(Settled),
    /// Another replica owns the slice.
    NotOurs,
    JobEnded,
    /// The device was caught in the meantime.
    Suspended,
    /// The receipt awaited nothing any more.
    DecidedBefore,
}

struct Settled {
    remaining: u64,
    verified_kflop: u64,
    earnings: wire::device::Earnings,
}

async fn write_settlement(
    app: &App,
    job: &Arc<Job>,
    lease: &Lease,
    settlement: &Settlement,
    verified: Verified,
) -> anyhow::Result<Written> {
    let now = app.clock.now();
    let Verified { recomputed, flops_left, by } = verified;
    let flops = job.tiles(lease.tile_range()).flops().saturating_sub(flops_left);

    let mut tx = app.db.begin_write().await?;
    if !store::slices::settle_slice(&mut tx, settlement).await? {
        return Ok(Written::NotOurs);
    }
    let Some(JobBalance { remaining, bill }) =
        store::job_progress::take_tiles(&mut tx, lease.job, lease.tiles, recomputed).await?
    else {
        return Ok(Written::JobEnded);
    };
    let (bill, charge) = bill.charge(flops, job.price, app.config.fee_bps, remaining == 0)?;
    store::job_progress::write_bill(&mut tx, lease.job, bill).await?;
    let kflop = flops.div_ceil(1000);
    let (worked_flops_per_sec, flops_per_sec) = app.scheduler.lock().core.speeds_of(lease.device);
    let work =
        AcceptedWork { tiles: lease.tiles, kflop, earned: charge.earned()?, flops_per_sec, worked_flops_per_sec };
    store::devices::count_passed(&mut tx, lease.device, work).await?;
    // Read only now that its row is locked: it may have been caught, or have changed hands.
    let device =
        store::devices::find_device(&mut tx, lease.device).await?.context("a settled device should be on record")?;
    if device.suspended_until > now {
        return Ok(Written::Suspended);
    }
    let program = job.task.program_name();
    let verified_kflop = verified_kflop(kflop, lease.tiles, recomputed, device.account == job.customer);
    let verified_ever = store::devices::add_verified(&mut tx, lease.device, program, verified_kflop).await?;
    let matures_at = matures_at(verified_ever, kflop);
    let rule = programs::rule(job);
    let acceptance = Acceptance { kflop, flops_left, charge, recomputed, checked_by: by, rule, matures_at, now };
    if !store::receipts::accept_receipt(&mut tx, lease.id, acceptance).await? {
        return Ok(Written::DecidedBefore);
    }
    store::verdicts::decide_verdict(&mut tx, lease.id, Cause::Commit, VerdictState::Passed, now).await?;
    let payment = Payment {
        lease: lease.id,
        job: lease.job,
        device: lease.device,
        customer: job.customer,
        provider: device.account,
        fees: app.fees,
        charge,
    };
    let mut transfers = vec![payment.settle(now)?];
    let matured = store::receipts::mature_receipts_of_device(&mut tx, lease.device, program, verified_ever).await?;
    transfers.extend(mature::transfers(app, &matured)?);
    anyhow::ensure!(store::ledger::post(&mut tx, &transfers).await?, "a running job's hold should cover its tiles");
    if lease.tiles + remaining == job.tile_count() {
        store::job_detail::insert_event(&mut tx, lease.job, JobEventKind::Started, None, now).await?;
    }
    let earnings = store::accounts::find_account(&mut tx, device.account, app.config.development).await?;
    tx.commit().await?;
    let earnings = earnings.map(|account| wire::device::Earnings {
        available: account.available,
        pending: account.pending,
        by_device: device.earned,
    });
    Ok(Written::Settled(Settled { remaining, verified_kflop, earnings: earnings.unwrap_or_default() }))
}
