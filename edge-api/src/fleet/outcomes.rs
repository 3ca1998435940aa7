//! What became of commits whose check was decided elsewhere, or while the device was away: it always hears.

use store::receipts::StoredReceipt;
use wire::device::Earnings;
use wire::explorer::ReceiptState;
use wire::{DeviceId, ErrorCode, JobId, JobState, LeaseId, ToDevice};

use super::settle;
use crate::app::App;

/// Looks for receipts of this replica's slices that it does not know, and answers devices that wait for others.
pub async fn look(app: &App) -> anyhow::Result<()> {
    find_receipts(app).await?;
    answer_devices(app).await
}

/// Receipts that another replica took, after a lease of one that is gone: their slices are this one's.
async fn find_receipts(app: &App) -> anyhow::Result<()> {
    let slices = app.scheduler.lock().core.slice_ids();
    if slices.is_empty() {
        return Ok(());
    }
    let pending = store::receipts::list_pending_receipts(&mut *app.db.read().await?, &slices).await?;
    for stored in pending {
        let lease = stored.receipt.lease;
        if app.scheduler.lock().core.lease(lease).is_some() {
            continue;
        }
        // What is decided is written first and forgotten here then: a receipt that waits still, though nobody here knows it,
        // was not among what was decided since the list was read.
        let found = store::receipts::find_receipt(&mut *app.db.read().await?, lease).await?;
        if found.is_some_and(|(_, state)| state == ReceiptState::Pending) {
            settle::take_found(app, stored, None);
        }
    }
    Ok(())
}

async fn answer_devices(app: &App) -> anyhow::Result<()> {
    let waiting: Vec<(LeaseId, DeviceId)> = {
        let state = app.scheduler.lock();
        let is_checked_elsewhere = |lease: &LeaseId| state.core.lease(*lease).is_none();
        let waiting = state.unanswered.iter().filter(|(lease, _)| is_checked_elsewhere(lease));
        waiting.map(|(lease, device)| (*lease, *device)).collect()
    };
    for (lease, device) in waiting {
        let Some((stored, state)) = store::receipts::find_receipt(&mut *app.db.read().await?, lease).await? else {
            continue;
        };
        match frame_of(app, &stored, state).await? {
            Some(frame) => app.scheduler.lock().answer(device, lease, frame),
            None if has_ended(app, stored.receipt.job).await? => settle::spawn_drop(app, stored, settle::JOB_ENDED),
            None => {}
        }
    }
    Ok(())
}

/// Nobody owns the slices of a job that has ended.
async fn has_ended(app: &App, job: JobId) -> anyhow::Result<bool> {
    let state = store::job_progress::find_job_state(&mut *app.db.read().await?, job).await?;
    Ok(state.is_none_or(JobState::has_ended))
}

/// `None` while it is not decided.
async fn frame_of(app: &App, stored: &StoredReceipt, state: ReceiptState) -> anyhow::Result<Option<ToDevice>> {
    let (lease, tiles) = (stored.receipt.lease, stored.receipt.tiles);
    let refused = |code, message: &str| Some(ToDevice::Refused { lease, code, message: message.to_owned() });
    Ok(match state {
        ReceiptState::Pending => None,
        ReceiptState::Accepted | ReceiptState::Matured => {
            let development = app.config.development;
            let conn = &mut *app.db.read().await?;
            let account = store::accounts::find_account(conn, stored.provider, development).await?;
            let device = store::devices::find_device(conn, stored.device).await?;
            let by_device = device.map(|device| device.earned).unwrap_or_default();
            let earnings =
                account.map(|account| Earnings { available: account.available, pending: account.pending, by_device });
            Some(ToDevice::Settled { lease, tiles, earnings: earnings.unwrap_or_default() })
        }
        ReceiptState::Void => refused(
            ErrorCode::UnknownLease,
            "nothing is paid for this lease: its tiles were settled by another, or its job has ended",
        ),
        ReceiptState::Rejected => refused(ErrorCode::CheckFailed, "a recomputed tile differs from the output"),
    })
}
