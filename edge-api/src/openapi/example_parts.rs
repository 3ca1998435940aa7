//! What examples are made of: a moment, and ids that look like hashes.

use wire::{DeviceId, JobId, Micros};

/// Noon of 22 November 2026, UTC.
pub(super) const NOON: Micros = 1_795_348_800_000_000;
pub(super) const SECOND: Micros = 1_000_000;

/// Bytes that look like a hash.
pub(super) fn bytes<const N: usize>(seed: u8) -> [u8; N] {
    let mut next = seed;
    [0; N].map(|_: u8| {
        next = next.wrapping_mul(109).wrapping_add(89);
        next
    })
}

pub(super) fn job_id() -> JobId {
    JobId::from_parts(NOON.unsigned_abs() / 1000, bytes(1))
}

pub(super) fn device_id() -> DeviceId {
    DeviceId(bytes(2))
}
