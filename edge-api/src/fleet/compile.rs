//! A kernel that a device cannot compile, or that breaks it: the device gets no more of the job, and once those agree
//! whose word counts, the job ends.
//!
//! That is a device of the customer's own; where the operator has named checkers, one of those beside a device with standing,
//! or all of them; elsewhere devices with standing of three accounts and networks, or all that are there and of which one is no guest:
//! nobody else could do it. A device that is alone with it has a backend of its own, and is not blamed.

use std::sync::Arc;
use std::time::Duration;

use rules::Job;
use rules::verification::party::Parties;
use wire::{AccountId, AccountKind, DeviceId, JobEventKind, JobFault, JobId, JobState, LeaseId, Micros};

use super::fail::fail_job;
use super::owner::party_of;
use super::recheck::recompute_elsewhere;
use crate::app::App;

/// Accounts, each on a network of its own, whose devices decide where there are no checkers.
const ACCOUNTS_THAT_DECIDE: usize = 3;
/// Characters kept of what a device says.
const MESSAGE_MAX: usize = 500;
/// Time for devices to come that can, before the word of all that are there is taken: after a restart they come one by one.
const OTHERS_COME_WITHIN: Duration = Duration::from_secs(10);
/// Another replica's devices are there while it says so.
const PRESENT: Micros = 60_000_000;
/// Before a question that waits for a checker looks again whether its job has ended.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Events of a job that are looked at.
const EVENTS_MAX: i64 = 10_000;

/// What a device said.
#[derive(Clone)]
struct Report {
    device: DeviceId,
    job: JobId,
    /// Counted over the job.
    tile: u64,
    message: String,
}

/// A device says that the kernel of its lease, or of a tile that it was to recompute, does not compile.
pub fn report_compile_error(app: &App, device: DeviceId, lease: LeaseId, message: &str) {
    let now = app.clock.now();
    let refused = app.scheduler.lock().drive(|core, link| {
        let refused = core.on_cannot_compile(link, now, device, lease);
        if refused.is_none() {
            // Of a model nothing is compiled that is not ours: it is given back like any other.
            core.on_lease_returned(link, now, device, lease);
        }
        refused
    });
    let Some((job, tile)) = refused else { return };
    let message = message.chars().filter(|c| !c.is_control() || *c == '\n').take(MESSAGE_MAX).collect();
    let (task, report) = (app.clone(), Report { device, job: job.id, tile, message });
    app.tasks.spawn(async move {
        if let Err(error) = judge(&task, &job, &report).await {
            tracing::error!(error = format!("{error:#}"), job = %job.id, "a compile error could not be judged");
        }
    });
}

async fn judge(app: &App, job: &Arc<Job>, report: &Report) -> anyhow::Result<()> {
    if write_report(app, report).await? {
        tracing::warn!(job = %report.job, device = %report.device, message = report.message, "a kernel does not compile");
        app.scheduler.job_changed(report.job);
    }
    if is_decided(app, job).await? {
        return fail(app, report).await;
    }
    let is_checker = app.config.checkers.contains(&report.device);
    // One question a job, however many devices say so.
    if app.config.has_checkers() && !is_checker && app.scheduler.lock().compiling.insert(report.job) {
        let asked = ask_checker(app, job, report).await;
        app.scheduler.lock().compiling.remove(&report.job);
        asked?;
    }
    if !app.config.has_checkers() && nobody_else_can(app, job).await? {
        return fail(app, report).await;
    }
    Ok(())
}

/// Whether every device that is there, at work or at rest, has said the same, also after a moment; one of them has more to
/// lose than a key, and no tile was computed by anybody.
async fn nobody_else_can(app: &App, job: &Job) -> anyhow::Result<bool> {
    let needs = job.needs();
    let can = || app.scheduler.lock().core.fits_anybody(job.id, &needs);
    if can() || !has_known_reporter(app, job).await? {
        return Ok(false);
    }
    tokio::select! {
        () = app.stop.cancelled() => return Ok(false),
        () = tokio::time::sleep(OTHERS_COME_WITHIN) => {}
    }
    let mut conn = app.db.read().await?;
    let elsewhere = store::presence::has_devices_elsewhere(&mut conn, &app.replica, app.clock.now() - PRESENT).await?;
    let known = store::jobs::find_job(&mut conn, job.customer, job.id).await?;
    let was_computed = known.is_none_or(|job| job.verified_tiles > 0);
    Ok(!can() && !elsewhere && !was_computed)
}

