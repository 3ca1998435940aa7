//! A result as it comes down: what broke off goes on where it stopped.

use futures::StreamExt;
use reqwest::StatusCode;
use reqwest::header::{ETAG, IF_RANGE, RANGE};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::error::ClientError;
use crate::http::{Attempts, Patience, granted};

/// Writes what `request` asks for, and returns its size in bytes. Where the connection breaks off, the rest is asked for
/// by `Range`; of what comes all again, what is here already is passed over. Where it `may_change` it does not go on.
///
/// `failed` makes an error of one in writing.
pub(crate) async fn download(
    patience: &Patience,
    may_change: bool,
    request: impl Fn() -> reqwest::RequestBuilder,
    out: &mut (impl AsyncWrite + Unpin),
    failed: impl Fn(std::io::Error) -> ClientError,
) -> Result<u64, ClientError> {
    let mut attempts = Attempts::new(patience);
    let mut so_far = SoFar::default();
    loop {
        let before = so_far.written;
        match so_far.go_on(&request, out, &failed).await {
            Ok(()) => {
                out.flush().await.map_err(&failed)?;
                return Ok(so_far.written);
            }
            Err(error) if may_change && so_far.written > 0 => return Err(error),
            Err(error) => {
                if so_far.written > before {
                    // It goes on, however often it breaks off.
                    attempts = Attempts::new(patience);
                }
                attempts.wait(error).await?;
            }
        }
    }
}

#[derive(Default)]
struct SoFar {
    written: u64,
    /// Names the content, where the server sends parts of it.
    tag: Option<String>,
}

impl SoFar {
    async fn go_on(
        &mut self,
        request: &impl Fn() -> reqwest::RequestBuilder,
        out: &mut (impl AsyncWrite + Unpin),
        failed: &impl Fn(std::io::Error) -> ClientError,
    ) -> Result<(), ClientError> {
        let mut request = request();
        if let Some(tag) = self.tag.as_ref().filter(|_| self.written > 0) {
            request = request.header(RANGE, format!("bytes={}-", self.written)).header(IF_RANGE, tag);
        }
        let response = granted(request.send().await?).await?;
        let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
        let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        if self.written > 0 && tag != self.tag {
            return Err(ClientError::Changed);
        }
        self.tag = tag;
        let mut to_pass = if is_part { 0 } else { self.written };
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk?;
            let passed = to_pass.min(wire::number::to(chunk.len()));
            to_pass -= passed;
            let fresh = &chunk[wire::number::to::<usize>(passed)..];
            out.write_all(fresh).await.map_err(failed)?;
            self.written += wire::number::to::<u64>(fresh.len());
        }
        // A server that ends before what it sent the last time has another result.
        if to_pass > 0 { Err(ClientError::Changed) } else { Ok(()) }
    }
}
