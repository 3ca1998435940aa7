//! A child as the server sees it: its questions are answered out of the blob, and what it makes is passed on.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures::SinkExt;
use futures::channel::mpsc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Semaphore, SemaphorePermit};
use wire::BlobHash;
use wire::number::to;

use super::message::{HEAD_BYTES, Head, Outcome, Refused};
use super::order::{Made, Order};
use crate::blobs::Blobs;
use crate::compile::pool::compiler;
use crate::config::CompileConfig;

/// A child's memory, in bytes: a picture's pixels, or a group of rows of a table.
const MEMORY: u64 = 2 << 30;
/// Times the seconds that a model may take: a file may hold a thousand pictures.
const TIMES: u32 = 4;
/// How long a file waits for others to be done.
const WAITS: Duration = Duration::from_secs(20);

/// Where pieces go.
pub type Pieces = mpsc::Sender<Result<Bytes, axum::Error>>;

#[derive(Debug)]
pub struct Converters {
    program: PathBuf,
    memory: u64,
    seconds: u32,
    /// One a core. Each holds in memory what an upload does, so that no more is held altogether than so many uploads hold.
    places: Semaphore,
}

#[derive(Debug, thiserror::Error)]
pub enum ConvertFailure {
    #[error("{}", .0.message)]
    Refused(Refused),
    #[error(
        "this file takes more than {megabytes} MB or {seconds} seconds to convert here; split it over several jobs, or make its pictures smaller"
    )]
    Limit { megabytes: u64, seconds: u32 },
    /// Whoever stores the pieces has stopped, and says why.
    #[error("the pieces are not wanted any more")]
    NotStored,
    #[error("a file could not be converted")]
    Internal(#[from] anyhow::Error),
}

impl Converters {
    pub fn new(config: &CompileConfig) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let seconds = config.compile_seconds.saturating_mul(TIMES);
        let memory = config.compile_bytes_max.min(MEMORY);
        Ok(Self { program: compiler(config)?, memory, seconds, places: Semaphore::new(cores) })
    }

    /// Waits a while for a place. `None` where others take longer.
    pub async fn enter(&self) -> Option<Converter<'_>> {
        let place = tokio::time::timeout(WAITS, self.places.acquire()).await.ok()?.ok()?;
        Some(Converter { pool: self, _place: place })
    }

    /// As a child that compiles: without variables, and without files but two pipes.
    fn start(&self) -> anyhow::Result<Child> {
        Command::new(&self.program)
            .args(["convert", &self.memory.to_string(), &self.seconds.to_string()])
            .env_clear()
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("'{}' should start", self.program.display()))
    }
}

/// A place in which one file is converted.
#[derive(Debug)]
pub struct Converter<'a> {
    pool: &'a Converters,
    _place: SemaphorePermit<'a>,
}

impl Converter<'_> {
    pub async fn convert(
        &self,
        blobs: &Blobs,
        file: BlobHash,
        order: &Order,
        pieces: &mut Pieces,
    ) -> Result<Made, ConvertFailure> {
        let Converters { memory, seconds, .. } = *self.pool;
        let mut child = self.pool.start()?;
        let patience = Duration::from_secs(seconds.into());
        let converted = tokio::time::timeout(patience, converse(&mut child, blobs, file, order, pieces)).await;
        match converted {
            Ok(Err(ConvertFailure::Limit { .. })) | Err(_) => {
                Err(ConvertFailure::Limit { megabytes: memory >> 20, seconds })
            }
            Ok(converted) => converted,
        }
    }
}

/// A child that is gone took more than it may, whatever it was about to say.
fn gone(_error: std::io::Error) -> ConvertFailure {
    ConvertFailure::Limit { megabytes: 0, seconds: 0 }
}

async fn converse(
    child: &mut Child,
    blobs: &Blobs,
    file: BlobHash,
    order: &Order,
    pieces: &mut Pieces,
) -> Result<Made, ConvertFailure> {
    let mut input: ChildStdin = child.stdin.take().context("a child should have an input")?;
    let mut output: ChildStdout = child.stdout.take().context("a child should have an output")?;
    let order = serde_json::to_vec(order).context("an order should serialise")?;
    input.write_all(&to::<u64>(order.len()).to_le_bytes()).await.map_err(gone)?;
    input.write_all(&order).await.map_err(gone)?;
    loop {
        let mut head = [0; HEAD_BYTES];
        output.read_exact(&mut head).await.map_err(gone)?;
        match Head::parse(head).context("a child says what nobody asked")? {
            Head::Read { start, len } => {
                let end = start.checked_add(len).context("a child asks beyond every file")?;
                let bytes = blobs.read_range(file, start..end).await.context("a stored file cannot be read")?;
                input.write_all(&bytes).await.map_err(gone)?;
            }
            Head::Piece { len } => {
                let mut piece = vec![0; to(len)];
                output.read_exact(&mut piece).await.map_err(gone)?;
                pieces.send(Ok(piece.into())).await.map_err(|_closed| ConvertFailure::NotStored)?;
            }
            Head::End { len } => {
                let mut text = vec![0; to(len)];
                output.read_exact(&mut text).await.map_err(gone)?;
                let outcome = serde_json::from_slice(&text).context("a child's last words are not understood")?;
                return match outcome {
                    Outcome::Made(made) => Ok(made),
                    Outcome::Refused(refused) => Err(ConvertFailure::Refused(refused)),
                    Outcome::Failed(reason) => Err(anyhow::anyhow!("a child says: {reason}").into()),
                };
            }
        }
    }
}
