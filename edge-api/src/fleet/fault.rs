//! A kernel that ran out of fuel: said by one device, confirmed by others whose word counts, and then the job's end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rules::Job;
use rules::scheduling::lease::{Lease, LeaseState};
use rules::scheduling::recheck_request::{Answer, Answered, Answerer, RecheckRequest, Whom};
use rules::verification::fault::{FaultCase, Next, Outcome, Said};
use rules::verification::party::{Parties, Party};
use wire::{BlobHash, DeviceId, ErrorCode, JobFault, LeaseId, Micros, ToDevice};

use super::fail::fail_job;
use super::judges;
use super::owner::party_of;
use super::recheck::{self, GivenUp, recompute_elsewhere};
use super::reject::suspend_device;
use super::scheduler::State;
use super::undone;
use crate::app::App;
use crate::programs;

/// Time for others to say whether a tile runs out of fuel; then it is lent anew, and nobody is blamed.
const CONFIRM_WITHIN: Duration = Duration::from_mins(10);
/// Of them, for a device that is asked after a checker.
const WITNESS_WITHIN: Duration = Duration::from_mins(3);

/// A device says that a record of its lease ran out of fuel. Where others confirm it, the job ends;
/// where they finish it, the device is at fault.
pub fn report_fault(app: &App, device: DeviceId, lease: LeaseId, fault: JobFault) {
    let JobFault::OutOfFuel { tile, .. } = fault else { return };
    let now = app.clock.now();
    let (lease, job) = {
        let mut state = app.scheduler.lock();
        let held = state.core.lease(lease).filter(|lease| lease.device == device).copied();
        let job = held.and_then(|lease| state.core.job(lease.job));
        let (Some(held), Some(job)) = (held, job) else { return };
        if held.state == LeaseState::Committed {
            return;
        }
        if !held.tile_range().contains(&tile) || !job.needs().kernels {
            refuse_in(&mut state, now, &held, ErrorCode::UnknownLease, "no tile of the lease could run out of fuel");
            return;
        }
        // From here on no deadline counts.
        if state.core.on_commit(now, device, held.id).is_err() {
            return;
        }
        (held, job)
    };
    let task = app.clone();
    app.tasks.spawn(async move {
        if let Err(error) = judge_fault(&task, &job, &lease, fault).await {
            tracing::error!(error = format!("{error:#}"), lease = %lease.id, "a fault could not be judged");
            refuse(&task, &lease, ErrorCode::UnknownLease, "the fault could not be judged");
        }
    });
}

/// What a fault comes to, and as whoever confirmed it met it.
type Judged = (Outcome, Option<JobFault>);

/// Asks whom the rules name until it is decided.
async fn judge(app: &App, job: &Arc<Job>, lease: &Lease, reporter: Party, tile: u64) -> anyhow::Result<Judged> {
    let mut case = FaultCase::new(reporter, job.customer);
    let (mut found, mut finished) = (None, Vec::<(DeviceId, Bytes)>::new());
    let outcome = loop {
        match case.next() {
            Next::Decided(outcome) => break outcome,
            Next::AskWitness => {
                let said = ask_witness(app, job, tile, case.parties().clone()).await?;
                case.on_witness(said);
            }
            Next::AskWhoeverChecks => {
                let parties = case.parties().clone();
                let Answered { by, answer } = recompute_elsewhere(app, job, tile..tile + 1, parties).await?;
                let said = match answer {
                    Answer::Fault(fault) => {
                        found = Some(fault);
                        Said::RanDry
                    }
                    Answer::Output(hash) => {
                        Said::Finished { like: like(app, job, tile, (by, hash), &mut finished).await? }
                    }
                };
                match by {
                    Answerer::Checker => case.on_checker(said != Said::RanDry),
                    Answerer::Peer { party, device } => case.on_device(party, device, said),
                }
            }
        }
    };
    let flops = match finished.last() {
        Some((_, output)) if outcome == Outcome::Finished => {
            job.tile_flops().saturating_sub(job.tiles(tile..tile + 1).flops_left(output).unwrap_or(job.tile_flops()))
        }
        Some(_) | None => job.tile_flops(),
    };
    for judge in case.judges() {
        judges::pay_for_dispute(app, job, lease, (*judge, tile), flops).await;
    }
    Ok((outcome, found))
}

