#![doc = include_str!("../README.md")]

mod client;
mod download;
mod error;
mod events;
mod http;
mod result_format;

pub use client::{Client, ResultPart, install_tls, new_file};
pub use error::ClientError;
pub use http::{OnWait, Patience};
pub use result_format::ResultFormat;
