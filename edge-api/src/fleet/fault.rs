//! A kernel that ran out of fuel: said by one device, confirmed by others whose word counts, and then the job's end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rules::Job;
use rules::scheduling::lease::Lease;
use rules::scheduling::recheck_request::{Answer, Answered, Answerer, RecheckRequest, Whom};
use rules::verification::party::{Parties, Party};
use wire::{DeviceId, ErrorCode, JobFault, LeaseId, ToDevice};

use super::fail::fail_job;
use super::judges;
use super::owner::party_of;
use super::recheck::{self, GivenUp, recompute_elsewhere};
use super::reject::suspend_device;
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
        let of_lease = held.tile_range().contains(&tile);
        let of_kernel = job.needs().kernels;
        // From here on no deadline counts.
        if !of_lease || !of_kernel || state.core.on_commit(now, device, held.id).is_err() {
            state.drive(|core, link| core.on_refused(link, now, held.id));
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

/// What others say of a fault.
enum Confirmed {
    Fault(JobFault),
    /// They finished the tile.
    Finished,
    /// They disagree as their backends do.
    OfBackend,
    /// They did not agree in time.
    Unclear,
}

/// An operator's checker ends a job by itself, of devices two that agree do: one alone could end a stranger's job, or ruin
/// a device. Two outputs agree where they are the same, so that nobody finishes a tile by saying so. Where a checker
/// finishes, a device that is connected is asked, too: one that runs out of fuel as well is of the same kind, perhaps, and
/// nobody is blamed for that.
async fn confirm(app: &App, job: &Arc<Job>, lease: &Lease, reporter: Party, tile: u64) -> anyhow::Result<Confirmed> {
    let mut parties = Parties::default().with(reporter).with(Party { account: job.customer, network: None });
    let (mut found, mut finished) = (Vec::new(), Vec::<(DeviceId, Bytes)>::new());
    let (all, of_tile) = (job.tile_flops(), job.tiles(tile..tile + 1));
    loop {
        let Answered { by, answer } = recompute_elsewhere(app, job, tile..tile + 1, parties.clone()).await?;
        let (party, device) = match (by, &answer) {
            (Answerer::Checker, Answer::Fault(fault)) => return Ok(Confirmed::Fault(fault.clone())),
            (Answerer::Checker, Answer::Output(_)) => return ask_witness(app, job, tile, parties).await,
            (Answerer::Peer { party, device }, _) => (party, device),
        };
        parties.add(party);
        match answer {
            Answer::Fault(fault) => {
                found.push((device, fault));
                if let [(one, _), (two, _)] = found[..] {
                    for judge in [one, two] {
                        judges::pay_for_dispute(app, job, lease, (judge, tile), all).await;
                    }
                    return Ok(Confirmed::Fault(found.swap_remove(0).1));
                }
            }
            Answer::Output(hash) => {
                let Some(output) = app.blobs.read_verified(hash).await? else { continue };
                for (other, before) in &finished {
                    if programs::agree(app, job, tile, (before, &output)).await? {
                        let flops = all.saturating_sub(of_tile.flops_left(&output).unwrap_or(all));
                        for judge in [*other, device] {
                            judges::pay_for_dispute(app, job, lease, (judge, tile), flops).await;
                        }
                        return Ok(Confirmed::Finished);
                    }
                }
                finished.push((device, output));
            }
        }
    }
}

/// What a device says that has nothing to do with it, where one is connected: a checker has finished the tile.
async fn ask_witness(app: &App, job: &Arc<Job>, tile: u64, parties: Parties) -> anyhow::Result<Confirmed> {
    if !app.scheduler.lock().core.has_witness(job.id, &job.needs(), &parties, app.clock.now()) {
        return Ok(Confirmed::Finished);
    }
    let (tiles, whom) = (tile..tile + 1, Whom::Witness);
    let request = RecheckRequest { job: Arc::clone(job), tiles, whom, parties, has_fallback: false };
    let asked = tokio::time::timeout(WITNESS_WITHIN, recheck::request(app, request)).await;
    match asked {
        Ok(answered) => match answered? {
            Ok(Answered { answer: Answer::Fault(_), .. }) => Ok(Confirmed::OfBackend),
            Ok(Answered { answer: Answer::Output(_), .. }) | Err(_) => Ok(Confirmed::Finished),
        },
        Err(_elapsed) => Ok(Confirmed::Finished),
    }
}

async fn judge_fault(app: &App, job: &Arc<Job>, lease: &Lease, fault: JobFault) -> anyhow::Result<()> {
    let JobFault::OutOfFuel { tile, .. } = fault else { return Ok(()) };
    let provider = party_of(app, lease.device).await?;
    let confirmed = if provider.account == job.customer {
        Confirmed::Fault(fault)
    } else {
        let confirmed = tokio::time::timeout(CONFIRM_WITHIN, confirm(app, job, lease, provider, tile)).await;
        match confirmed {
            Ok(Err(error)) => match error.downcast() {
                Ok(GivenUp { tiles }) => {
                    undone::look_into(app, lease.job, tiles).await?;
                    Confirmed::Unclear
                }
                Err(error) => return Err(error),
            },
            Ok(Ok(confirmed)) => confirmed,
            Err(_elapsed) => Confirmed::Unclear,
        }
    };
    let (code, message) = match confirmed {
        Confirmed::Fault(fault) => return fail_job(app, lease.job, &fault).await,
        Confirmed::Finished => {
            suspend_device(app, lease.device).await?;
            (ErrorCode::CheckFailed, "others finished the tile")
        }
        Confirmed::OfBackend => {
            let (now, id) = (app.clock.now(), lease.id);
            app.scheduler.lock().drive(|core, link| core.on_fault_of_backend(link, now, id));
            (ErrorCode::UnknownLease, "others finished the tile, and one ran out of fuel too")
        }
        Confirmed::Unclear => (ErrorCode::UnknownLease, "nobody could say in time whether the tile runs out of fuel"),
    };
    refuse(app, lease, code, message);
    Ok(())
}

/// The lease comes to nothing, and its tiles are lent anew.
fn refuse(app: &App, lease: &Lease, code: ErrorCode, message: &str) {
    let (now, id) = (app.clock.now(), lease.id);
    let mut state = app.scheduler.lock();
    state.drive(|core, link| core.on_fault_unclear(link, now, id));
    state.send(lease.device, ToDevice::Refused { lease: id, code, message: message.to_owned() });
}
