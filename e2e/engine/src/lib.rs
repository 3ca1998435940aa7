#![doc = include_str!("../README.md")]

pub mod case;
#[cfg(target_arch = "wasm32")]
pub mod page;
