#![doc = include_str!("../README.md")]

pub mod accounts;
pub mod audit;
pub mod blobs;
pub mod codec;
pub mod condition;
pub mod db;
pub mod devices;
pub mod explorer;
pub mod guests;
pub mod incidents;
pub mod job_detail;
pub mod job_progress;
pub mod jobs;
pub mod ledger;
mod list;
pub mod measures;
pub mod movements;
pub mod notices;
pub mod overview;
pub mod presence;
pub mod receipts;
pub mod replicas;
pub mod search;
pub mod shares;
pub mod slices;
pub mod standings;
mod text_rows;
pub mod verdicts;

pub use db::{Db, DbConnection, Dialect, Error, Result};
