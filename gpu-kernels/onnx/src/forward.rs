//! A model on a device: one plan for each batch size, prepared once, and rows cut into such batches.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use gpu_kernels::device::{Cpu, Device, Gpu, GpuError};
use gpu_kernels::gpu_program::run::{GpuProgramError, Prepared, Weights};
use web_time::Instant;

use crate::cpu::Arena;
use crate::error::ModelError;
use crate::graph::{Feed, Graph};
use crate::ir::Plan;

/// Batch sizes kept ready. A job has two: its tiles and its last tile.
const PREPARED_MAX: usize = 4;
/// Plans kept for the CPU; their batch sizes are powers of two.
const PLANS_MAX: usize = 24;
/// Device memory that one run may take, weights included.
const RUN_BYTES_MAX: u64 = 1 << 30;

#[derive(Debug, thiserror::Error, PartialEq)]
pub enum RunError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Gpu(#[from] GpuError),
    #[error("the input holds {found} values where {expected} were expected")]
    Input { expected: usize, found: usize },
    #[error("the run was stopped between two submissions")]
    Stopped,
}

impl From<GpuProgramError> for RunError {
    fn from(error: GpuProgramError) -> Self {
        match error {
            GpuProgramError::Gpu(error) => Self::Gpu(error),
            GpuProgramError::Stopped => Self::Stopped,
        }
    }
}

