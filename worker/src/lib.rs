#![doc = include_str!("../README.md")]

mod backend;
mod challenge;
pub mod core;
pub mod device;
pub mod duty;
pub mod engine;
pub mod failure;
pub mod hello;
pub mod identity;
pub mod link;
mod programs;
mod recompute;
pub mod reconnect;
pub mod session;
pub mod transfer;
