//! Owning slices: claimed as devices want work, a slice of each job in turn, and let go when none are left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rules::Job;
use rules::scheduling::bitmap::Bitmap;
use rules::scheduling::lease::{Lease, Slice};
use store::DbConnection;
use store::codec::count;
use store::notices::Notice;
use store::receipts::StoredReceipt;
use store::slices::ClaimedSlice;
use wire::{JobId, Micros, SliceId};

use super::lease_output::committed_lease;
use super::settle;
use crate::app::App;

/// How often another replica may be expected to say that it lives.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A replica that said nothing for this long, by the database's clock, has lost its slices. Safety does not rest on it.
const DEAD_AFTER: Micros = 5_000_000;
/// How often unclaimed slices are looked for while devices wait.
const LOOK: Duration = Duration::from_millis(500);
/// How often jobs are looked for of which nothing is here, and slices whose receipts wait for a check.
const LOOK_FOR_ALL: Duration = Duration::from_secs(2);
/// In one transaction; each of another job, where other replicas live.
const CLAIMED_AT_ONCE: i64 = 16;
/// Transactions in a row, while devices wait.
const ROUNDS_MAX: usize = 16;
const JOBS_LOOKED_AT: i64 = 64;
/// A fleet of more than these is one of these.
const REPLICAS_COUNTED: i64 = 256;

/// Claims, expires and lets go until the server stops.
pub async fn run(app: App) {
    let mut look = tokio::time::interval(LOOK);
    let mut look_for_all = tokio::time::interval(LOOK_FOR_ALL);
    loop {
        let step = tokio::select! {
            () = app.stop.cancelled() => break,
            _ = look.tick() => look_over(&app).await,
            _ = look_for_all.tick() => claim_all(&app).await,
            () = app.scheduler.work.notified() => claim_all(&app).await,
            () = app.scheduler.wake.notified() => tick(&app).await,
        };
        if let Err(error) = step {
            tracing::error!(error = format!("{error:#}"), "slices could not be claimed");
        }
    }
}

/// Says that this replica lives, whatever else it waits for.
pub async fn beat(app: App) {
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    loop {
        tokio::select! {
            () = app.stop.cancelled() => break,
            _ = heartbeat.tick() => {}
        }
        if let Err(error) = write_heartbeat(&app).await {
            tracing::error!(error = format!("{error:#}"), "a heartbeat could not be written");
        }
    }
}

