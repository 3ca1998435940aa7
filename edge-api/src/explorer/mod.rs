//! What everyone may read. It is read from `public_*` views and no table.

pub mod routes;
pub mod sample;
