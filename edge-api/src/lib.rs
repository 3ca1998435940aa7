//! The edge: accounts, blobs, jobs, scheduling, verification, ledger.
//!
//! In reading order: a request comes in through [`routes`], is decided by `rules` and by its domain's
//! module, and written by the `store` crate; devices come in through `fleet::connection`.

pub mod accounts;
pub mod app;
pub mod arrays;
pub mod auth;
pub mod blobs;
pub mod clock;
pub mod compile;
pub mod config;
pub mod convert;
pub mod devices;
pub mod doctor;
pub mod explorer;
pub mod fleet;
pub mod http;
pub mod jobs;
pub mod memory;
pub mod metrics;
pub mod openapi;
pub mod programs;
pub mod random;
pub mod retry;
pub mod routes;
pub mod server;
pub mod status;
pub mod sweep;
pub mod tasks;
pub mod traces;
