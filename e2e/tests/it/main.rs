//! Journeys on the real stack.

mod crash;
mod lend;
mod liar;
mod many;
mod submit;
