//! A plan on a device: buffers and bind groups made once a batch size, then encoded run by run in
//! submissions that keep to the device's budget.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use web_time::Instant;

use super::{Feed, Graph, ModelError, Plan, Source, ValueId};
use crate::device::{Cpu, Device};
use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::kernels::{Call, Kernel};

/// Most workgroups along one dimension of a dispatch.
const GROUPS_MAX: u32 = 65_535;
/// Batch sizes kept ready. A job has two: its tiles and its last tile.
const PREPARED_MAX: usize = 4;
/// Plans kept for the CPU: a power of two each.
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

/// A model made ready for one device.
pub struct Session {
    graph: Graph,
    feeds: Vec<Feed>,
    /// Rows must not be split over runs.
    mixed: bool,
    /// How many there are.
    outputs: usize,
    prepared: HashMap<usize, Prepared>,
    /// Uploaded constants by their address, which the plans keep alive.
    weights: HashMap<usize, wgpu::Buffer>,
    /// What the CPU runs, by batch size.
    plans: HashMap<usize, Plan>,
}

struct Prepared {
    plan: Plan,
    inputs: Vec<wgpu::Buffer>,
    staging: wgpu::Buffer,
    buffers: Vec<Option<wgpu::Buffer>>,
    steps: Vec<Ready>,
}

struct Ready {
    call: Call,
    kernel: Kernel,
    inputs: Vec<ValueId>,
    output: ValueId,
    work: u64,
    group: wgpu::BindGroup,
}

/// Bytes of `len` words, and never none: an empty buffer cannot be bound.
fn bytes_of(len: usize) -> u64 {
    4 * u64::try_from(len.max(1)).expect("a length should fit 64 bits")
}

impl Session {
    pub fn new(graph: Graph, feeds: Vec<Feed>) -> Result<Self, ModelError> {
        let signature = graph.signature(&feeds)?;
        let (mixed, outputs) = (signature.mixed_by.is_some(), signature.outputs.len());
        Ok(Self {
            graph,
            feeds,
            mixed,
            outputs,
            prepared: HashMap::new(),
            weights: HashMap::new(),
            plans: HashMap::new(),
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
            let at_once = match device {
                Device::Gpu(gpu) => self.rows_at_once(gpu, rows)?,
                Device::Cpu(cpu) => self.rows_in_budget(cpu, rows - first)?,
            };
            let taken = at_once.min(rows - first);
            let parts: Vec<&[u32]> = inputs
                .iter()
                .zip(&lens)
                .map(|(input, &(len, apart))| if apart { &input[first * len..][..taken * len] } else { *input })
                .collect();
            let found = match device {
                Device::Gpu(gpu) => self.run_once(gpu, taken, &parts, &pace).await?,
                Device::Cpu(cpu) => self.run_on_cpu(cpu, taken, &parts, &pace).await?,
            };
            outputs.iter_mut().zip(found).for_each(|(output, found)| output.extend(found));
            first += taken;
        }
        Ok(outputs)
    }

    fn rows_at_once(&self, gpu: &Gpu, rows: usize) -> Result<usize, RunError> {
        let mut at_once = rows;
        loop {
            if self.prepared.contains_key(&at_once) {
                return Ok(at_once);
            }
            let plan = self.graph.plan(at_once, &self.feeds)?;
            let fits = plan.buffer_bytes_max() <= gpu.info.buffer_bytes_max && plan.device_bytes() <= RUN_BYTES_MAX;
            if fits || at_once == 1 || self.mixed {
                return Ok(at_once);
            }
            at_once = at_once.div_ceil(2);
        }
    }

    /// Rows whose run on the CPU should keep to its budget: a power of two, so that few plans serve.
    fn rows_in_budget(&mut self, cpu: &Cpu, rows: usize) -> Result<usize, RunError> {
        if self.mixed {
            return Ok(rows);
        }
        let plan = self.plan(1)?;
        let (flops, bytes) = (plan.flops().max(1), plan.device_bytes().max(1));
        let fit = (cpu.budget.work() / flops).min(RUN_BYTES_MAX / bytes).max(1);
        let fit = usize::try_from(fit).unwrap_or(rows).min(rows);
        Ok(1 << fit.ilog2())
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
        let plan = self.plan(rows)?;
        let begun = Instant::now();
        let outputs = plan.run(inputs);
        let busy = begun.elapsed();
        cpu.budget.learn(plan.flops(), busy);
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
            let plan = self.graph.plan(rows, &self.feeds)?;
            let prepared = Prepared::new(gpu, plan, &mut self.weights)?;
            self.prepared.insert(rows, prepared);
        }
        self.prepared[&rows].run(gpu, inputs, pace).await
    }
}

/// Runs a plan once on a device: the outputs' words in order.
pub async fn run_plan(gpu: &mut Gpu, plan: Plan, inputs: &[&[u32]]) -> Result<Vec<Vec<u32>>, RunError> {
    let scopes = gpu.scopes();
    let result = match Prepared::new(gpu, plan, &mut HashMap::new()) {
        Ok(prepared) => prepared.run(gpu, inputs, &async |_busy| ControlFlow::Continue(())).await,
        Err(error) => Err(error.into()),
    };
    gpu.close(scopes).await?;
    result
}

