//! A file as it comes down: what broke off goes on where it stopped.

use std::io;

use futures::StreamExt;
use reqwest::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWrite, AsyncWriteExt};

use crate::error::ClientError;
use crate::http::{Attempts, Patience, granted};

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downloaded {
    pub bytes: u64,
    /// All there is, where the server says.
    pub of: Option<u64>,
}

/// Where a download is written.
pub(crate) trait Target {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Forgets what was written; `false` where that cannot be.
    async fn start_anew(&mut self) -> io::Result<bool>;

    /// Nothing follows.
    async fn finish(&mut self) -> io::Result<()>;
}

/// Into a file of the download's own.
impl Target for File {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).await
    }

    async fn start_anew(&mut self) -> io::Result<bool> {
        self.flush().await?;
        self.rewind().await?;
        self.set_len(0).await?;
        Ok(true)
    }

    async fn finish(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.sync_all().await
    }
}

/// To whoever reads along.
pub(crate) struct Reader<'a, W>(pub &'a mut W);

impl<W: AsyncWrite + Unpin> Target for Reader<'_, W> {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    async fn start_anew(&mut self) -> io::Result<bool> {
        Ok(false)
    }

    async fn finish(&mut self) -> io::Result<()> {
        self.0.flush().await
    }
}

/// Into another target, whose bytes are hashed on their way.
pub(crate) struct Hashing<'a, T> {
    pub out: &'a mut T,
    pub hasher: blake3::Hasher,
}

impl<T: Target> Target for Hashing<'_, T> {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.out.write(bytes).await
    }

    async fn start_anew(&mut self) -> io::Result<bool> {
        self.hasher.reset();
        self.out.start_anew().await
    }

    async fn finish(&mut self) -> io::Result<()> {
        self.out.finish().await
    }
}

/// What another attempt gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// The same while its tag is the same.
    Tagged,
    /// The same, whoever sends it: each calls it by a tag of its own.
    Fixed,
    /// Maybe something else: it is no continuation.
    Changing,
}

/// What comes down, and who hears how far it is.
pub(crate) struct Download<'a, R, F, B> {
    pub patience: &'a Patience,
    pub content: Content,
    pub request: R,
    /// Makes an error of one in writing.
    pub failed: F,
    pub on_bytes: B,
}

impl<R, F, B> Download<'_, R, F, B>
where
    R: Fn() -> reqwest::RequestBuilder,
    F: Fn(io::Error) -> ClientError,
    B: FnMut(Downloaded),
{
    /// Writes what `request` asks for, and returns its size in bytes. Where the connection breaks off, the rest is asked for
    /// by `Range`; of what comes all again, what is here already is passed over. What may change begins anew, where that
    /// can be.
    pub(crate) async fn write_to(mut self, out: &mut impl Target) -> Result<u64, ClientError> {
        let mut attempts = Attempts::new(self.patience);
        let mut so_far = SoFar::default();
        loop {
            let before = so_far.written;
            let Err(error) = self.go_on(&mut so_far, out).await else {
                out.finish().await.map_err(&self.failed)?;
                return Ok(so_far.written);
            };
            let is_restart = self.content == Content::Changing && so_far.written > 0;
            if is_restart && error.is_passing() && !out.start_anew().await.map_err(&self.failed)? {
                return Err(error);
            }
            if so_far.written > before && !is_restart {
                // It goes on, however often it breaks off.
                attempts = Attempts::new(self.patience);
            }
            attempts.wait_if_passing(error).await?;
            if is_restart {
                so_far = SoFar::default();
            }
        }
    }

    async fn go_on(&mut self, so_far: &mut SoFar, out: &mut impl Target) -> Result<(), ClientError> {
        let mut request = (self.request)();
        if so_far.written > 0 {
            let rest = format!("bytes={}-", so_far.written);
            request = match (self.content, &so_far.tag) {
                (Content::Fixed, _) => request.header(RANGE, rest),
                (Content::Tagged | Content::Changing, Some(tag)) => request.header(RANGE, rest).header(IF_RANGE, tag),
                (Content::Tagged | Content::Changing, None) => request,
            };
        }
        let (http, request) = request.build_split();
        let request = request?;
        let server = request.url().origin();
        let response = http.execute(request).await?;
        let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let is_same = self.content == Content::Fixed || tag == so_far.tag;
        if so_far.written > 0 && is_same && ends_at(&response, so_far.written) {
            return Ok(());
        }
        if response.url().origin() != server && !response.status().is_success() {
            return Err(ClientError::Elsewhere { status: response.status().as_u16() });
        }
        let response = granted(response).await?;
        let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
        if so_far.written > 0 && !is_same {
            return Err(ClientError::Changed);
        }
        so_far.tag = tag;
        let of = response.content_length().map(|length| if is_part { so_far.written + length } else { length });
        let mut to_pass = if is_part { 0 } else { so_far.written };
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk?;
            let passed = to_pass.min(wire::number::to(chunk.len()));
            to_pass -= passed;
            let fresh = &chunk[wire::number::to::<usize>(passed)..];
            out.write(fresh).await.map_err(&self.failed)?;
            so_far.written += wire::number::to::<u64>(fresh.len());
            (self.on_bytes)(Downloaded { bytes: so_far.written, of });
        }
        // A server that ends before what it sent the last time has another result.
        if to_pass > 0 { Err(ClientError::Changed) } else { Ok(()) }
    }
}

/// All of it is here already: nothing broke off but its end.
fn ends_at(response: &Response, bytes: u64) -> bool {
    let place = response.headers().get(CONTENT_RANGE).and_then(|place| place.to_str().ok());
    response.status() == StatusCode::RANGE_NOT_SATISFIABLE && place == Some(&format!("bytes */{bytes}"))
}

#[derive(Default)]
struct SoFar {
    written: u64,
    /// Names the content, where the server sends parts of it.
    tag: Option<String>,
}
