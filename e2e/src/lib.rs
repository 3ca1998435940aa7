//! The real stack, started and stopped: edge, native workers, browsers, and a device that follows a
//! script. Journeys, the demo and the benchmarks are written with it.

pub mod browser;
pub mod digits;
pub mod postgres;
pub mod scripted;
pub mod stack;
pub mod until;