impl Prepared {
    fn new(gpu: &mut Gpu, plan: Plan, weights: &mut HashMap<usize, wgpu::Buffer>) -> Result<Self, GpuError> {
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        gpu.check_size("a tensor of this model", plan.buffer_bytes_max())?;
        let inputs: Vec<wgpu::Buffer> =
            plan.inputs.iter().map(|&id| gpu.buffer("input", bytes_of(plan.values[id].len()), storage)).collect();
        let read_back = plan.outputs.iter().map(|&id| bytes_of(plan.values[id].len())).sum();
        let staging = gpu.buffer("staging", read_back, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let slots = plan.slots();
        let arena: Vec<wgpu::Buffer> =
            slots.sizes.iter().map(|&size| gpu.buffer("slot", bytes_of(size), storage)).collect();
        let mut buffers: Vec<Option<wgpu::Buffer>> = vec![None; plan.values.len()];
        let used = plan.steps.iter().flat_map(|step| step.inputs.iter().chain([&step.output])).chain(&plan.outputs);
        for &id in used {
            let root = plan.root(id);
            let buffer = match &plan.values[root].source {
                Source::Input(index) => inputs[*index].clone(),
                Source::Constant(words) => weights
                    .entry(words.as_ptr().addr())
                    .or_insert_with(|| {
                        let buffer = gpu.buffer("weights", bytes_of(words.len()), storage);
                        gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(words));
                        buffer
                    })
                    .clone(),
                Source::Computed | Source::View { .. } => {
                    let slot = slots.of_value[root].expect("a computed value should have a slot");
                    arena[slot].clone()
                }
            };
            buffers[root] = Some(buffer);
        }
        let mut prepared = Self { plan, inputs, staging, buffers, steps: Vec::new() };
        let steps = std::mem::take(&mut prepared.plan.steps);
        prepared.steps = steps
            .into_iter()
            .map(|step| {
                let kernel = step.call.kernel();
                let group = prepared.bind(gpu, &kernel, step.call.bytes(), &step.inputs, step.output);
                // Copies count no operations, so their bytes stand in.
                let moved = bytes_of(prepared.plan.values[step.output].len());
                Ready {
                    work: step.call.flops().max(moved),
                    call: step.call,
                    kernel,
                    inputs: step.inputs,
                    output: step.output,
                    group,
                }
            })
            .collect();
        Ok(prepared)
    }

    fn buffer(&self, id: ValueId) -> &wgpu::Buffer {
        self.buffers[self.plan.root(id)].as_ref().expect("every value a step touches should have a buffer")
    }

    fn bind(
        &self,
        gpu: &mut Gpu,
        kernel: &Kernel,
        params: &[u8],
        inputs: &[ValueId],
        output: ValueId,
    ) -> wgpu::BindGroup {
        let params = gpu.filled("params", params);
        let layout = gpu.pipeline(kernel).get_bind_group_layout(0);
        let bound =
            std::iter::once(&params).chain(inputs.iter().map(|&id| self.buffer(id))).chain([self.buffer(output)]);
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0u32..)
            .zip(bound)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(kernel.label()),
            layout: &layout,
            entries: &entries,
        })
    }

    async fn run(
        &self,
        gpu: &mut Gpu,
        inputs: &[&[u32]],
        pace: &impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<u32>>, RunError> {
        for (buffer, input) in self.inputs.iter().zip(inputs) {
            gpu.queue.write_buffer(buffer, 0, bytemuck::cast_slice(input));
        }
        let mut submission = Submission::new(gpu);
        for step in &self.steps {
            let mut done = 0;
            let units = step.call.units();
            while done < units {
                let room = gpu.budget.work().saturating_sub(submission.work);
                if room == 0 {
                    submission = submission.flush(gpu, pace).await?;
                    continue;
                }
                // At least one workgroup goes: less cannot be dispatched.
                let fit = u128::from(units) * u128::from(room) / u128::from(step.work.max(1));
                let take = u32::try_from(fit).unwrap_or(u32::MAX).clamp(1, units - done);
                let work = step.work * u64::from(take) / u64::from(units);
                if take == units {
                    submission.dispatch(gpu, &step.kernel, units, &step.group, work);
                } else {
                    let part = step.call.part(done, take);
                    let params = bytemuck::cast_slice(&part);
                    let group = self.bind(gpu, &step.kernel, params, &step.inputs, step.output);
                    submission.dispatch(gpu, &step.kernel, take, &group, work);
                }
                done += take;
            }
        }
        let mut offset = 0;
        for &id in &self.plan.outputs {
            let size = bytes_of(self.plan.values[id].len());
            submission.encoder.copy_buffer_to_buffer(self.buffer(id), 0, &self.staging, offset, size);
            offset += size;
        }
        submission.flush(gpu, pace).await?;
        let words = gpu.read(&self.staging).await?;
        let mut rest = &words[..];
        let mut outputs = Vec::with_capacity(self.plan.outputs.len());
        for &id in &self.plan.outputs {
            let len = self.plan.values[id].len();
            let (own, after) = rest.split_at(len.max(1));
            outputs.push(own[..len].to_vec());
            rest = after;
        }
        Ok(outputs)
    }
}

/// Commands that go to the device together.
struct Submission {
    encoder: wgpu::CommandEncoder,
    work: u64,
}

impl Submission {
    fn new(gpu: &Gpu) -> Self {
        Self { encoder: gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default()), work: 0 }
    }

    fn dispatch(&mut self, gpu: &mut Gpu, kernel: &Kernel, units: u32, group: &wgpu::BindGroup, work: u64) {
        let x = units.min(GROUPS_MAX);
        let mut pass = self.encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(gpu.pipeline(kernel));
        pass.set_bind_group(0, group, &[]);
        pass.dispatch_workgroups(x, units.div_ceil(x), 1);
        self.work += work.max(1);
    }

    async fn flush(self, gpu: &mut Gpu, pace: &impl AsyncFn(Duration) -> ControlFlow<()>) -> Result<Self, RunError> {
        let busy = gpu.submit(self.encoder).await?;
        gpu.budget.learn(self.work, busy);
        match pace(busy).await {
            ControlFlow::Continue(()) => Ok(Self::new(gpu)),
            ControlFlow::Break(()) => Err(RunError::Stopped),
        }
    }
}
