//! The database, by the names that the domains here know it by.

pub use store::codec::{count, flag, id, uncount};
pub use store::db::{Db, DbConnection, Dialect};
