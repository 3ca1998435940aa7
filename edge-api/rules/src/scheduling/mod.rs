//! Who works on what. `core` takes events and says through a [`link::Link`] what leaves; time and ids are
//! arguments.

mod assign;
pub mod bitmap;
mod census;
pub mod challenge;
mod cohorts;
pub mod core;
#[cfg(test)]
mod cost_tests;
pub mod counts;
mod demand;
pub mod device;
mod drain;
#[cfg(test)]
mod fairness_tests;
mod filing;
mod invariants;
mod judges;
pub mod lease;
pub mod line;
pub mod link;
pub mod mosaic;
mod obstacle;
mod peers;
pub mod recheck;
mod recheck_queue;
pub mod recheck_request;
#[cfg(test)]
mod recheck_tests;
pub mod speed;
mod state;
mod steps;
mod stragglers;
#[cfg(test)]
pub(crate) mod tests;
mod turns;

use std::ops::Range;

/// Slices of a job: enough for several replicas, few enough that a job is a handful of rows.
const SLICES_AIM: u64 = 8;
const SLICE_TILES_MIN: u64 = 64;
const SLICE_TILES_MAX: u64 = 8192;

/// How a job's tiles are cut into slices.
pub fn slices(tiles: u64) -> impl Iterator<Item = Range<u64>> {
    let size = tiles.div_ceil(SLICES_AIM).clamp(SLICE_TILES_MIN, SLICE_TILES_MAX);
    (0..tiles.div_ceil(size)).map(move |slice| slice * size..((slice + 1) * size).min(tiles))
}
