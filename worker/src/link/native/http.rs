//! Blobs by `reqwest`.

use std::time::Duration;

use crate::transfer::{EdgeUrl, Transfer, TransferError};

/// A large model may come slowly, as long as it comes.
const READ_TIMEOUT: Duration = Duration::from_mins(2);
/// Memory reserved at once for what comes, however long it says that it is.
const RESERVED_BYTES_MAX: u64 = 1 << 30;

pub(super) struct Http {
    client: reqwest::Client,
    url: EdgeUrl,
}

impl Http {
    pub(super) fn new(url: EdgeUrl) -> Result<Self, reqwest::Error> {
        Ok(Self { client: reqwest::Client::builder().read_timeout(READ_TIMEOUT).build()?, url })
    }
}

fn network(error: &reqwest::Error) -> TransferError {
    TransferError::Network { reason: error.to_string() }
}

fn checked(response: reqwest::Response) -> Result<reqwest::Response, TransferError> {
    let status = response.status();
    if status.is_success() { Ok(response) } else { Err(TransferError::Status { status: status.as_u16() }) }
}

impl Transfer for Http {
    async fn get(&self, path: &str) -> Result<Vec<u8>, TransferError> {
        let response = self.client.get(self.url.http(path)).send().await.map_err(|error| network(&error))?;
        let mut response = checked(response)?;
        let size = response.content_length().unwrap_or(0).min(RESERVED_BYTES_MAX);
        let mut body = Vec::with_capacity(wire::number::to(size));
        while let Some(chunk) = response.chunk().await.map_err(|error| network(&error))? {
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn put(&self, path: &str, body: Vec<u8>) -> Result<(), TransferError> {
        let request = self.client.put(self.url.http(path)).body(body);
        checked(request.send().await.map_err(|error| network(&error))?).map(drop)
    }
}
