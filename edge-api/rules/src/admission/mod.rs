//! From an order to a job: what a customer asks for, and why it cannot be had.

pub mod error;

use std::collections::BTreeMap;

use wire::{AccountId, CheckedBy, Credits, JobId, Micros, PricePerCu, Privacy, Program};

pub use self::error::AdmitError;
use self::error::{FILE_NAME_CHARS_MAX, FILE_NAMES_BYTES_MAX, NAME_CHARS_MAX};
use crate::job::Job;
use crate::program::limits::EDGE_FLOPS_MAX;
use crate::program::rules_of;
use crate::scheduling::device::Census;

/// Accounts whose devices may judge others, so that each has another to be judged by.
pub(crate) const JUDGES_MIN: usize = 2;

/// Of a lease's token, which is in each address that its device reads from and in what it commits.
const LEASE_BYTES_MAX: u64 = 16 << 10;

/// What a customer asks for, at the present price.
#[derive(Clone, Debug)]
pub struct Order {
    pub id: JobId,
    pub customer: AccountId,
    pub privacy: Privacy,
    pub program: Program,
    pub price: PricePerCu,
    /// The operator has named checkers: tiles may be heavier than this server recomputes by itself.
    pub has_checkers: bool,
}

/// Refuses what is no name for a job.
pub fn check_name(name: &str) -> Result<(), AdmitError> {
    let is_name = name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control);
    if is_name { Ok(()) } else { Err(AdmitError::InvalidName) }
}

/// A year, in seconds.
const DEADLINE_SECONDS_MAX: u32 = 31_536_000;

/// When a job ends by itself that is submitted now.
pub fn deadline(now: Micros, seconds: Option<u32>) -> Result<Option<Micros>, AdmitError> {
    match seconds {
        None => Ok(None),
        Some(seconds @ 1..=DEADLINE_SECONDS_MAX) => Ok(Some(now + Micros::from(seconds) * 1_000_000)),
        Some(_) => Err(AdmitError::DeadlineOutOfRange),
    }
}

/// Refuses what are no names of the order's files. They are read again with each list of jobs and each event, so they are
/// bounded together.
pub fn check_file_names(program: &Program, names: &BTreeMap<String, String>) -> Result<(), AdmitError> {
    let fields = program.file_fields();
    let is_name = |name: &String| {
        (1..=FILE_NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control)
    };
    let bytes: usize = names.iter().map(|(field, name)| field.len() + name.len()).sum();
    let fits = names.iter().all(|(field, name)| fields.contains(field) && is_name(name));
    if fits && bytes <= FILE_NAMES_BYTES_MAX { Ok(()) } else { Err(AdmitError::InvalidFileNames) }
}

/// Refuses a job that costs more than its customer would pay.
pub fn check_limit(cost: Credits, limit: Option<Credits>) -> Result<(), AdmitError> {
    match limit {
        Some(limit) if cost > limit => Err(AdmitError::OverLimit { cost, limit }),
        _ => Ok(()),
    }
}

/// Refuses a job that no connected device could run, while some are connected.
pub fn check_devices(job: &Job, census: Census) -> Result<(), AdmitError> {
    if census.connected > 0 && census.fitting == 0 && census.buffer_bytes_max < job.device_bytes {
        let (code, device_bytes, largest) = (code_field(job), job.device_bytes, census.buffer_bytes_max);
        return Err(AdmitError::NoDeviceFits { code, device_bytes, largest });
    }
    Ok(())
}

/// Refuses a job that neither this server nor a connected checker could check, while some are connected.
/// `has_fitting_checker` is what the scheduler says of the job's buffers.
pub fn check_checkers(job: &Job, has_checkers: bool, has_fitting_checker: Option<bool>) -> Result<(), AdmitError> {
    let tile_flops = job.tile_flops();
    let by_checker = job.checked_by(has_checkers) == CheckedBy::Checker;
    if by_checker && tile_flops > EDGE_FLOPS_MAX && has_fitting_checker == Some(false) {
        let (code, device_bytes) = (code_field(job), job.device_bytes);
        return Err(AdmitError::NoCheckerFits { code, device_bytes, tile_flops });
    }
    Ok(())
}

/// Refuses a job for other people's devices that nobody could check: there are no checkers, and fewer than two accounts
/// whose devices may judge others, `judges`, since one is not its own judge.
pub fn check_judges(job: &Job, has_checkers: bool, judges: usize) -> Result<(), AdmitError> {
    if job.checked_by(has_checkers) == CheckedBy::Quorum && judges < JUDGES_MIN {
        return Err(AdmitError::NobodyChecks { code: code_field(job) });
    }
    Ok(())
}

/// Refuses a job whose leases are too long to be sent back and forth. `bytes` has the token of one.
pub fn check_lease_bytes(job: &Job, bytes: u64) -> Result<(), AdmitError> {
    if bytes <= LEASE_BYTES_MAX {
        return Ok(());
    }
    Err(AdmitError::LeaseTooLong { code: code_field(job), bytes, most: LEASE_BYTES_MAX })
}

fn code_field(job: &Job) -> &'static str {
    rules_of(&job.task).code_field()
}

/// A blob that the order names, if the customer owns it.
pub fn require_owned<T>(blob: Option<T>, field: &str) -> Result<T, AdmitError> {
    blob.ok_or_else(|| AdmitError::UnknownBlob { field: field.to_owned() })
}

/// The most that a job can cost: what is held at submit.
pub fn cost(job: &Job) -> Result<Credits, AdmitError> {
    job.cost().map_err(|_too_large| AdmitError::CostTooLarge)
}
