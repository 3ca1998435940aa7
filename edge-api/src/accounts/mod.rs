//! Accounts, their keys and their sessions.

pub mod routes;
