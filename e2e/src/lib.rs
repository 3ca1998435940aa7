//! The real stack, started and stopped: edge, native workers, browsers, and a device that follows a
//! script. Journeys, the demo and the benchmarks are written with it.

pub mod books;
pub mod browser;
pub mod chaos;
pub mod digits;
pub mod edge;
pub mod fleet;
pub mod page;
pub mod postgres;
pub mod proxy;
pub mod rows;
pub mod scripted;
pub mod stack;
pub mod until;
pub mod watchdog;

use std::path::PathBuf;

/// This crate's folder. Asked of the environment, since a kept target folder outlives the checkout
/// that a path written in by the compiler would name; `make` starts programs from the root.
pub fn folder() -> PathBuf {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("e2e"), PathBuf::from);
    // A browser takes files by whole paths only.
    std::path::absolute(&folder).unwrap_or(folder)
}
