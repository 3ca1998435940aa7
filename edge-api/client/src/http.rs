//! Requests that are waited for and repeated, and their answers.

use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use wire::ErrorBody;

use crate::error::ClientError;

/// Before the second attempt; doubled each time.
const WAIT_FIRST: Duration = Duration::from_millis(300);
const WAIT_MAX: Duration = Duration::from_secs(10);
/// What a server asks for by `Retry-After` is done for as long at least.
const RETRY_AFTER_WITHIN: Duration = Duration::from_mins(2);
/// Between two words about a request that waits for its answer.
pub(crate) const SAY_EACH: Duration = Duration::from_secs(10);

/// For how long requests are waited for and repeated, and who hears of it.
#[derive(Clone)]
pub struct Patience {
    /// What failed in passing is repeated, since it first failed.
    pub within: Duration,
    /// A request that neither sends nor is sent anything is given up. It is longer than a server takes to read a large
    /// model.
    pub silence: Duration,
    /// Told of each wait.
    pub on_wait: Arc<OnWait>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub enum Wait<'a> {
    /// Another attempt, and how long until then.
    Again { error: &'a ClientError, after: Duration },
    /// The answer to a request of which so much is sent, and how long already. Said every ten seconds.
    Answer { request: &'a str, sent: u64, elapsed: Duration },
    /// The end of a pipe that is to be uploaded, and how long already. Said every ten seconds.
    Pipe { path: &'a Path, elapsed: Duration },
}

/// Hears what is waited for.
pub type OnWait = dyn Fn(Wait<'_>) + Send + Sync;

impl Default for Patience {
    /// Repeats for two seconds, waits two minutes for a word, and says nothing.
    fn default() -> Self {
        Self { within: Duration::from_secs(2), silence: Duration::from_mins(2), on_wait: Arc::new(|_| {}) }
    }
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { within, silence, .. } = self;
        f.debug_struct("Patience").field("within", within).field("silence", silence).finish_non_exhaustive()
    }
}

/// Between attempts at one request.
pub(crate) struct Attempts<'a> {
    patience: &'a Patience,
    failed: u32,
    since: Option<Instant>,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(patience: &'a Patience) -> Self {
        Self { patience, failed: 0, since: None }
    }

    /// Waits where another attempt may do better and patience lasts for it; else gives the error back.
    pub(crate) async fn wait_if_passing(&mut self, error: ClientError) -> Result<(), ClientError> {
        if !error.is_passing() {
            return Err(error);
        }
        let silent_for = if let ClientError::Silent { within, .. } = &error { *within } else { Duration::ZERO };
        let since = *self.since.get_or_insert_with(Instant::now);
        let own = (WAIT_FIRST * (1 << self.failed.min(10))).min(WAIT_MAX);
        let within = self.patience.within;
        // A server that says zero again and again is not asked without a pause.
        let (wait, within) = match error.retry_after() {
            Some(asked) => (asked.max(own / 2), within.max(RETRY_AFTER_WITHIN)),
            None => (own, within),
        };
        if since.elapsed().saturating_add(silent_for).saturating_add(wait) > within {
            return Err(error);
        }
        self.failed += 1;
        (self.patience.on_wait)(Wait::Again { error: &error, after: wait });
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// Sends again what failed in passing, with growing waits or with those that the server asks for, where `is_repeatable` says
/// that it does no harm.
pub(crate) async fn retry<T, F: Future<Output = Result<T, ClientError>>>(
    patience: &Patience,
    is_repeatable: impl Fn(&ClientError) -> bool,
    mut send: impl FnMut() -> F,
) -> Result<T, ClientError> {
    let mut attempts = Attempts::new(patience);
    loop {
        match send().await {
            Ok(answer) => return Ok(answer),
            Err(error) if is_repeatable(&error) => attempts.wait_if_passing(error).await?,
            Err(error) => return Err(error),
        }
    }
}

/// Waits for an answer as long as there are signs of life. `sent` counts what of the request is on its way.
pub(crate) async fn heard<T>(
    patience: &Patience,
    request: &str,
    sent: &AtomicU64,
    answer: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let mut answer = pin!(answer);
    let started = Instant::now();
    let (mut seen, mut moved) = (sent.load(Ordering::Relaxed), started);
    loop {
        let left = patience.silence.saturating_sub(moved.elapsed());
        if let Ok(answer) = timeout(SAY_EACH.min(left), &mut answer).await {
            return answer;
        }
        let sent = sent.load(Ordering::Relaxed);
        if sent > seen {
            (seen, moved) = (sent, Instant::now());
        } else if moved.elapsed() >= patience.silence {
            return Err(ClientError::Silent { request: request.to_owned(), within: patience.silence });
        }
        (patience.on_wait)(Wait::Answer { request, sent, elapsed: started.elapsed() });
    }
}

/// The answer to a request that the server granted.
pub(crate) async fn granted(response: reqwest::Response) -> Result<reqwest::Response, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let retry_after = retry_after(response.headers());
    match serde_json::from_slice::<Box<ErrorBody>>(&response.bytes().await?) {
        Ok(body) => Err(ClientError::Refused { status: status.as_u16(), retry_after, body }),
        Err(_not_ours) => Err(ClientError::Unexpected { status: status.as_u16(), retry_after }),
    }
}

/// Seconds, or a date (RFC 9110, 10.2.3), which is measured by the clock that wrote it where that shows.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let date = |text| httpdate::parse_http_date(text).ok();
    let asked = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "a date in an answer is compared with the present, which no test sets"
    )]
    let now = text(DATE).and_then(date).unwrap_or_else(SystemTime::now);
    Some(date(asked)?.duration_since(now).unwrap_or_default())
}

