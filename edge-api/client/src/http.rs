//! Answers of the server, and requests that are repeated.

use std::time::Duration;

use serde::de::DeserializeOwned;
use wire::ErrorBody;

use crate::error::ClientError;

/// Attempts at a request that may be repeated.
const ATTEMPTS: u32 = 4;
/// Before the second attempt; doubled each time.
const WAIT_FIRST: Duration = Duration::from_millis(300);

/// Repeats what failed in passing, with growing waits.
pub(crate) async fn retry<T, F: Future<Output = Result<T, ClientError>>>(
    mut send: impl FnMut() -> F,
) -> Result<T, ClientError> {
    let mut attempt = 0;
    loop {
        match send().await {
            Err(error) if error.is_passing() && attempt + 1 < ATTEMPTS => {
                tokio::time::sleep(WAIT_FIRST * (1 << attempt)).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}

/// The answer to a request that the server granted.
pub(crate) async fn granted(response: reqwest::Response) -> Result<reqwest::Response, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    match response.json::<ErrorBody>().await {
        Ok(body) => Err(ClientError::Refused { status: status.as_u16(), body }),
        Err(_not_ours) => Err(ClientError::Unexpected { status: status.as_u16() }),
    }
}

pub(crate) async fn read<T: DeserializeOwned>(response: reqwest::Response) -> Result<T, ClientError> {
    let status = response.status().as_u16();
    granted(response)
        .await?
        .json()
        .await
        .map_err(|error| if error.is_decode() { ClientError::Unexpected { status } } else { error.into() })
}
