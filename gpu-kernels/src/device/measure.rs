//! How fast a GPU multiplies matrices: shown to a person before they lend it.

use std::time::Duration;

use web_time::Instant;

use super::error::GpuError;
use super::gpu::Gpu;
use super::info::Measured;
use crate::dtype::Repr;
use crate::kernels::matmul;

/// Side of the square matrices, in values.
const SIDE: u32 = 1024;

impl Gpu {
    /// Multiplies 1024 × 1024 float32 matrices for `time`, in submissions that keep to the budget.
    /// `pause` is awaited after each of them.
    pub async fn measure(&mut self, time: Duration, pause: impl AsyncFn()) -> Result<Measured, GpuError> {
        let scopes = self.scopes();
        let measured = self.measure_inner(time, pause).await;
        self.close(scopes).await?;
        measured
    }

    async fn measure_inner(&mut self, time: Duration, pause: impl AsyncFn()) -> Result<Measured, GpuError> {
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let bytes = 4 * u64::from(SIDE) * u64::from(SIDE);
        self.check_size("a matrix", bytes)?;
        let [a, b, out] = ["a", "b", "out"].map(|label| self.buffer(label, bytes, storage));
        let params = matmul::Params::contiguous(1, SIDE, SIDE, SIDE);
        let pipeline = self.pipeline("matmul", &matmul::shader(Repr::F32, false));
        let mut measured = Measured { flops: 0, busy: Duration::ZERO };
        let begun = Instant::now();
        let mut first = true;
        while begun.elapsed() < time {
            let fit = u128::from(params.units) * u128::from(self.budget.work()) / u128::from(params.flops());
            let units = u32::try_from(fit).unwrap_or(u32::MAX).clamp(1, params.units);
            let flops = params.flops() * u64::from(units) / u64::from(params.units);
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            self.encode_product(&mut encoder, &pipeline, &matmul::Params { units, ..params }, [&a, &b, &out]);
            let busy = self.submit(encoder).await?;
            self.budget.learn(flops, busy);
            // The first submission also compiles the shader, so it does not count.
            if !std::mem::take(&mut first) {
                measured.flops += flops;
                measured.busy += busy;
            }
            pause().await;
        }
        Ok(measured)
    }

    /// Some tiles of a product without C.
    pub(crate) fn encode_product(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        pipeline: &wgpu::ComputePipeline,
        part: &matmul::Params,
        [a, b, out]: [&wgpu::Buffer; 3],
    ) {
        let params = self.filled("params", bytemuck::bytes_of(part));
        // There is no C, but its binding must be filled: A is bound a second time, and not read.
        self.dispatch(encoder, pipeline, &[&params, a, b, a, out], part.units);
    }

    /// Runs workgroups of a shader over buffers, which are bound in their order.
    pub(crate) fn dispatch(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        pipeline: &wgpu::ComputePipeline,
        buffers: &[&wgpu::Buffer],
        workgroups: u32,
    ) {
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0u32..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(workgroups, 1, 1);
    }
}
