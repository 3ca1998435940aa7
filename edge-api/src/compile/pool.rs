//! The children at hand: one for kernels, and one for each model in use.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures::stream;
use gate::{AdmittedKernel, Contract, GateError};
use onnx::{Feed, Port, Signature};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use wire::{BlobHash, InferTask};

use super::message::{Answer, FeedMessage, Measured, ModelRefusal, Question};
use super::process::{AskError, Process, ProcessLimits};
use crate::blobs::Blobs;
use crate::config::CompileConfig;

/// A kernel's text has 64 KiB.
const KERNEL_BYTES: u64 = 1 << 30;
/// A model may take so much, and so many times its file.
const MODEL_BYTES: u64 = 1 << 30;
const MODEL_TIMES: u64 = 6;
/// Children that wait for another question about their model, the bytes of their files, and for how long.
const IDLE: usize = 8;
const IDLE_FILE_BYTES: u64 = 2 << 30;
const IDLE_FOR: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Kernels,
    Model(BlobHash),
}

/// What a model is opened for. Each has places of its own, so that orders do not keep checks waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Order,
    Plan,
    Check,
}

#[derive(Debug)]
struct Idle {
    key: Key,
    process: Process,
    ports: Vec<Port>,
    file_bytes: u64,
    since: Instant,
}

#[derive(Debug)]
pub struct Compilers {
    program: PathBuf,
    config: CompileConfig,
    /// The one used last is last.
    idle: Mutex<Vec<Idle>>,
    places: usize,
    kernels: Semaphore,
    orders: Semaphore,
    plans: Semaphore,
    checks: Semaphore,
}

#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("more than {megabytes} MB or {seconds} seconds were taken")]
    Limit { megabytes: u64, seconds: u32 },
    #[error(transparent)]
    Refused(#[from] ModelRefusal),
    #[error("a compiler failed")]
    Internal(#[source] anyhow::Error),
}

impl From<AskError> for CompileError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Limit(limits) => Self::Limit { megabytes: limits.memory >> 20, seconds: limits.seconds },
            AskError::Broken(error) => Self::Internal(error),
        }
    }
}

fn unexpected(answer: Answer) -> CompileError {
    match answer {
        Answer::Refused(refusal) => refusal.into(),
        Answer::Failed(reason) => CompileError::Internal(anyhow::anyhow!("a compiler says: {reason}")),
        other => CompileError::Internal(anyhow::anyhow!("a compiler answers something else: {other:?}")),
    }
}

fn no_tail() -> stream::Empty<std::io::Result<Bytes>> {
    stream::empty()
}

fn tail(bytes: Bytes) -> stream::Iter<std::option::IntoIter<std::io::Result<Bytes>>> {
    stream::iter(Some(Ok(bytes)))
}

impl Compilers {
    pub fn new(config: CompileConfig) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let program = compiler(&config)?;
        let places = || Semaphore::new(cores);
        let (kernels, orders, plans, checks) = (places(), places(), places(), places());
        Ok(Self { program, config, idle: Mutex::default(), places: cores, kernels, orders, plans, checks })
    }

    /// Processes of each kind that work now.
    pub fn places_used(&self) -> [(&'static str, usize); 4] {
        let kinds =
            [("kernel", &self.kernels), ("order", &self.orders), ("plan", &self.plans), ("check", &self.checks)];
        kinds.map(|(kind, places)| (kind, self.places.saturating_sub(places.available_permits())))
    }

    /// Processes of one kind that may work at once.
    pub fn places(&self) -> usize {
        self.places
    }

    /// A kernel through the gate.
    pub async fn gate(
        &self,
        source: String,
        contract: Contract,
    ) -> Result<Result<AdmittedKernel, GateError>, CompileError> {
        let _place = self.kernels.acquire().await.map_err(|closed| CompileError::Internal(closed.into()))?;
        let mut process = match self.take(Key::Kernels) {
            Some(idle) => idle.process,
            None => self.start(KERNEL_BYTES)?,
        };
        let (answer, _) = process.ask(&Question::gate(source, contract), 0, no_tail()).await?;
        self.put_back(Idle { key: Key::Kernels, process, ports: Vec::new(), file_bytes: 0, since: Instant::now() });
        match answer {
            Answer::Admitted(admitted) => Ok(Ok(admitted.into())),
            Answer::Excluded { line, column, message } => Ok(Err(GateError { line, column, message })),
            other => Err(unexpected(other)),
        }
    }

    /// A stored model, read by a child that is the caller's until the value is dropped.
    pub async fn open(&self, blobs: &Blobs, hash: BlobHash, purpose: Purpose) -> Result<Model<'_>, CompileError> {
        let places = match purpose {
            Purpose::Order => &self.orders,
            Purpose::Plan => &self.plans,
            Purpose::Check => &self.checks,
        };
        let place = places.acquire().await.map_err(|closed| CompileError::Internal(closed.into()))?;
        let idle = match self.take(Key::Model(hash)) {
            Some(idle) => idle,
            None => self.load(blobs, hash).await?,
        };
        Ok(Model { pool: self, idle: Some(idle), _place: place })
    }

    async fn load(&self, blobs: &Blobs, hash: BlobHash) -> Result<Idle, CompileError> {
        let internal = CompileError::Internal;
        let size = blobs.size(hash).await.map_err(|error| internal(error.into()))?;
        let file_bytes = size.context("a model should be stored").map_err(internal)?;
        let file = blobs.stream_range(hash, 0..file_bytes).await.map_err(|error| internal(error.into()))?;
        let memory = MODEL_BYTES.saturating_add(file_bytes.saturating_mul(MODEL_TIMES));
        let mut process = self.start(memory.min(self.config.compile_bytes_max))?;
        let (answer, _) = process.ask(&Question::Load, file_bytes, file).await?;
        let Answer::Loaded(ports) = answer else { return Err(unexpected(answer)) };
        let ports = ports.into_iter().map(Port::from).collect();
        Ok(Idle { key: Key::Model(hash), process, ports, file_bytes, since: Instant::now() })
    }

    fn start(&self, memory: u64) -> Result<Process, CompileError> {
        let limits = ProcessLimits { memory, seconds: self.config.compile_seconds };
        Process::start(&self.program, limits).map_err(CompileError::Internal)
    }

    fn take(&self, key: Key) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // What it would not answer any more is no model's or kernel's fault.
        idle.retain_mut(|child| child.key != key || !child.process.has_ended());
        let place = idle.iter().position(|child| child.key == key)?;
        Some(idle.remove(place))
    }

    /// Keeps a child for the next question, and lets those go that were used longest ago.
    fn put_back(&self, child: Idle) {
        if !child.process.is_free() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(Idle { since: Instant::now(), ..child });
        let file_bytes = |idle: &[Idle]| idle.iter().map(|child| child.file_bytes).fold(0, u64::saturating_add);
        while idle.len() > IDLE || (idle.len() > 1 && file_bytes(&idle) > IDLE_FILE_BYTES) {
            idle.remove(0);
        }
    }

    /// Lets children go that nobody has asked for a while.
    pub fn shrink(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|child| child.since.elapsed() < IDLE_FOR);
    }
}

