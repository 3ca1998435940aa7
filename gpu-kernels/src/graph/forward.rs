//! A plan on a device: buffers and bind groups made once a batch size, then encoded run by run in
//! submissions that keep to the device's budget.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use super::{Graph, ModelError, Plan, Source, ValueId};
use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::kernels::Call;

/// Most workgroups along one dimension of a dispatch.
const GROUPS_MAX: u32 = 65_535;
/// Batch sizes kept ready. A job has two: its tiles and its last tile.
const PREPARED_MAX: usize = 4;
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
    row: Vec<usize>,
    /// Rows must not be split over runs.
    mixed: bool,
    prepared: HashMap<usize, Prepared>,
    /// Uploaded constants by their address, which the graph keeps alive.
    weights: HashMap<usize, wgpu::Buffer>,
}

struct Prepared {
    plan: Plan,
    input: wgpu::Buffer,
    staging: wgpu::Buffer,
    buffers: Vec<Option<wgpu::Buffer>>,
    steps: Vec<Ready>,
}

struct Ready {
    call: Call,
    inputs: Vec<ValueId>,
    output: ValueId,
    work: u64,
    group: wgpu::BindGroup,
}

impl Session {
    pub fn new(graph: Graph, row: Vec<usize>) -> Result<Self, ModelError> {
        let mixed = graph.row_shapes(&row)?.mixed_by.is_some();
        Ok(Self { graph, row, mixed, prepared: HashMap::new(), weights: HashMap::new() })
    }

    /// Computes `rows` rows, in as few runs as memory allows. `pace` is awaited after each
    /// submission with the time the device was busy; where it breaks, nothing more is submitted.
    pub async fn run(
        &mut self,
        gpu: &mut Gpu,
        rows: usize,
        input: &[f32],
        pace: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<f32>, RunError> {
        let row: usize = self.row.iter().product();
        if rows == 0 || input.len() != rows * row {
            return Err(RunError::Input { expected: rows * row, found: input.len() });
        }
        let at_once = self.rows_at_once(gpu, rows)?;
        let mut output = Vec::new();
        for chunk in input.chunks(at_once * row) {
            output.extend(self.run_once(gpu, chunk.len() / row, chunk, &pace).await?);
        }
        Ok(output)
    }

    fn rows_at_once(&self, gpu: &Gpu, rows: usize) -> Result<usize, RunError> {
        let mut at_once = rows;
        loop {
            if self.prepared.contains_key(&at_once) {
                return Ok(at_once);
            }
            let plan = self.graph.plan(at_once, &self.row)?;
            let fits = plan.buffer_bytes_max() <= gpu.info.buffer_bytes_max && plan.device_bytes() <= RUN_BYTES_MAX;
            if fits || at_once == 1 || self.mixed {
                return Ok(at_once);
            }
            at_once = at_once.div_ceil(2);
        }
    }

    async fn run_once(
        &mut self,
        gpu: &mut Gpu,
        rows: usize,
        input: &[f32],
        pace: &impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<f32>, RunError> {
        let scopes = gpu.scopes();
        let result = self.run_inner(gpu, rows, input, pace).await;
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
        input: &[f32],
        pace: &impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<f32>, RunError> {
        if !self.prepared.contains_key(&rows) {
            if self.prepared.len() >= PREPARED_MAX {
                self.prepared.clear();
                self.weights.clear();
            }
            let plan = self.graph.plan(rows, &self.row)?;
            let prepared = Prepared::new(gpu, plan, &mut self.weights)?;
            self.prepared.insert(rows, prepared);
        }
        let prepared = &self.prepared[&rows];
        prepared.run(gpu, input, pace).await
    }
}

impl Prepared {
    fn new(gpu: &mut Gpu, plan: Plan, weights: &mut HashMap<usize, wgpu::Buffer>) -> Result<Self, GpuError> {
        let bytes_of = |id: ValueId| 4 * u64::try_from(plan.values[id].len()).expect("a length should fit 64 bits");
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        gpu.check_size("a tensor of this model", plan.buffer_bytes_max())?;
        let input = gpu.buffer("input", bytes_of(plan.input), storage);
        let staging =
            gpu.buffer("staging", bytes_of(plan.output), wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let slots = plan.slots();
        let arena: Vec<wgpu::Buffer> = slots
            .sizes
            .iter()
            .map(|&size| gpu.buffer("slot", 4 * u64::try_from(size).expect("a length should fit 64 bits"), storage))
            .collect();
        let mut buffers: Vec<Option<wgpu::Buffer>> = vec![None; plan.values.len()];
        let used = plan.steps.iter().flat_map(|step| step.inputs.iter().chain([&step.output])).chain([&plan.output]);
        for &id in used {
            let root = plan.root(id);
            let buffer = match &plan.values[root].source {
                Source::Input => input.clone(),
                Source::Constant(data) => weights
                    .entry(data.as_ptr().addr())
                    .or_insert_with(|| {
                        let buffer = gpu.buffer(
                            "weights",
                            4 * u64::try_from(data.len()).expect("a length should fit 64 bits"),
                            storage,
                        );
                        gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(data));
                        buffer
                    })
                    .clone(),
                Source::Computed | Source::Alias(_) => {
                    let slot = slots.of_value[root].expect("a computed value should have a slot");
                    arena[slot].clone()
                }
            };
            buffers[root] = Some(buffer);
        }
        let mut prepared = Self { plan, input, staging, buffers, steps: Vec::new() };
        let steps = std::mem::take(&mut prepared.plan.steps);
        prepared.steps = steps
            .into_iter()
            .map(|step| {
                let group = prepared.bind(gpu, &step.call, &step.inputs, step.output);
                // Copies count no operations, so their bytes stand in.
                let moved = 4 * u64::try_from(prepared.plan.values[step.output].len()).unwrap_or(u64::MAX / 4);
                Ready {
                    work: step.call.flops().max(moved),
                    call: step.call,
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

    fn bind(&self, gpu: &mut Gpu, call: &Call, inputs: &[ValueId], output: ValueId) -> wgpu::BindGroup {
        let params = gpu.filled("params", call.bytes());
        let layout = gpu.pipeline(call.kernel()).get_bind_group_layout(0);
        let bound =
            std::iter::once(&params).chain(inputs.iter().map(|&id| self.buffer(id))).chain([self.buffer(output)]);
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0u32..)
            .zip(bound)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(call.kernel().label()),
            layout: &layout,
            entries: &entries,
        })
    }

    async fn run(
        &self,
        gpu: &mut Gpu,
        input: &[f32],
        pace: &impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<f32>, RunError> {
        gpu.queue.write_buffer(&self.input, 0, bytemuck::cast_slice(input));
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
                    submission.dispatch(gpu, &step.call, &step.group, work);
                } else {
                    let part = step.call.part(done, take);
                    let group = self.bind(gpu, &part, &step.inputs, step.output);
                    submission.dispatch(gpu, &part, &group, work);
                }
                done += take;
            }
        }
        submission.encoder.copy_buffer_to_buffer(
            self.buffer(self.plan.output),
            0,
            &self.staging,
            0,
            self.staging.size(),
        );
        submission.flush(gpu, pace).await?;
        Ok(gpu.read(&self.staging).await?)
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

    fn dispatch(&mut self, gpu: &mut Gpu, call: &Call, group: &wgpu::BindGroup, work: u64) {
        let units = call.units();
        let x = units.min(GROUPS_MAX);
        let mut pass = self.encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(gpu.pipeline(call.kernel()));
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