/// A body that breaks off is the network's fault, and can be asked for again.
pub(crate) async fn read<T: DeserializeOwned>(response: reqwest::Response) -> Result<T, ClientError> {
    let status = response.status().as_u16();
    let body = granted(response).await?.bytes().await?;
    // An answer without content is the unit.
    let body = if body.is_empty() { &b"null"[..] } else { &body };
    serde_json::from_slice(body).map_err(|_not_ours| ClientError::Unexpected { status, retry_after: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_come_again_is_said_in_seconds_or_as_a_date() {
        let asked = |headers: &[(reqwest::header::HeaderName, &str)]| {
            let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        let date = (DATE, "Fri, 27 Nov 2026 20:00:00 GMT");

        assert_eq!(asked(&[(RETRY_AFTER, "7")]), Some(7));
        assert_eq!(asked(&[(RETRY_AFTER, "Fri, 27 Nov 2026 20:01:30 GMT"), date.clone()]), Some(90));
        assert_eq!(asked(&[(RETRY_AFTER, "Fri, 27 Nov 2026 19:00:00 GMT"), date.clone()]), Some(0));
        assert_eq!(asked(&[(RETRY_AFTER, "soon"), date]), None);
        assert_eq!(asked(&[]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_may_take_as_long_as_something_is_sent_and_no_longer() {
        let said = Arc::new(AtomicU64::new(0));
        let log = Arc::clone(&said);
        let on_wait = move |_: Wait<'_>| {
            log.fetch_add(1, Ordering::Relaxed);
        };
        let patience = Patience { silence: Duration::from_mins(1), on_wait: Arc::new(on_wait), ..Patience::default() };
        let sent = AtomicU64::new(0);
        let mut clock = tokio::time::interval(Duration::from_secs(50));
        let upload = async {
            for _ in 0..10 {
                clock.tick().await;
                sent.fetch_add(1, Ordering::Relaxed);
            }
            std::future::pending().await
        };

        let ended: Result<(), _> = heard(&patience, "the upload of 'x'", &sent, upload).await;

        let error = ended.unwrap_err();
        assert_eq!(error.to_string(), "the server said nothing for 60 s, asked for the upload of 'x'");
        assert_eq!(sent.load(Ordering::Relaxed), 10);
        assert!(said.load(Ordering::Relaxed) > 45, "a word each ten seconds");
    }
}
