//! A chain's products on a GPU, by the kernel that multiplies models' integers.

use std::ops::ControlFlow;
use std::time::Duration;

use web_time::Instant;

use super::chain::{Chain, MatrixKey};
use super::prover::Pace;
use crate::device::{Gpu, GpuError};
use crate::dtype::Repr;
use crate::kernels::matmul;

/// Entries that one workgroup of `fill.wgsl` writes.
const ENTRIES_AT_ONCE: u32 = 1024;

/// What the products of one chain are made with.
struct Matrices {
    fill: wgpu::ComputePipeline,
    product: wgpu::ComputePipeline,
    params: matmul::Params,
    left: wgpu::Buffer,
    /// The product so far, and the next one.
    right: [wgpu::Buffer; 2],
}

/// How far the products are.
#[derive(Clone, Copy)]
struct Progress {
    /// The step under way, from one.
    step: u32,
    /// Tiles of its product that are written or on their way.
    units: u32,
}

impl Gpu {
    pub(super) async fn prove(
        &mut self,
        chain: Chain,
        pace: Pace,
        rest: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<(u32, Vec<u32>), GpuError> {
        let scopes = self.scopes();
        let proved = self.prove_inner(chain, pace, rest).await;
        self.close(scopes).await?;
        proved
    }

    async fn prove_inner(
        &mut self,
        chain: Chain,
        pace: Pace,
        rest: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<(u32, Vec<u32>), GpuError> {
        let begun = Instant::now();
        let bytes = 4 * u64::from(chain.side) * u64::from(chain.side);
        self.check_size("a challenge's matrix", bytes)?;
        let matrices = self.matrices(chain, bytes);
        let mut at = Progress { step: 1, units: 0 };
        let mut is_last = false;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        self.fill(&mut encoder, &matrices, chain.key(0), &matrices.right[0]);
        // What is begun of the step after the last is left.
        while at.step <= pace.steps && !(is_last && at.step > 1) {
            let work = self.encode(&mut encoder, &matrices, chain, &mut at, pace.steps);
            let next = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let busy = self.submit(std::mem::replace(&mut encoder, next)).await?;
            self.budget.learn(work, busy);
            let is_enough = rest(busy).await.is_break();
            is_last = is_last || is_enough || begun.elapsed() >= pace.time;
        }
        let steps = at.step - 1;
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let answer = self.buffer("answer", bytes, usage);
        encoder.copy_buffer_to_buffer(matrices.product_of(steps), 0, &answer, 0, bytes);
        self.submit(encoder).await?;
        Ok((steps, self.read(&answer).await?))
    }

    fn matrices(&mut self, chain: Chain, bytes: u64) -> Matrices {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        let [left, even, odd] = ["left", "even", "odd"].map(|label| self.buffer(label, bytes, usage));
        Matrices {
            fill: self.pipeline("fill", include_str!("fill.wgsl")),
            product: self.pipeline("matmul", &matmul::shader(Repr::U32, false)),
            params: matmul::Params::contiguous(1, chain.side, chain.side, chain.side),
            left,
            right: [even, odd],
        }
    }

    /// As much of the products as one submission may hold. Returns its operations.
    fn encode(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        matrices: &Matrices,
        chain: Chain,
        at: &mut Progress,
        steps: u32,
    ) -> u64 {
        let all = matrices.params.units;
        let unit = matrices.params.flops() / u64::from(all);
        let budget = self.budget.work();
        let mut work = 0;
        while at.step <= steps && (work == 0 || work + unit <= budget) {
            if at.units == 0 {
                self.fill(encoder, matrices, chain.key(at.step), &matrices.left);
            }
            let fit = u32::try_from((budget - work.min(budget)) / unit).unwrap_or(u32::MAX);
            let units = fit.clamp(1, all - at.units);
            let part = matmul::Params { start: at.units, units, ..matrices.params };
            let operands = [&matrices.left, matrices.product_of(at.step - 1), matrices.product_of(at.step)];
            self.encode_product(encoder, &matrices.product, &part, operands);
            work += unit * u64::from(units);
            at.units += units;
            if at.units == all {
                *at = Progress { step: at.step + 1, units: 0 };
            }
        }
        work
    }

    fn fill(&self, encoder: &mut wgpu::CommandEncoder, matrices: &Matrices, key: MatrixKey, out: &wgpu::Buffer) {
        let entries = matrices.params.m * matrices.params.n;
        let MatrixKey([first, second]) = key;
        // The last word fills the struct up to the alignment of its vector.
        let params = self.filled("params", bytemuck::bytes_of(&[first, second, entries, 0]));
        self.dispatch(encoder, &matrices.fill, &[&params, out], entries.div_ceil(ENTRIES_AT_ONCE));
    }
}

impl Matrices {
    /// Where the product of so many steps lies.
    fn product_of(&self, step: u32) -> &wgpu::Buffer {
        let [even, odd] = &self.right;
        if step.is_multiple_of(2) { even } else { odd }
    }
}
