//! Pages of an account: its jobs, its devices, its keys. They read the caller's session.

pub(super) mod account;
pub(super) mod job;
pub(super) mod jobs;
pub(super) mod lend;
pub(super) mod new_job;
