#![doc = include_str!("../README.md")]

pub mod accounts;
pub mod blobs;
pub mod codec;
pub mod db;
pub mod devices;
pub mod presence;
pub mod receipts;

pub use db::{Db, DbConnection, Dialect};
