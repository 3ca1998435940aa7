//! Jobs as customers see them: quote, submit, watch, cancel, publish, download.

pub mod events;
pub mod inputs;
pub mod kernel;
pub mod mosaic;
pub mod npy;
pub mod npz;
pub mod result;
pub mod routes;
pub mod rows;
pub mod spec;
pub mod store;
