//! Waiting for a condition instead of for time.

use std::time::Duration;

const LOOK: Duration = Duration::from_millis(50);

/// Looks until `look` finds something; fails with `what` after `within`.
pub async fn until<T>(what: &str, within: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut tick = tokio::time::interval(LOOK);
    let found = tokio::time::timeout(within, async {
        loop {
            tick.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    });
    found.await.unwrap_or_else(|_elapsed| panic!("waited {within:?} in vain: {what}"))
}
