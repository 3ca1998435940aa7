//! A GPU program on its device: buffers and bind groups made once, then encoded run by run in submissions that
//! keep to the device's budget.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::{Buffer, GpuProgram, GpuStep};
use crate::device::{Gpu, GpuError};
use crate::number;

/// Most workgroups along one dimension of a dispatch.
const GROUPS_MAX: u32 = 65_535;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpuProgramError {
    #[error(transparent)]
    Gpu(#[from] GpuError),
    #[error("the run was stopped between two submissions")]
    Stopped,
}

/// Constants uploaded to one device, by the address of their words, which the `Arc` keeps valid.
#[derive(Default)]
pub struct Weights(HashMap<usize, (Arc<[u32]>, wgpu::Buffer)>);

/// A program with everything it needs on the device.
pub struct Prepared {
    inputs: Vec<wgpu::Buffer>,
    staging: wgpu::Buffer,
    outputs: Vec<(wgpu::Buffer, usize)>,
    steps: Vec<BoundStep>,
}

/// A step with its shader compiled and its buffers bound.
struct BoundStep {
    step: GpuStep,
    pipeline: wgpu::ComputePipeline,
    bound: Vec<wgpu::Buffer>,
    group: wgpu::BindGroup,
}

/// Bytes of `words` words, and never none: an empty buffer cannot be bound.
fn bytes_of(words: u64) -> u64 {
    4 * words.max(1)
}

/// Where a number of the program points.
fn index(number: u32) -> usize {
    number::to(number)
}

impl Prepared {
    /// Uploads and binds what a program needs, which was checked against its constants.
    pub fn new(
        gpu: &mut Gpu,
        program: GpuProgram,
        constants: &[Arc<[u32]>],
        weights: &mut Weights,
    ) -> Result<Self, GpuError> {
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        // All sizes are checked before anything is uploaded.
        for buffer in &program.buffers {
            match buffer {
                Buffer::Allocated(words) => gpu.check_size("a tensor of this model", bytes_of(*words))?,
                Buffer::Constant(number) => Weights::check(gpu, &constants[index(*number)])?,
            }
        }
        let buffers: Vec<wgpu::Buffer> = program
            .buffers
            .iter()
            .map(|buffer| match buffer {
                Buffer::Allocated(words) => gpu.buffer("tensor", bytes_of(*words), storage),
                Buffer::Constant(number) => weights.upload(gpu, &constants[index(*number)], storage),
            })
            .collect();
        let pipelines: Vec<wgpu::ComputePipeline> =
            program.shaders.iter().map(|shader| gpu.pipeline(&shader.label, &shader.wgsl)).collect();
        let read_back = program.outputs.iter().map(|output| bytes_of(output.words)).sum();
        let staging = gpu.buffer("staging", read_back, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let steps = program
            .steps
            .into_iter()
            .map(|step| {
                let pipeline = pipelines[index(step.shader)].clone();
                let bound: Vec<wgpu::Buffer> =
                    step.inputs.iter().chain([&step.output]).map(|&number| buffers[index(number)].clone()).collect();
                let group = bind(gpu, &pipeline, &step.params, &bound);
                BoundStep { step, pipeline, bound, group }
            })
            .collect();
        Ok(Self {
            inputs: program.inputs.iter().map(|&number| buffers[index(number)].clone()).collect(),
            outputs: program
                .outputs
                .iter()
                // A length beyond memory is refused with the rest of the program by the device.
                .map(|output| {
                    (buffers[index(output.buffer)].clone(), usize::try_from(output.words).unwrap_or(usize::MAX))
                })
                .collect(),
            staging,
            steps,
        })
    }

    /// Runs once: the outputs' words in order. `pace` is awaited after each submission with the time
    /// the device was busy; where it breaks, nothing more is submitted.
    pub async fn run(
        &self,
        gpu: &mut Gpu,
        inputs: &[&[u32]],
        pace: &impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<u32>>, GpuProgramError> {
        for (buffer, input) in self.inputs.iter().zip(inputs) {
            gpu.queue.write_buffer(buffer, 0, bytemuck::cast_slice(input));
        }
        let mut submission = Submission::new(gpu);
        for BoundStep { step, pipeline, bound, group } in &self.steps {
            let (mut done, units) = (0, step.params[1]);
            while done < units {
                let budget_left = gpu.budget.work().saturating_sub(submission.work);
                if budget_left == 0 {
                    submission = submission.flush(gpu, pace).await?;
                    continue;
                }
                // A dispatch has at least one workgroup.
                let fit = u128::from(units) * u128::from(budget_left) / u128::from(step.work.max(1));
                let taken = u32::try_from(fit).unwrap_or(u32::MAX).clamp(1, units - done);
                let work = step.work / u64::from(units) * u64::from(taken);
                if taken == units {
                    submission.dispatch(pipeline, units, group, work);
                } else {
                    let mut params = step.params.clone();
                    (params[0], params[1]) = (done, taken);
                    let group = bind(gpu, pipeline, &params, bound);
                    submission.dispatch(pipeline, taken, &group, work);
                }
                done += taken;
            }
        }
        let mut offset = 0;
        for (buffer, words) in &self.outputs {
            let size = bytes_of(number::to(*words));
            submission.encoder.copy_buffer_to_buffer(buffer, 0, &self.staging, offset, size);
            offset += size;
        }
        submission.flush(gpu, pace).await?;
        let words = gpu.read(&self.staging).await?;
        let mut rest = &words[..];
        let mut outputs = Vec::with_capacity(self.outputs.len());
        for &(_, len) in &self.outputs {
            let (own, after) = rest.split_at(len.max(1));
            outputs.push(own[..len].to_vec());
            rest = after;
        }
        Ok(outputs)
    }
}

impl Weights {
    fn check(gpu: &Gpu, words: &[u32]) -> Result<(), GpuError> {
        gpu.check_size("a constant of this model", Self::bytes(words))
    }

    fn bytes(words: &[u32]) -> u64 {
        bytes_of(number::to(words.len()))
    }

    fn upload(&mut self, gpu: &Gpu, words: &Arc<[u32]>, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        if let Some((_, buffer)) = self.0.get(&words.as_ptr().addr()) {
            return buffer.clone();
        }
        let buffer = gpu.buffer("weights", Self::bytes(words), usage);
        gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(words));
        self.0.insert(words.as_ptr().addr(), (Arc::clone(words), buffer.clone()));
        buffer
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

fn bind(gpu: &Gpu, pipeline: &wgpu::ComputePipeline, params: &[u32], bound: &[wgpu::Buffer]) -> wgpu::BindGroup {
    let params = gpu.filled("params", bytemuck::cast_slice(params));
    let layout = pipeline.get_bind_group_layout(0);
    let entries: Vec<wgpu::BindGroupEntry<'_>> = (0u32..)
        .zip(std::iter::once(&params).chain(bound))
        .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
        .collect();
    gpu.device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some("step"), layout: &layout, entries: &entries })
}

/// Commands that are submitted together.
struct Submission {
    encoder: wgpu::CommandEncoder,
    work: u64,
}

impl Submission {
    fn new(gpu: &Gpu) -> Self {
        Self { encoder: gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default()), work: 0 }
    }

    fn dispatch(&mut self, pipeline: &wgpu::ComputePipeline, units: u32, group: &wgpu::BindGroup, work: u64) {
        let x = units.min(GROUPS_MAX);
        let mut pass = self.encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, group, &[]);
        pass.dispatch_workgroups(x, units.div_ceil(x), 1);
        self.work += work.max(1);
    }

    async fn flush(
        self,
        gpu: &mut Gpu,
        pace: &impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Self, GpuProgramError> {
        let busy = gpu.submit(self.encoder).await?;
        gpu.budget.learn(self.work, busy);
        match pace(busy).await {
            ControlFlow::Continue(()) => Ok(Self::new(gpu)),
            ControlFlow::Break(()) => Err(GpuProgramError::Stopped),
        }
    }
}
