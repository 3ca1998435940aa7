//! Settled receipts of a device that was caught: tiles of them are drawn once more, and each stands or falls by itself.

use std::sync::Arc;

use anyhow::Context;
use store::receipts::StoredReceipt;
use store::verdicts::{Cause, NewVerdict, VerdictState};
use wire::LeaseId;
use wire::explorer::ReceiptState;

use super::check::{Judgement, check_lease};
use super::lease_output::committed_lease;
use super::reject::{Fall, reject};
use crate::app::App;

const REDRAWN_AT_ONCE: i64 = 16;

/// Begins with some of what is open and not under way here.
pub async fn redraw(app: &App) -> anyhow::Result<()> {
    // Those that wait for a checker hold up no others.
    let under_way = app.scheduler.lock().redrawing.clone();
    let open = store::verdicts::list_redraws(&mut *app.db.read().await?, &under_way, REDRAWN_AT_ONCE).await?;
    for (lease, cause) in open {
        if !app.scheduler.lock().redrawing.insert(lease) {
            continue;
        }
        let task = app.clone();
        app.tasks.spawn(async move {
            if let Err(error) = redraw_one(&task, lease, cause).await {
                tracing::error!(error = format!("{error:#}"), %lease, "a receipt could not be drawn from once more");
            }
            task.scheduler.lock().redrawing.remove(&lease);
        });
    }
    Ok(())
}

async fn redraw_one(app: &App, lease: LeaseId, cause: Cause) -> anyhow::Result<()> {
    let (stored, job, verdict) = {
        let mut tx = app.db.begin_write().await?;
        let found = store::receipts::find_receipt(&mut tx, lease).await?;
        let Some((stored, ReceiptState::Accepted)) = found else { return Ok(()) };
        let job = store::jobs::load_job(&mut tx, stored.receipt.job).await?.context("a job should be on record")?;
        // It was drawn when its device was caught.
        let none = NewVerdict { lease, seed: [0; 32], tiles: Vec::new() };
        let mut verdicts = store::verdicts::open_verdicts(&mut tx, cause, &[none], app.clock.now()).await?;
        let verdict = verdicts.remove(&lease).context("a verdict should be on record")?;
        tx.commit().await?;
        (stored, Arc::new(job), verdict)
    };
    let StoredReceipt { receipt, .. } = &stored;
    let committed = committed_lease(&stored, app.clock.now());
    match check_lease(app, &job, &committed, receipt, &verdict.tiles, None).await? {
        Judgement::Unanswered(_) if stored.recomputed == 0 => reject(app, &stored, &job, cause, Fall::Unchecked).await,
        Judgement::Stands(_) | Judgement::Unanswered(_) => {
            let mut tx = app.db.begin_write().await?;
            store::verdicts::decide_verdict(&mut tx, lease, cause, VerdictState::Passed, app.clock.now()).await?;
            tx.commit().await?;
            app.scheduler.job_changed(receipt.job);
            Ok(())
        }
        Judgement::Falls(mismatch) => reject(app, &stored, &job, cause, Fall::Wrong(mismatch)).await,
        Judgement::Damaged => reject(app, &stored, &job, cause, Fall::Damaged).await,
    }
}
