//! Owning slices: claimed when devices wait for work, let go when none are left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rules::Job;
use rules::scheduling::bitmap::Bitmap;
use rules::scheduling::lease::{Lease, Slice};
use store::DbConnection;
use store::codec::count;
use store::receipts::StoredReceipt;
use store::slices::ClaimedSlice;
use wire::{JobId, Micros, SliceId};

use super::lease_output::committed_lease;
use super::settle;
use crate::app::App;

/// How often another replica may be expected to say that it lives.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A replica that said nothing for this long has lost its slices. Safety does not rest on it.
const DEAD_AFTER: Micros = 5_000_000;
/// How often unclaimed slices are looked for while devices wait.
const LOOK: Duration = Duration::from_millis(500);
/// How often slices are looked for whose receipts wait for a check, whether devices wait or not.
const LOOK_FOR_RECEIPTS: Duration = Duration::from_secs(2);
const CLAIMED_AT_ONCE: i64 = 16;
const JOBS_LOOKED_AT: i64 = 64;

/// Claims, expires and lets go until the server stops.
pub async fn run(app: App) {
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    let mut look = tokio::time::interval(LOOK);
    let mut receipts = tokio::time::interval(LOOK_FOR_RECEIPTS);
    loop {
        let step = tokio::select! {
            () = app.stop.cancelled() => break,
            _ = heartbeat.tick() => beat(&app).await,
            _ = look.tick() => look_over(&app).await,
            _ = receipts.tick() => claim(&app).await,
            () = app.scheduler.wake.notified() => tick(&app).await,
        };
        if let Err(error) = step {
            tracing::error!(error = format!("{error:#}"), "slices could not be claimed");
        }
    }
}

async fn beat(app: &App) -> anyhow::Result<()> {
    let mut tx = app.db.begin_write().await?;
    store::replicas::heartbeat(&mut tx, &app.replica, app.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends overdue leases, and claims if a device waits.
async fn tick(app: &App) -> anyhow::Result<()> {
    expire(app);
    claim_if_hungry(app).await
}

/// The same, and lets go of slices that nobody here does.
async fn look_over(app: &App) -> anyhow::Result<()> {
    expire(app);
    let idle = {
        let state = app.scheduler.lock();
        let mut idle = state.core.idle_slices();
        idle.extend(&state.orphans);
        idle
    };
    if !idle.is_empty() {
        let_go(app, &idle).await?;
    }
    claim_if_hungry(app).await
}

fn expire(app: &App) {
    let now = app.clock.now();
    app.scheduler.lock().drive(|core, link| core.on_tick(link, now));
}

async fn claim_if_hungry(app: &App) -> anyhow::Result<()> {
    let is_hungry = app.scheduler.lock().core.is_hungry();
    if is_hungry { claim(app).await } else { Ok(()) }
}

/// Slices that are of use to other replicas only, or that must be read anew.
async fn let_go(app: &App, slices: &BTreeSet<SliceId>) -> anyhow::Result<()> {
    app.scheduler.lock().drive(|core, link| core.on_slices_lost(link, slices));
    let mut tx = app.db.begin_write().await?;
    for &slice in slices {
        store::slices::release_slice(&mut tx, &app.replica, slice).await?;
    }
    tx.commit().await?;
    app.scheduler.lock().orphans.retain(|slice| !slices.contains(slice));
    Ok(())
}

async fn claim(app: &App) -> anyhow::Result<()> {
    let mut tx = app.db.begin_write().await?;
    let now = app.clock.now();
    let owners = store::slices::list_lost_owners(&mut tx, &app.replica, now - DEAD_AFTER).await?;
    let jobs = list_doable(app, &mut tx, &owners, now).await?;
    let claimed = store::slices::claim_slices(&mut tx, &app.replica, &owners, &jobs, CLAIMED_AT_ONCE).await?;
    let slices: Vec<SliceId> = claimed.iter().map(|slice| slice.slice).collect();
    let jobs: Vec<JobId> = claimed.iter().map(|slice| slice.job).collect();
    let jobs = store::jobs::load_jobs(&mut tx, &jobs).await?;
    let waiting = store::receipts::list_pending_receipts(&mut tx, &slices).await?;
    let jobs: BTreeMap<JobId, Arc<Job>> = jobs.into_iter().map(|job| (job.id, Arc::new(job))).collect();
    let job_of = |slice: ClaimedSlice| {
        let job = jobs.get(&slice.job).context("a slice's job should be on record")?;
        anyhow::Ok((slice, Arc::clone(job)))
    };
    // Nothing may fail between the commit and the core: a slice would be claimed and worked on by nobody.
    let claimed = claimed.into_iter().map(job_of).collect::<anyhow::Result<Vec<_>>>()?;
    tx.commit().await?;
    let mut by_slice: BTreeMap<SliceId, Vec<StoredReceipt>> = BTreeMap::new();
    for stored in waiting {
        by_slice.entry(stored.slice).or_default().push(stored);
    }
    for (slice, job) in claimed {
        let waiting = by_slice.remove(&slice.slice).unwrap_or_default();
        take(app, &slice, &job, waiting, now);
    }
    Ok(())
}

/// Jobs with slices of these owners that a device here, which waits for work, can do.
async fn list_doable(app: &App, conn: &mut DbConnection, owners: &[String], now: Micros) -> anyhow::Result<Vec<JobId>> {
    let mut jobs = Vec::new();
    let mut after = None;
    loop {
        let page = store::jobs::list_unclaimed_jobs(conn, owners, after, JOBS_LOOKED_AT).await?;
        let is_last = count(page.len()) < JOBS_LOOKED_AT;
        after = page.last().map(|job| job.id);
        let state = app.scheduler.lock();
        let is_wanted = |job: &&Job| state.core.is_wanted(job.id, &job.needs(), now);
        jobs.extend(page.iter().filter(is_wanted).map(|job| job.id));
        drop(state);
        if is_last || count(jobs.len()) >= CLAIMED_AT_ONCE {
            return Ok(jobs);
        }
    }
}

/// Puts a claimed slice into the core and goes on with the checks that were under way.
fn take(app: &App, claimed: &ClaimedSlice, job: &Arc<Job>, waiting: Vec<StoredReceipt>, now: Micros) {
    let Some(settled) = Bitmap::from_bytes(claimed.tiles, &claimed.settled) else {
        tracing::error!(slice = %claimed.slice, "a slice's bitmap is damaged");
        return;
    };
    let (waiting, stale): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|stored| {
        settled.is_clear(stored.receipt.first_tile - claimed.first_tile, u64::from(stored.receipt.tiles))
    });
    let leases: Vec<Lease> = waiting.iter().map(|stored| committed_lease(stored, now)).collect();
    let slice = Slice {
        job: claimed.job,
        first_tile: claimed.first_tile,
        tiles: claimed.tiles,
        fence: claimed.fence,
        version: claimed.version,
        taken: settled.clone(),
        settled,
    };
    let id = claimed.slice;
    app.scheduler
        .lock()
        .drive(|core, link| core.on_slice_claimed(link, now, id, slice, Arc::clone(job), leases.clone()));
    for (lease, stored) in leases.into_iter().zip(waiting) {
        settle::spawn_check(app, lease, stored, None);
    }
    for stored in stale {
        settle::spawn_drop(app, stored, settle::SETTLED_BY_ANOTHER);
    }
}
