//! What every handler shares: how a request is read, how it is refused, and how often one address may ask.

pub mod error;
pub mod extract;
pub mod limits;
