//! One worker as the driver sees it: asked a seed, it answers, or it is ended and that is the finding.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::target::Target;
use crate::worker::Outcome;

/// What a worker may wait, beside what its processor may work, on a machine that has other work.
const WAITS: Duration = Duration::from_secs(60);
/// Kept of what a worker said before it ended, in bytes.
const LAST_WORDS: usize = 2000;

/// Ends with the value.
pub(crate) struct Worker {
    child: Child,
    input: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    errors: Option<JoinHandle<String>>,
    patience: Duration,
    /// Where its files lie.
    _folder: TempDir,
}

/// What comes of one seed.
pub(crate) enum Answer {
    Lives(Outcome),
    /// There is no worker any more.
    Ended(String),
}

impl Worker {
    /// `shows`: it prints what it makes.
    pub(crate) fn start(target: &Target, postgres: Option<&str>, shows: bool) -> anyhow::Result<Self> {
        let folder = scratch()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.env("TMPDIR", folder.path());
        command.args(["worker", target.name]).args(shows.then_some("--show"));
        // Each thread's own arena would count as memory long before it is.
        command.env("MALLOC_ARENA_MAX", "2").env("RUST_BACKTRACE", "0");
        command.envs(postgres.map(|url| ("TEST_DATABASE_URL", url)));
        let errors = if shows { Stdio::inherit() } else { Stdio::piped() };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).kill_on_drop(true);
        let mut child = command.spawn().context("a worker should start")?;
        let input = child.stdin.take().context("a worker should have an input")?;
        let answers = child.stdout.take().context("a worker should have an output")?;
        let errors = child.stderr.take().map(|errors| tokio::spawn(last_words(errors)));
        let patience = Duration::from_secs(u64::from(target.limits.seconds) * 4) + WAITS;
        Ok(Self { child, input, answers: BufReader::new(answers).lines(), errors, patience, _folder: folder })
    }

    pub(crate) async fn ask(&mut self, seed: u64) -> anyhow::Result<Answer> {
        // One that has ended already says why below.
        self.input.write_all(format!("{seed}\n").as_bytes()).await.unwrap_or_default();
        match tokio::time::timeout(self.patience, self.answers.next_line()).await {
            Ok(Ok(Some(line))) => Ok(Answer::Lives(serde_json::from_str(&line)?)),
            Ok(_ended) => Ok(Answer::Ended(self.end().await?)),
            Err(_elapsed) => {
                self.child.start_kill()?;
                self.child.wait().await?;
                Ok(Answer::Ended(format!("it waited more than {} seconds", self.patience.as_secs())))
            }
        }
    }

    async fn end(&mut self) -> anyhow::Result<String> {
        let status = self.child.wait().await?;
        let words = match self.errors.take() {
            Some(errors) => errors.await?,
            None => String::new(),
        };
        let how = match status.signal() {
            // SIGXCPU, which the limit on the processor sends.
            Some(24) => "it took too long".to_owned(),
            _ => format!("the process ended with {status}"),
        };
        let words = words.trim().replace('\n', " ");
        Ok(if words.is_empty() { how } else { format!("{how}: {words}") })
    }
}

/// A folder in memory, where the system has one there: inputs are files for a moment, and files are made durable.
fn scratch() -> anyhow::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("fuzz").tempdir_in(parent).context("there should be room for files")
}

/// What a worker said last.
async fn last_words(mut errors: ChildStderr) -> String {
    let (mut words, mut piece) = (Vec::new(), [0; 1024]);
    while let Ok(len @ 1..) = errors.read(&mut piece).await {
        words.extend_from_slice(&piece[..len]);
        let surplus = words.len().saturating_sub(LAST_WORDS);
        words.drain(..surplus);
    }
    String::from_utf8_lossy(&words).into_owned()
}
