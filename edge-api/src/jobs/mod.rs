//! Jobs as customers see them: quote, submit, watch, cancel, publish, download.

mod disputes;
pub mod events;
pub mod notes;
pub mod order;
pub mod result;
pub mod routes;
