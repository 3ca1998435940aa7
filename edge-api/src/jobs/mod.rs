//! Jobs as customers see them: quote, submit, watch, cancel, publish, download.

mod disputes;
pub mod events;
pub mod notes;
mod obstacle;
pub mod order;
pub mod preview;
pub mod result;
pub mod routes;
