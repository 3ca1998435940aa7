//! Who may do what, on both engines: a row for every route, file and page, with the status for each of seven callers.
//! What is added without a row fails a test.
//!
//! Over HTTP there is no operator: those who run the server do it by its configuration and by commands on its machine,
//! and an account of theirs opens what any other does. The rows show that for an account that `verify-account` has
//! marked.

mod api;
mod blobs;
mod callers;
mod credentials;
mod pages;
mod publication;
