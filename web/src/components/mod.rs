mod account;
mod facts;
mod mosaic;

pub use account::AccountCard;
pub use facts::{Fact, JobBadge, Moment};
pub use mosaic::Mosaic;
