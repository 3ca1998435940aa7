//! A model over rows. A native device plans the customer's file itself (`whole`); a tab that lends its
//! GPU runs what the server planned (`planned`), and is spared the planner.

mod arrays;
#[cfg(not(feature = "cpu"))]
mod planned;
#[cfg(feature = "cpu")]
mod whole;

#[cfg(not(feature = "cpu"))]
pub(crate) use self::planned::Infer;
#[cfg(feature = "cpu")]
pub(crate) use self::whole::Infer;
