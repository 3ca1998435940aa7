//! A kernel that ran out of fuel: said by one device, confirmed by others whose word counts, and then the job's end.

use std::sync::Arc;

use rules::Job;
use rules::scheduling::lease::Lease;
use rules::scheduling::recheck_request::{Answer, Answered, Answerer};
use rules::verification::party::{Parties, Party};
use wire::{DeviceId, ErrorCode, JobFault, LeaseId, ToDevice};

use super::close::fail_job;
use super::judges;
use super::owner::party_of;
use super::recheck::recompute_elsewhere;
use super::reject::suspend_device;
use crate::app::App;

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
            task.scheduler.forget_slice(lease.slice);
        }
    });
}

/// The fault as others found it; `None` where they finished the tile. An operator's checker decides by itself, of
/// devices two that agree: one alone could end a stranger's job, or ruin a device.
async fn confirm(app: &App, job: &Arc<Job>, reporter: Party, tile: u64) -> anyhow::Result<Option<JobFault>> {
    let mut parties = Parties::default().with(reporter).with(Party { account: job.customer, network: None });
    let (mut found, mut finished) = (Vec::new(), 0);
    let mut asked = Vec::new();
    loop {
        let Answered { by, answer } = recompute_elsewhere(app, job, tile..tile + 1, parties.clone()).await?;
        let has_finished = matches!(answer, Answer::Output(_));
        match answer {
            Answer::Fault(fault) => found.push(fault),
            Answer::Output(_) => finished += 1,
        }
        match by {
            Answerer::Checker => return Ok(found.pop()),
            Answerer::Peer { party, device } => {
                asked.push((device, has_finished));
                parties.add(party);
            }
        }
        if found.len() >= 2 || finished >= 2 {
            for (device, _) in asked.iter().filter(|(_, has_finished)| *has_finished == (finished >= 2)) {
                judges::pay_for_dispute(app, job, *device).await;
            }
            return Ok(found.pop().filter(|_| finished < 2));
        }
    }
}

async fn judge_fault(app: &App, job: &Arc<Job>, lease: &Lease, fault: JobFault) -> anyhow::Result<()> {
    let JobFault::OutOfFuel { tile, .. } = fault else { return Ok(()) };
    let provider = party_of(app, lease.device).await?;
    let confirmed =
        if provider.account == job.customer { Some(fault) } else { confirm(app, job, provider, tile).await? };
    let Some(confirmed) = confirmed else {
        suspend_device(app, lease.device).await?;
        let now = app.clock.now();
        let mut state = app.scheduler.lock();
        state.drive(|core, link| core.on_refused(link, now, lease.id));
        let message = "others finished the tile".to_owned();
        let frame = ToDevice::Refused { lease: lease.id, code: ErrorCode::CheckFailed, message };
        state.send(lease.device, frame);
        return Ok(());
    };
    fail_job(app, lease.job, &confirmed).await
}
