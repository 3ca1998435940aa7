#![doc = include_str!("../README.md")]

pub mod admission;
pub mod billing;
pub mod job;
pub mod program;
pub mod scheduling;
pub mod verification;

pub use job::{Job, Needs, Source, TileRange};