/// The device before this one whose output is the same. Of a damaged output nothing is like it.
async fn like(
    app: &App,
    job: &Arc<Job>,
    tile: u64,
    (by, hash): (Answerer, BlobHash),
    finished: &mut Vec<(DeviceId, Bytes)>,
) -> anyhow::Result<Option<DeviceId>> {
    let Answerer::Peer { device, .. } = by else { return Ok(None) };
    let Some(output) = app.blobs.read_verified(hash).await? else { return Ok(None) };
    let mut like = None;
    for (other, before) in finished.iter() {
        if programs::agree(app, job, tile, (before, &output)).await? {
            like = Some(*other);
            break;
        }
    }
    finished.push((device, output));
    Ok(like)
}

/// What a device says that has nothing to do with it, where one is connected and answers.
async fn ask_witness(app: &App, job: &Arc<Job>, tile: u64, parties: Parties) -> anyhow::Result<Option<Said>> {
    if !app.scheduler.lock().core.has_witness(job.id, &job.needs(), &parties, app.clock.now()) {
        return Ok(None);
    }
    let (tiles, whom) = (tile..tile + 1, Whom::Witness);
    let request = RecheckRequest { job: Arc::clone(job), tiles, whom, parties, has_fallback: false, nudge: None };
    let Ok(answered) = tokio::time::timeout(WITNESS_WITHIN, recheck::request(app, request)).await else {
        return Ok(None);
    };
    Ok(answered?.ok().map(|Answered { answer, .. }| match answer {
        Answer::Fault(_) => Said::RanDry,
        Answer::Output(_) => Said::Finished { like: None },
    }))
}

async fn judge_fault(app: &App, job: &Arc<Job>, lease: &Lease, fault: JobFault) -> anyhow::Result<()> {
    let JobFault::OutOfFuel { tile, .. } = fault else { return Ok(()) };
    let provider = party_of(app, lease.device).await?;
    let (outcome, confirmed) = if provider.account == job.customer {
        (Some(Outcome::Confirmed), None)
    } else {
        match tokio::time::timeout(CONFIRM_WITHIN, judge(app, job, lease, provider, tile)).await {
            Ok(Ok((outcome, found))) => (Some(outcome), found),
            Ok(Err(error)) => {
                let GivenUp { tiles } = error.downcast()?;
                undone::look_into(app, lease.job, tiles).await?;
                (None, None)
            }
            Err(_elapsed) => (None, None),
        }
    };
    app.metrics.faults.count(match outcome {
        Some(Outcome::Confirmed) => "confirmed",
        Some(Outcome::Finished) => "finished",
        Some(Outcome::OfBackend) => "of_backend",
        None => "undecided",
    });
    let (code, message) = match outcome {
        Some(Outcome::Confirmed) => return fail_job(app, lease.job, &confirmed.unwrap_or(fault)).await,
        Some(Outcome::Finished) => {
            suspend_device(app, lease.device).await?;
            (ErrorCode::CheckFailed, "others finished the tile")
        }
        Some(Outcome::OfBackend) => {
            let (now, id) = (app.clock.now(), lease.id);
            let message = "others finished the tile, and one ran out of fuel too";
            let mut state = app.scheduler.lock();
            state.drive(|core, link| core.on_fault_of_backend(link, now, id));
            send_refusal(&state, lease, ErrorCode::UnknownLease, message);
            return Ok(());
        }
        None => (ErrorCode::UnknownLease, "nobody could say in time whether the tile runs out of fuel"),
    };
    refuse(app, lease, code, message);
    Ok(())
}

/// The lease comes to nothing, and its tiles are lent anew.
fn refuse(app: &App, lease: &Lease, code: ErrorCode, message: &str) {
    refuse_in(&mut app.scheduler.lock(), app.clock.now(), lease, code, message);
}

fn refuse_in(state: &mut State, now: Micros, lease: &Lease, code: ErrorCode, message: &str) {
    let id = lease.id;
    state.drive(|core, link| core.on_fault_unclear(link, now, id));
    send_refusal(state, lease, code, message);
}

fn send_refusal(state: &State, lease: &Lease, code: ErrorCode, message: &str) {
    state.send(lease.device, ToDevice::Refused { lease: lease.id, code, message: message.to_owned() });
}