/// Whether one of those who said so is no guest, or has standing.
async fn has_known_reporter(app: &App, job: &Job) -> anyhow::Result<bool> {
    let mut conn = app.db.read().await?;
    for device in reporters(&mut conn, job.id).await? {
        let word = weigh(app, &mut conn, job, device).await?;
        if word.is_some_and(|word| word.may_judge || !word.is_guest) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How much a device's word counts.
struct Word {
    account: AccountId,
    is_guest: bool,
    may_judge: bool,
}

/// `None` where the device is not on record.
async fn weigh(app: &App, conn: &mut store::DbConnection, job: &Job, device: DeviceId) -> anyhow::Result<Option<Word>> {
    let Some(record) = store::devices::find_device(conn, device).await? else { return Ok(None) };
    let account = store::accounts::find_account(conn, record.account, app.config.development).await?;
    let standings = store::standings::find_standings(conn, device).await?;
    Ok(Some(Word {
        account: record.account,
        is_guest: account.is_none_or(|account| account.kind == AccountKind::Guest),
        may_judge: standings.of(job.task.program_name(), app.clock.now()).may_judge(),
    }))
}

/// Whether a checker can: one that cannot says so itself, and is judged here. A device that says it again has connected
/// again, or the server has started again, and whoever was asked then may not have been.
async fn ask_checker(app: &App, job: &Arc<Job>, report: &Report) -> anyhow::Result<()> {
    tokio::select! {
        outcome = recompute_elsewhere(app, job, report.tile..report.tile + 1, Parties::default()) => drop(outcome?),
        ended = job_ended(app, report.job) => ended?,
    }
    Ok(())
}

/// Once a device; `false` when it has said so before.
async fn write_report(app: &App, report: &Report) -> anyhow::Result<bool> {
    let mut tx = app.db.begin_write().await?;
    if reporters(&mut tx, report.job).await?.contains(&report.device) {
        return Ok(false);
    }
    let (kind, now) = (JobEventKind::CannotCompile, app.clock.now());
    store::job_detail::insert_event(&mut tx, report.job, kind, Some(report.device), now).await?;
    tx.commit().await?;
    Ok(true)
}

async fn reporters(conn: &mut store::DbConnection, job: JobId) -> anyhow::Result<Vec<DeviceId>> {
    let events = store::job_detail::list_events(conn, job, EVENTS_MAX).await?;
    let reports = events.into_iter().filter(|event| event.kind == JobEventKind::CannotCompile);
    Ok(reports.filter_map(|event| event.device).collect())
}

/// Whether enough devices say so whose word counts.
async fn is_decided(app: &App, job: &Job) -> anyhow::Result<bool> {
    let has_checkers = app.config.has_checkers();
    let mut conn = app.db.read().await?;
    let reporters = reporters(&mut conn, job.id).await?;
    let (checkers, devices): (Vec<_>, Vec<_>) =
        reporters.into_iter().partition(|device| app.config.checkers.contains(device));
    let (mut parties, mut count) = (Parties::default(), 0);
    for device in &devices {
        let Some(word) = weigh(app, &mut conn, job, *device).await? else { continue };
        if word.account == job.customer {
            return Ok(true);
        }
        let party = party_of(app, *device).await?;
        if word.may_judge && !word.is_guest && !parties.include(party) {
            parties.add(party);
            count += 1;
        }
    }
    if !has_checkers {
        return Ok(count >= ACCOUNTS_THAT_DECIDE);
    }
    // Where no checker is left that might, nobody could ever check what devices compute.
    let is_hopeless = app.config.checkers.iter().all(|checker| checkers.contains(checker));
    Ok(is_hopeless || (!checkers.is_empty() && count > 0))
}

async fn fail(app: &App, report: &Report) -> anyhow::Result<()> {
    let backend = store::devices::find_backend(&mut *app.db.read().await?, report.device).await?;
    let backend = backend.unwrap_or_else(|| "checker".to_owned());
    fail_job(app, report.job, &JobFault::CannotCompile { backend, message: report.message.clone() }).await
}

/// Nobody asks any more whether the job's kernel compiles. Whether the job ended is for the database to say: a job that no
/// device here can do is with no replica.
async fn job_ended(app: &App, job: JobId) -> anyhow::Result<()> {
    let mut look = tokio::time::interval(LOOK_AGAIN);
    loop {
        look.tick().await;
        let state = store::job_progress::find_job_state(&mut *app.db.read().await?, job).await?;
        if state != Some(JobState::Running) {
            return Ok(());
        }
    }
}
