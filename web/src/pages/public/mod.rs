//! Pages for whoever comes in from outside.

pub(super) mod calculator;
pub mod docs;
pub(super) mod landing;
pub(super) mod not_found;
pub(super) mod status;
