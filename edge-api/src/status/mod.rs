//! The network's health, for everyone: `probe` looks at each part now and then, on whichever replica is first; `judge` says what
//! follows of what it found; `routes` shows what was written down, and `known` what is known while the database is away.

pub mod judge;
pub mod known;
pub mod probe;
pub mod read;
pub mod routes;
