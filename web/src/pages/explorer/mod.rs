//! Pages of the public record: the same for everyone, whole without JavaScript.

pub(super) mod device;
pub(super) mod devices;
pub(super) mod job;
pub(super) mod jobs;
pub(super) mod overview;
pub(super) mod receipt;
pub(super) mod receipts;
pub(super) mod search;
