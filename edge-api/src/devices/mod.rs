//! What the edge remembers of devices, and which are here.

pub mod presence;
pub mod routes;
pub mod unlink;
