//! What every handler shares: how a request is read, how it is refused, and how often one address may ask.

mod body_error;
pub mod error;
pub mod extract;
pub mod head;
pub mod limits;
