//! The devices on this replica's sockets: admitted, lent leases, checked and paid.
//!
//! `rules::scheduling` decides. `connection` speaks with a device, `claim` owns slices, `settle` goes from a
//! commit to money, `reject` takes a device's work back, `close` ends a job.

pub mod admit;
pub mod check;
pub mod claim;
pub mod close;
pub mod compile;
pub mod connection;
pub mod fault;
pub mod lease_output;
pub mod leases;
pub mod mature;
pub mod owner;
pub mod recheck;
pub mod reject;
pub mod scheduler;
pub mod settle;
pub mod task_files;
pub mod token;
