#![doc = include_str!("../README.md")]

mod client;
mod download;
mod error;
mod events;
mod http;
mod new_file;
mod proxy;
mod result_format;
mod source;

pub use client::{Client, ResultPart, install_tls};
pub use download::Downloaded;
pub use error::ClientError;
pub use http::{OnWait, Patience, Wait};
pub use new_file::{NewFile, WrittenFile};
pub use result_format::ResultFormat;
