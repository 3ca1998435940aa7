//! From a request to a job that can run.

use rules::Job;
use rules::admission::{self, Order};
use rules::scheduling::device::Census;
use rules::scheduling::link::Grant;
use wire::{DeviceId, JobId, LeaseId, Micros, Obstacle, Privacy, Program, Quote, SliceId};

use crate::app::App;
use crate::auth::Caller;
use crate::fleet::token::LeaseToken;
use crate::programs;
use crate::programs::failure::AdmitFailure;
use crate::random;

/// Reads what the caller asks for, at the present price.
pub async fn admit(app: &App, caller: &Caller, program: Program, privacy: Privacy) -> Result<Job, AdmitFailure> {
    let (millis, bytes) = random::id_parts(app.clock.now());
    let order = Order {
        id: JobId::from_parts(millis, bytes),
        customer: caller.account,
        privacy,
        program,
        price: app.config.price(),
        has_checkers: app.config.has_checkers(),
    };
    let job = programs::admit(app, &order).await?;
    admission::check_lease_bytes(&job, wire::number::to(lease_token(app, &job).len()))?;
    Ok(job)
}

/// As long as any token of the job.
fn lease_token(app: &App, job: &Job) -> String {
    let (lease, slice) = (LeaseId([0; 16]), Some(SliceId::from_parts(0, [0; 10])));
    let grant = Grant { lease, slice, tiles: 0..job.tile_count(), deadline: Micros::MAX, nudge: None };
    LeaseToken::new(Some(DeviceId([0; 32])), job, &grant).seal(&app.secret)
}

/// Connected devices and those of them that may run the job; refuses one that none of those connected could
/// run, or check.
pub fn take_census(app: &App, job: &Job) -> Result<Census, AdmitFailure> {
    let needs = job.needs();
    let state = app.scheduler.lock();
    let census = state.core.census(&needs);
    admission::check_devices(job, census)?;
    admission::check_checkers(job, app.config.has_checkers(), state.core.has_fitting_checker(job.device_bytes))?;
    let judges = state.core.count_judges(job.id, &needs, app.clock.now());
    admission::check_judges(job, app.config.has_checkers(), judges)?;
    Ok(census)
}

pub fn quote(app: &App, job: &Job, census: Census, obstacle: Option<Obstacle>) -> Result<Quote, AdmitFailure> {
    let flops = job.flops();
    Ok(Quote {
        rows: job.rows,
        inputs: job.task.inputs(),
        outputs: job.task.outputs(),
        tile_rows: job.tile_rows,
        tiles: job.tile_count(),
        flops,
        price: job.price,
        cost: admission::cost(job)?,
        device_bytes: job.device_bytes,
        peak_bytes: job.peak_bytes,
        checked_by: job.checked_by(app.config.has_checkers()),
        devices: census.fitting,
        seconds: seconds(job, census),
        obstacle,
    })
}

/// Unknown until the first tile where nobody knows what a tile takes, or how fast devices are.
fn seconds(job: &Job, census: Census) -> Option<u64> {
    let is_known = programs::flops_are_known(&job.task) && census.fitting > 0 && census.flops_per_sec > 0;
    is_known.then(|| job.flops().div_ceil(census.flops_per_sec))
}
