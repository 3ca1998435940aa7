//! Accounts, their keys and their sessions.

pub mod routes;
pub use ::store::accounts as store;
