#![doc = include_str!("../README.md")]

mod client;
mod error;
mod events;
mod http;

pub use client::{Client, install_tls};
pub use error::ClientError;