async fn write_heartbeat(app: &App) -> anyhow::Result<()> {
    let mut tx = app.db.begin_control().await?;
    store::replicas::heartbeat(&mut tx, &app.replica).await?;
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
    let_go(app, &idle).await?;
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
pub(super) async fn let_go(app: &App, slices: &BTreeSet<SliceId>) -> anyhow::Result<()> {
    if slices.is_empty() {
        return Ok(());
    }
    {
        let mut state = app.scheduler.lock();
        state.drive(|core, link| core.on_slices_lost(link, slices));
        // Where that cannot be written, nobody would work on them: it is tried again.
        state.orphans.extend(slices);
    }
    let mut tx = app.db.begin_write().await?;
    for &slice in slices {
        store::slices::release_slice(&mut tx, &app.replica, slice).await?;
    }
    store::notices::notify(&mut tx, &app.replica, Notice::Work).await?;
    tx.commit().await?;
    app.scheduler.lock().orphans.retain(|slice| !slices.contains(slice));
    Ok(())
}

/// How many replicas live, this one among them. Where it is alone nothing need be left to others.
async fn count_replicas(conn: &mut DbConnection) -> anyhow::Result<u64> {
    let heartbeats = store::replicas::list_heartbeats(conn, REPLICAS_COUNTED).await?;
    let latest = heartbeats.first().map_or(0, |(_, at)| *at);
    let living = heartbeats.iter().filter(|(_, at)| latest - at <= DEAD_AFTER).count();
    Ok(wire::number::to(living.max(1)))
}

/// Claims a slice of each job that is wanted here, or several where nobody else would, and again while devices wait for more.
async fn claim(app: &App) -> anyhow::Result<()> {
    for _ in 0..ROUNDS_MAX {
        let claimed = claim_once(app, async |tx, owners| {
            let jobs = list_wanted(app, tx, owners).await?;
            let most = if count_replicas(tx).await? == 1 { CLAIMED_AT_ONCE } else { count(jobs.len()) };
            Ok(store::slices::claim_slices(tx, &app.replica, owners, &jobs, most).await?)
        });
        if claimed.await? == 0 || !app.scheduler.lock().core.is_hungry() {
            break;
        }
    }
    Ok(())
}

/// The same, and slices whose receipts wait for a check, whoever can do their jobs.
async fn claim_all(app: &App) -> anyhow::Result<()> {
    claim_once(app, async |tx, owners| {
        Ok(store::slices::claim_unchecked_slices(tx, &app.replica, owners, CLAIMED_AT_ONCE).await?)
    })
    .await?;
    claim(app).await
}

/// Claims what `choose` claims of lost owners' slices, and takes it into the core; how many slices those are.
async fn claim_once(
    app: &App,
    choose: impl AsyncFnOnce(&mut DbConnection, &[String]) -> anyhow::Result<Vec<ClaimedSlice>>,
) -> anyhow::Result<usize> {
    if app.draining.is_cancelled() {
        return Ok(0);
    }
    let mut tx = app.db.begin_control().await?;
    let owners = store::slices::list_lost_owners(&mut tx, &app.replica, DEAD_AFTER).await?;
    if owners.is_empty() {
        app.scheduler.lock().core.on_unclaimed(BTreeMap::new());
        return Ok(0);
    }
    let claimed = choose(&mut tx, &owners).await?;
    let slices: Vec<SliceId> = claimed.iter().map(|slice| slice.slice).collect();
    let jobs: Vec<JobId> = claimed.iter().map(|slice| slice.job).collect();
    let unclaimed = share_of_unclaimed(app, &mut tx, &owners, &jobs).await?;
    let jobs = store::jobs::load_jobs(&mut tx, &jobs).await?;
    let waiting = store::receipts::list_pending_receipts(&mut tx, &slices).await?;
    let jobs: BTreeMap<JobId, Arc<Job>> = jobs.into_iter().map(|job| (job.id, Arc::new(job))).collect();
    let job_of = |slice: ClaimedSlice| {
        let job = jobs.get(&slice.job).context("a slice's job should be on record")?;
        anyhow::Ok((slice, Arc::clone(job)))
    };
    // Nothing may fail between the commit and the core: a slice would be claimed and worked on by nobody.
    let claimed = claimed.into_iter().map(job_of).collect::<anyhow::Result<Vec<_>>>()?;
    if let Err(error) = tx.commit().await {
        // The answer may be lost, and the slices this replica's all the same: it lets them go.
        app.scheduler.lock().orphans.extend(slices);
        return Err(error.into());
    }
    app.scheduler.lock().core.on_unclaimed(unclaimed);
    let now = app.clock.now();
    let mut by_slice: BTreeMap<SliceId, Vec<StoredReceipt>> = BTreeMap::new();
    for stored in waiting {
        by_slice.entry(stored.slice).or_default().push(stored);
    }
    for (slice, job) in &claimed {
        let waiting = by_slice.remove(&slice.slice).unwrap_or_default();
        take(app, slice, job, waiting, now);
    }
    Ok(claimed.len())
}

/// Tiles of jobs here, and of those that come here, that nobody has claimed: as many as each of the replicas that live may
/// expect of them.
async fn share_of_unclaimed(
    app: &App,
    conn: &mut DbConnection,
    owners: &[String],
    coming: &[JobId],
) -> anyhow::Result<BTreeMap<JobId, u64>> {
    let mut jobs = app.scheduler.lock().core.jobs_here();
    jobs.extend(coming);
    let replicas = count_replicas(conn).await?;
    let unclaimed = store::slices::count_unclaimed_tiles(conn, owners, &jobs).await?;
    Ok(unclaimed.into_iter().map(|(job, tiles)| (job, tiles / replicas)).collect())
}

/// Jobs with slices of these owners of which this replica wants one.
async fn list_wanted(app: &App, conn: &mut DbConnection, owners: &[String]) -> anyhow::Result<Vec<JobId>> {
    let (mut jobs, now) = (Vec::new(), app.clock.now());
    let mut after = None;
    loop {
        let page = store::jobs::list_unclaimed_jobs(conn, owners, after, JOBS_LOOKED_AT).await?;
        let is_last = count(page.len()) < JOBS_LOOKED_AT;
        after = page.last().map(|job| job.id);
        let state = app.scheduler.lock();
        let is_wanted = |job: &&Job| state.core.wants_slice(job.id, &job.needs(), now);
        jobs.extend(page.iter().filter(is_wanted).map(|job| job.id));
        drop(state);
        if is_last || count(jobs.len()) >= CLAIMED_AT_ONCE {
            jobs.truncate(wire::number::to(CLAIMED_AT_ONCE));
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
        settle::spawn_check(app, lease, stored, None, None);
    }
    for stored in stale {
        settle::spawn_drop(app, stored, settle::SETTLED_BY_ANOTHER);
    }
}
