//! What the database remembers of money: accounts, holds and every movement.

pub mod store;
