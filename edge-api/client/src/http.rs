//! Answers of the server, and requests that are repeated.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use wire::ErrorBody;

use crate::error::ClientError;

/// Before the second attempt; doubled each time.
const WAIT_FIRST: Duration = Duration::from_millis(300);
const WAIT_MAX: Duration = Duration::from_secs(10);
/// The longest that a server's `Retry-After` is followed.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(2);
/// How often.
const RETRY_AFTER_TIMES: u32 = 10;

/// For how long requests are repeated that failed in passing, and who hears of it.
#[derive(Clone)]
pub struct Patience {
    /// Since a request first failed.
    pub within: Duration,
    /// Told before each wait.
    pub on_wait: Arc<OnWait>,
}

/// Hears why another attempt is waited for, and how long.
pub type OnWait = dyn Fn(&ClientError, Duration) + Send + Sync;

impl Default for Patience {
    /// Two seconds, in silence.
    fn default() -> Self {
        Self { within: Duration::from_secs(2), on_wait: Arc::new(|_, _| {}) }
    }
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patience").field("within", &self.within).finish_non_exhaustive()
    }
}

/// Between attempts at one request.
pub(crate) struct Attempts<'a> {
    patience: &'a Patience,
    failed: u32,
    told_to_wait: u32,
    since: Option<Instant>,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(patience: &'a Patience) -> Self {
        Self { patience, failed: 0, told_to_wait: 0, since: None }
    }

    /// Waits where another attempt may do better; else gives the error back.
    pub(crate) async fn wait(&mut self, error: ClientError) -> Result<(), ClientError> {
        if !error.is_passing() {
            return Err(error);
        }
        let wait = match error.retry_after().filter(|wait| *wait <= RETRY_AFTER_MAX) {
            Some(wait) if self.told_to_wait < RETRY_AFTER_TIMES => {
                self.told_to_wait += 1;
                wait
            }
            _ => {
                let since = *self.since.get_or_insert_with(Instant::now);
                let wait = (WAIT_FIRST * (1 << self.failed.min(10))).min(WAIT_MAX);
                if since.elapsed() + wait > self.patience.within {
                    return Err(error);
                }
                self.failed += 1;
                wait
            }
        };
        (self.patience.on_wait)(&error, wait);
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// Repeats what failed in passing, with growing waits, or with those that the server asks for.
pub(crate) async fn retry<T, F: Future<Output = Result<T, ClientError>>>(
    patience: &Patience,
    mut send: impl FnMut() -> F,
) -> Result<T, ClientError> {
    let mut attempts = Attempts::new(patience);
    loop {
        match send().await {
            Ok(answer) => return Ok(answer),
            Err(error) => attempts.wait(error).await?,
        }
    }
}

/// The answer to a request that the server granted.
pub(crate) async fn granted(response: reqwest::Response) -> Result<reqwest::Response, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let retry_after = seconds.map(Duration::from_secs);
    match serde_json::from_slice::<ErrorBody>(&response.bytes().await?) {
        Ok(body) => Err(ClientError::Refused { status: status.as_u16(), retry_after, body }),
        Err(_not_ours) => Err(ClientError::Unexpected { status: status.as_u16(), retry_after }),
    }
}

/// A body that breaks off is the network's fault, and can be asked for again.
pub(crate) async fn read<T: DeserializeOwned>(response: reqwest::Response) -> Result<T, ClientError> {
    let status = response.status().as_u16();
    let body = granted(response).await?.bytes().await?;
    serde_json::from_slice(&body).map_err(|_not_ours| ClientError::Unexpected { status, retry_after: None })
}
