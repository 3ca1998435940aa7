//! What the edge remembers of devices.

pub mod store;
