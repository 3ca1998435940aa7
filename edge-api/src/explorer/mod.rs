//! What everyone may read. Reads `public_*` views and no table.

pub mod routes;
pub mod sample;
pub mod store;
