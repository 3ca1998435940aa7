//! What of a receipt is checked, and whose word counts.

pub mod dispute;
pub mod draw;
pub mod fault;
pub mod party;
pub mod standing;

/// Why an output is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("the output has another size than the lease's rows")]
    Size,
    #[error("the output is not what the receipt was signed for")]
    Root,
    #[error("a recomputed tile differs from the output")]
    Values,
    #[error("the output says that more fuel was left than there was")]
    Fuel,
}
