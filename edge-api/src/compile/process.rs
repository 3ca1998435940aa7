//! One child as the server sees it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use wire::number::to;

use super::message::{Answer, LENGTHS_BYTES, Question, lengths, read_lengths};

/// What one child may take.
#[derive(Clone, Copy, Debug)]
pub struct ProcessLimits {
    pub memory: u64,
    pub seconds: u32,
}

/// Ends with the value.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    limits: ProcessLimits,
    /// A question was sent and its answer not read: whoever asked went away, or the child did.
    is_asking: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It was stopped, or stopped itself. Nothing more can be asked of it.
    #[error("a compiler took more than {} bytes or {} seconds", .0.memory, .0.seconds)]
    Limit(ProcessLimits),
    #[error("a compiler could not be asked")]
    Broken(#[source] anyhow::Error),
}

impl Process {
    /// It is given no variables, among which are the server's keys, and no file but the two pipes.
    pub fn start(program: &Path, limits: ProcessLimits) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(["compile", &limits.memory.to_string(), &limits.seconds.to_string()])
            .env_clear()
            // Each thread's own arena would count as memory long before it is.
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("'{}' should start", program.display()))?;
        let input = child.stdin.take().context("a child should have an input")?;
        let output = child.stdout.take().context("a child should have an output")?;
        Ok(Self { child, input, output, limits, is_asking: false })
    }

    pub fn is_free(&self) -> bool {
        !self.is_asking
    }

    /// It was killed by somebody else: a system that is short of memory takes whom it finds.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks with a tail of so many bytes. The clock starts when the child has all of them.
    pub async fn ask<E: Into<anyhow::Error>>(
        &mut self,
        question: &Question,
        tail_bytes: u64,
        mut tail: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<(Answer, Bytes), AskError> {
        self.is_asking = true;
        let head = postcard::to_stdvec(question).map_err(|error| AskError::Broken(error.into()))?;
        let gone = |_gone: std::io::Error| AskError::Limit(self.limits);
        self.input.write_all(&lengths(head.len(), tail_bytes)).await.map_err(gone)?;
        self.input.write_all(&head).await.map_err(gone)?;
        while let Some(piece) = tail.next().await {
            let piece = piece.map_err(|error| AskError::Broken(error.into()))?;
            self.input.write_all(&piece).await.map_err(gone)?;
        }
        let patience = Duration::from_secs(question.seconds(self.limits.seconds).into());
        let answered = tokio::time::timeout(patience, read(&mut self.output, self.limits.memory)).await;
        let answered = answered.map_err(|_elapsed| AskError::Limit(self.limits))?;
        let (answer, tail) = answered.map_err(|_gone| AskError::Limit(self.limits))?;
        self.is_asking = false;
        Ok((answer, tail))
    }
}

async fn read(output: &mut ChildStdout, most: u64) -> anyhow::Result<(Answer, Bytes)> {
    let mut head = [0; LENGTHS_BYTES];
    output.read_exact(&mut head).await?;
    let (head, tail) = read_lengths(head);
    anyhow::ensure!(head.saturating_add(tail) <= most, "an answer should fit the child's own memory");
    let mut answer = vec![0; to::<usize>(head)];
    output.read_exact(&mut answer).await?;
    let mut bytes = vec![0; to::<usize>(tail)];
    output.read_exact(&mut bytes).await?;
    Ok((postcard::from_bytes(&answer)?, bytes.into()))
}