/// The program that reads what strangers wrote.
pub fn compiler(config: &CompileConfig) -> anyhow::Result<PathBuf> {
    config.compiler.clone().map_or_else(own_program, Ok)
}

/// This program, even where its file has been replaced since it started.
fn own_program() -> anyhow::Result<PathBuf> {
    let link = Path::new("/proc/self/exe");
    if link.exists() {
        Ok(link.to_owned())
    } else {
        std::env::current_exe().context("a program should know where it is")
    }
}

/// A model at hand. Dropped in the middle of a question, its child ends.
#[derive(Debug)]
pub struct Model<'a> {
    pool: &'a Compilers,
    /// `None` only while it is dropped.
    idle: Option<Idle>,
    _place: SemaphorePermit<'a>,
}

impl Drop for Model<'_> {
    fn drop(&mut self) {
        if let Some(idle) = self.idle.take() {
            self.pool.put_back(idle);
        }
    }
}

impl Model<'_> {
    pub fn ports(&self) -> &[Port] {
        self.idle.as_ref().map_or(&[], |idle| &idle.ports)
    }

    async fn ask(&mut self, question: &Question, tail_bytes: Bytes) -> Result<(Answer, Bytes), CompileError> {
        let idle = self.idle.as_mut().context("a model in use should have a child").map_err(CompileError::Internal)?;
        Ok(idle.process.ask(question, wire::number::to(tail_bytes.len()), tail(tail_bytes)).await?)
    }

    pub async fn signature(&mut self, feeds: &[Feed]) -> Result<Signature, CompileError> {
        let question = Question::Signature { feeds: feeds.iter().map(FeedMessage::from).collect() };
        match self.ask(&question, Bytes::new()).await?.0 {
            Answer::Signature(signature) => Ok(signature.into()),
            other => Err(unexpected(other)),
        }
    }

    /// What a plan for so many rows takes.
    pub async fn measure(&mut self, rows: u64, feeds: &[Feed]) -> Result<Measured, CompileError> {
        let question = Question::Measure { rows, feeds: feeds.iter().map(FeedMessage::from).collect() };
        match self.ask(&question, Bytes::new()).await?.0 {
            Answer::Measured(measured) => Ok(measured),
            other => Err(unexpected(other)),
        }
    }

    /// A plan for a tab in postcard's format, and its constants one after another.
    pub async fn pack(&mut self, task: &InferTask, rows: u64, shared: Bytes) -> Result<(Bytes, Bytes), CompileError> {
        match self.ask(&Question::Pack { task: json(task)?, rows }, shared).await? {
            (Answer::Packed(plan), weights) => Ok((plan.into(), weights)),
            (other, _) => Err(unexpected(other)),
        }
    }

    /// A tile's outputs, as a device would upload them.
    pub async fn recompute(
        &mut self,
        task: &InferTask,
        rows: u64,
        input: Bytes,
        nudge: Option<u64>,
    ) -> Result<Bytes, CompileError> {
        match self.ask(&Question::Recompute { task: json(task)?, rows, nudge }, input).await? {
            (Answer::Recomputed, output) => Ok(output),
            (other, _) => Err(unexpected(other)),
        }
    }
}

fn json(task: &InferTask) -> Result<String, CompileError> {
    serde_json::to_string(task).map_err(|error| CompileError::Internal(error.into()))
}
