//! Accounts, their keys and their sessions.

pub mod routes;
pub mod store;