/// What computes a batch.
enum On<'a> {
    Gpu(&'a mut Gpu),
    Cpu(&'a mut Cpu),
    /// The processor, with a seed by which floats are moved.
    Nudged(u64),
}

/// A model prepared for one device.
pub struct Session {
    graph: Graph,
    feeds: Vec<Feed>,
    /// Rows must not be split over runs.
    mixed: bool,
    /// Rows that the model takes at a time.
    micro_batch: usize,
    /// Rows that a plan should hold.
    rows_at_once: usize,
    /// How many outputs there are.
    outputs: usize,
    prepared: HashMap<usize, Prepared>,
    weights: Weights,
    /// What the CPU runs, by batch size.
    plans: HashMap<usize, Plan>,
    arena: Arena,
}

impl Session {
    pub fn new(graph: Graph, feeds: Vec<Feed>) -> Result<Self, ModelError> {
        let signature = graph.signature(&feeds)?;
        let (mixed, outputs) = (signature.mixed_by.is_some(), signature.outputs.len());
        Ok(Self {
            graph,
            feeds,
            mixed,
            micro_batch: signature.micro_batch,
            rows_at_once: signature.rows_at_once,
            outputs,
            prepared: HashMap::new(),
            weights: Weights::default(),
            plans: HashMap::new(),
            arena: Arena::default(),
        })
    }

    /// Computes `rows` rows, as many at once as memory allows: the outputs' words in order. A shared
    /// input is given whole. `pace` is awaited after each submission with the time the device was
    /// busy; where it breaks, nothing more is submitted.
    pub async fn run(
        &mut self,
        device: &mut Device,
        rows: usize,
        inputs: &[&[u32]],
        pace: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<u32>>, RunError> {
        let on = match device {
            Device::Gpu(gpu) => On::Gpu(gpu),
            Device::Cpu(cpu) => On::Cpu(cpu),
        };
        self.run_batches(on, rows, inputs, pace).await
    }

    /// The same by this machine's processor, whatever the device is, as [`Plan::run_nudged`] does it.
    pub async fn run_nudged(
        &mut self,
        seed: u64,
        rows: usize,
        inputs: &[&[u32]],
        pace: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<u32>>, RunError> {
        self.run_batches(On::Nudged(seed), rows, inputs, pace).await
    }

    async fn run_batches(
        &mut self,
        mut on: On<'_>,
        rows: usize,
        inputs: &[&[u32]],
        pace: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<u32>>, RunError> {
        // Values of a row of each input, or none where all rows share it.
        let fed = self.feeds.iter().filter_map(|feed| match feed {
            Feed::Rows(row) => Some((row.iter().product(), true)),
            Feed::Whole(shape) => Some((shape.iter().product(), false)),
            Feed::Known(_) => None,
        });
        let lens: Vec<(usize, bool)> = fed.collect();
        if inputs.len() != lens.len() {
            return Err(RunError::Input { expected: lens.len(), found: inputs.len() });
        }
        for (&(len, apart), input) in lens.iter().zip(inputs) {
            let expected = if apart { len * rows } else { len };
            if rows == 0 || input.len() != expected {
                return Err(RunError::Input { expected, found: input.len() });
            }
        }
        let mut outputs: Vec<Vec<u32>> = vec![Vec::new(); self.outputs];
        let mut first = 0;
        while first < rows {
            let at_once = match &on {
                On::Gpu(gpu) => self.rows_at_once(gpu, rows)?,
                On::Cpu(cpu) => self.rows_within(cpu.budget.work(), rows - first)?,
                On::Nudged(_) => self.rows_within(u64::MAX, rows - first)?,
            };
            let taken = at_once.min(rows - first);
            let parts: Vec<&[u32]> = inputs
                .iter()
                .zip(&lens)
                .map(|(input, &(len, apart))| if apart { &input[first * len..][..taken * len] } else { *input })
                .collect();
            let found = match &mut on {
                On::Gpu(gpu) => self.run_once(gpu, taken, &parts, &pace).await?,
                On::Cpu(cpu) => self.run_on_cpu(cpu, taken, &parts, &pace).await?,
                On::Nudged(seed) => {
                    let begun = Instant::now();
                    let found = self.plan(taken)?.run_nudged(&parts, *seed);
                    // No two batches are moved alike.
                    *seed = seed.wrapping_add(1 << 56);
                    if pace(begun.elapsed()).await.is_break() {
                        return Err(RunError::Stopped);
                    }
                    found
                }
            };
            outputs.iter_mut().zip(found).for_each(|(output, found)| output.extend(found));
            first += taken;
        }
        Ok(outputs)
    }

    fn rows_at_once(&self, gpu: &Gpu, rows: usize) -> Result<usize, RunError> {
        let mut at_once = rows.min(self.rows_at_once);
        loop {
            if self.prepared.contains_key(&at_once) {
                return Ok(at_once);
            }
            let plan = self.graph.plan(at_once, &self.feeds)?;
            let fits = plan.buffer_bytes_max() <= gpu.info.buffer_bytes_max && plan.device_bytes() <= RUN_BYTES_MAX;
            if fits || at_once <= self.micro_batch || self.mixed {
                return Ok(at_once);
            }
            at_once = at_once.div_ceil(2).next_multiple_of(self.micro_batch);
        }
    }

    /// Rows whose run on the CPU takes no more work: a power of two of micro-batches, so that few plans serve.
    fn rows_within(&mut self, work: u64, rows: usize) -> Result<usize, RunError> {
        if self.mixed {
            return Ok(rows);
        }
        let micro_batch = self.micro_batch;
        let plan = self.plan(micro_batch)?;
        let (flops, bytes) = (plan.flops().max(1), plan.device_bytes().max(1));
        let fit = (work / flops).min(RUN_BYTES_MAX / bytes).max(1);
        let count = usize::try_from(fit).unwrap_or(rows).min(rows.min(self.rows_at_once) / micro_batch).max(1);
        Ok(micro_batch << count.ilog2())
    }

    /// The plan for a batch, kept with a few others.
    fn plan(&mut self, batch: usize) -> Result<&Plan, ModelError> {
        if !self.plans.contains_key(&batch) {
            if self.plans.len() >= PLANS_MAX {
                self.plans.clear();
            }
            let plan = self.graph.plan(batch, &self.feeds)?;
            self.plans.insert(batch, plan);
        }
        Ok(&self.plans[&batch])
    }

    async fn run_on_cpu(
        &mut self,
        cpu: &mut Cpu,
        rows: usize,
        inputs: &[&[u32]],
        pace: &impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<u32>>, RunError> {
        let mut arena = std::mem::take(&mut self.arena);
        let plan = self.plan(rows)?;
        let begun = Instant::now();
        let outputs = plan.run_in(&mut arena, inputs);
        let busy = begun.elapsed();
        cpu.budget.learn(plan.flops(), busy);
        arena.trim();
        self.arena = arena;
        match pace(busy).await {
            ControlFlow::Continue(()) => Ok(outputs),
            ControlFlow::Break(()) => Err(RunError::Stopped),
        }
    }

    async fn run_once(
        &mut self,
        gpu: &mut Gpu,
        rows: usize,
        inputs: &[&[u32]],
        pace: &impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<u32>>, RunError> {
        let scopes = gpu.scopes();
        let result = self.run_inner(gpu, rows, inputs, pace).await;
        let closed = gpu.close(scopes).await;
        if closed.is_err() || result.as_ref().is_err_and(|error| *error != RunError::Stopped) {
            // What was built under an error may be broken: the next run builds it anew.
            self.prepared.clear();
            self.weights.clear();
            gpu.forget_writes();
        }
        closed?;
        result
    }

    async fn run_inner(
        &mut self,
        gpu: &mut Gpu,
        rows: usize,
        inputs: &[&[u32]],
        pace: &impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<u32>>, RunError> {
        if !self.prepared.contains_key(&rows) {
            if self.prepared.len() >= PREPARED_MAX {
                self.prepared.clear();
                self.weights.clear();
            }
            let (program, constants) = self.graph.plan(rows, &self.feeds)?.gpu_program();
            let prepared = Prepared::new(gpu, program, &constants, &mut self.weights)?;
            self.prepared.insert(rows, prepared);
        }
        Ok(self.prepared[&rows].run(gpu, inputs, pace).await?)
    }
}

/// Runs a plan once on a device: the outputs' words in order.
pub async fn run_plan(gpu: &mut Gpu, plan: &Plan, inputs: &[&[u32]]) -> Result<Vec<Vec<u32>>, RunError> {
    let scopes = gpu.scopes();
    let (program, constants) = plan.gpu_program();
    let result = match Prepared::new(gpu, program, &constants, &mut Weights::default()) {
        Ok(prepared) => {
            let ran = prepared.run(gpu, inputs, &async |_busy| ControlFlow::Continue(())).await;
            ran.map_err(RunError::from)
        }
        Err(error) => Err(error.into()),
    };
    gpu.close(scopes).await?;
    result
}
