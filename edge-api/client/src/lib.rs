#![doc = include_str!("../README.md")]

mod client;
mod error;
mod events;
mod http;
mod result_format;

pub use client::{Client, install_tls};
pub use error::ClientError;
pub use result_format::ResultFormat;
