//! Transactions that the database broke off for the sake of another are tried again.
//!
//! All of them lock rows in one order, so that two of them rarely wait for each other: slices, jobs, blobs, devices,
//! receipts, holds, accounts; of each kind, by id.

use std::time::Duration;

/// Attempts at one transaction.
const ATTEMPTS: u32 = 6;
/// Before the second attempt; doubled for each one more.
const PAUSE: Duration = Duration::from_millis(10);

/// Runs a transaction, from its beginning each time, until it is not broken off.
pub async fn retry<T, E, F>(mut attempt: impl FnMut() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    E: Conflict,
{
    for doubled in 0..ATTEMPTS - 1 {
        match attempt().await {
            Err(error) if error.is_conflict() => tokio::time::sleep(PAUSE * 2_u32.pow(doubled)).await,
            done => return done,
        }
    }
    attempt().await
}

/// An error that may come of another transaction.
pub trait Conflict {
    fn is_conflict(&self) -> bool;
}

impl Conflict for anyhow::Error {
    fn is_conflict(&self) -> bool {
        self.chain().filter_map(|cause| cause.downcast_ref()).any(store::db::is_conflict)
    }
}

impl Conflict for crate::http::error::ApiError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Internal(error) if error.is_conflict())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Failure {
        Conflict,
        Other,
    }

    impl Conflict for Failure {
        fn is_conflict(&self) -> bool {
            *self == Self::Conflict
        }
    }

    /// What comes of a transaction that fails so for its first `times` attempts, and how often it is attempted.
    async fn attempted(failure: Failure, times: u32) -> (Result<(), Failure>, u32) {
        let attempts = Cell::new(0);
        let done = retry(async || {
            attempts.set(attempts.get() + 1);
            if attempts.get() <= times { Err(failure) } else { Ok(()) }
        });
        (done.await, attempts.get())
    }

    #[tokio::test]
    async fn a_transaction_that_another_one_broke_off_is_tried_again_and_nothing_else_is() {
        assert_eq!(attempted(Failure::Conflict, 1).await, (Ok(()), 2), "one deadlock costs nothing");
        assert_eq!(attempted(Failure::Conflict, 5).await, (Ok(()), 6));
        assert_eq!(attempted(Failure::Conflict, 9).await, (Err(Failure::Conflict), 6));
        assert_eq!(attempted(Failure::Other, 1).await, (Err(Failure::Other), 1));
    }
}
