//! Waiting for a condition instead of for time.

use std::time::Duration;

const LOOK: Duration = Duration::from_millis(50);

/// Looks until `look` finds something; fails with `what` after `within`.
pub async fn until<T>(what: &str, within: Duration, look: impl AsyncFnMut() -> Option<T>) -> T {
    found(within, look).await.unwrap_or_else(|| panic!("waited {within:?} in vain: {what}"))
}

/// What `look` finds within that time.
pub async fn found<T>(within: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let mut tick = tokio::time::interval(LOOK);
    let found = tokio::time::timeout(within, async {
        loop {
            tick.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    });
    found.await.ok()
}
