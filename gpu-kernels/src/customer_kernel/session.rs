//! A gated kernel on a GPU, tile by tile.

use std::ops::ControlFlow;
use std::time::Duration;

use super::{
    Fault, GROUPS_MAX, GatedKernel, MapOutput, STATUS_CUT, STATUS_FAULT, STATUS_LEFT, STATUS_RECORDS, STATUS_USED,
    STATUS_WORDS,
};
use crate::device::budget::Budget;
use crate::device::{Gpu, GpuError};
use crate::number;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    #[error(transparent)]
    Gpu(#[from] GpuError),
    #[error("the kernel does not compile here: {reason}")]
    Compile { reason: String },
    #[error("this device's driver leaves loops once those of a record have turned 65,535 times together")]
    Cut,
    #[error("the run was stopped between two submissions")]
    Stopped,
    #[error("{what} hold {found} bytes where {expected} were expected")]
    Input { what: &'static str, expected: u64, found: u64 },
    #[error("a tile of {records} records is too large; at most {most}")]
    Tile { records: u64, most: u64 },
    #[error("tile {tile}: the loop in line {} {}", fault.line, if fault.turns { "turned too often" } else { "ran out of fuel" })]
    OutOfFuel { tile: u64, fault: Fault },
}

/// The records of one run, and how they are cut into tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Records {
    pub records: u64,
    /// Records of a tile; the last may have fewer.
    pub tile: u64,
    /// Size of an input record, in bytes.
    pub record_bytes: u64,
    /// Size of an output record, in bytes.
    pub out_bytes: u64,
}

/// A kernel compiled for one device, with its parameters.
pub struct MapSession {
    kernel: GatedKernel,
    pipeline: wgpu::ComputePipeline,
    params: Option<wgpu::Buffer>,
    budget: Budget,
}

const RECORDS: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_DST).union(wgpu::BufferUsages::COPY_SRC);

impl MapSession {
    /// Compiles the kernel. `limit` is the budget of one submission.
    pub async fn new(gpu: &Gpu, kernel: GatedKernel, params: &[u8], limit: Duration) -> Result<Self, MapError> {
        let expected = u64::from(kernel.params_bytes.unwrap_or(0));
        check_len("the parameters", expected, params)?;
        let scopes = gpu.scopes();
        let layout = layout(gpu, kernel.params_bytes.is_some());
        let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("map"),
            source: wgpu::ShaderSource::Wgsl(kernel.wgsl.as_str().into()),
        });
        let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("map"),
            layout: Some(&layout),
            module: &module,
            entry_point: Some("main"),
            // Workgroup memory starts at zero, and wgpu checks indices once more.
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: true,
                ..Default::default()
            },
            cache: None,
        });
        let params = kernel.params_bytes.map(|bytes| {
            let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
            let buffer = gpu.buffer("params", u64::from(bytes).next_multiple_of(16), usage);
            gpu.queue.write_buffer(&buffer, 0, params);
            buffer
        });
        gpu.close(scopes).await.map_err(|error| match error {
            GpuError::Validation { reason } => MapError::Compile { reason },
            error => error.into(),
        })?;
        Ok(Self { kernel, pipeline, params, budget: Budget::new(limit) })
    }

    /// Runs every record; the first fault ends the run. `pace` is awaited after each submission with
    /// the time the device was busy.
    pub async fn run(
        &mut self,
        gpu: &Gpu,
        records: Records,
        input: &[u8],
        pace: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<MapOutput, MapError> {
        check_len("the records", records.records * records.record_bytes, input)?;
        let most = GROUPS_MAX * u64::from(self.kernel.workgroup_size);
        if records.tile > most || records.tile == 0 {
            return Err(MapError::Tile { records: records.tile, most });
        }
        let mut output = MapOutput { records: Vec::new(), fuel_used: 0, fuel_left: Vec::new() };
        let (mut first, tiles) = (0, records.records.div_ceil(records.tile));
        let tile_ops = self.kernel.ops.saturating_mul(records.tile).max(1);
        while first < tiles {
            let fit = (self.budget.work() / tile_ops).clamp(1, tiles - first);
            let scopes = gpu.scopes();
            let ran = self.submit(gpu, records, first..first + fit, input, &mut output).await;
            gpu.close(scopes).await?;
            let busy = ran?;
            self.budget.learn(tile_ops.saturating_mul(fit), busy);
            if pace(busy).await.is_break() {
                return Err(MapError::Stopped);
            }
            first += fit;
        }
        Ok(output)
    }

    /// Runs some tiles in one submission, one after another through the same buffers.
    async fn submit(
        &self,
        gpu: &Gpu,
        records: Records,
        tiles: std::ops::Range<u64>,
        input: &[u8],
        output: &mut MapOutput,
    ) -> Result<Duration, MapError> {
        let at = |record: u64, bytes: u64| number::to::<usize, _>(record * bytes);
        let rows = tiles.start * records.tile..(tiles.end * records.tile).min(records.records);
        let (count, status_bytes) = (rows.end - rows.start, 4 * STATUS_WORDS as u64);
        for bytes in [count * records.record_bytes, count * records.out_bytes] {
            gpu.check_size("the records of a submission", bytes)?;
        }
        let source = gpu.buffer("input", count * records.record_bytes, RECORDS);
        gpu.queue.write_buffer(
            &source,
            0,
            &input[at(rows.start, records.record_bytes)..at(rows.end, records.record_bytes)],
        );
        let statuses: Vec<u32> = tiles
            .clone()
            .flat_map(|tile| {
                let mut words = [0; STATUS_WORDS];
                let here = records.tile.min(records.records - tile * records.tile);
                words[STATUS_RECORDS] = number::to(here);
                words
            })
            .collect();
        let status_source = gpu.buffer("status", status_bytes * (tiles.end - tiles.start), RECORDS);
        gpu.queue.write_buffer(&status_source, 0, bytemuck::cast_slice(&statuses));
        let read_bytes = count * records.out_bytes + status_bytes * (tiles.end - tiles.start);
        let read = gpu.buffer("read", read_bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut bound: Option<(u64, Bound)> = None;
        for tile in tiles.clone() {
            let index = tile - tiles.start;
            let first = tile * records.tile;
            let here = records.tile.min(records.records - first);
            if bound.as_ref().is_none_or(|(size, _)| *size != here) {
                bound = Some((here, self.bind(gpu, here, records)));
            }
            let Some((_, buffers)) = &bound else { continue };
            let (in_bytes, out_bytes) = (here * records.record_bytes, here * records.out_bytes);
            let place = first - rows.start;
            encoder.copy_buffer_to_buffer(&source, place * records.record_bytes, &buffers.input, 0, in_bytes);
            encoder.copy_buffer_to_buffer(&status_source, index * status_bytes, &buffers.status, 0, status_bytes);
            encoder.clear_buffer(&buffers.output, 0, None);
            {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                pass.set_pipeline(&self.pipeline);
                pass.set_bind_group(0, &buffers.group, &[]);
                let groups = here.div_ceil(u64::from(self.kernel.workgroup_size));
                pass.dispatch_workgroups(number::to(groups), 1, 1);
            }
            encoder.copy_buffer_to_buffer(&buffers.output, 0, &read, place * records.out_bytes, out_bytes);
            let status_at = count * records.out_bytes + index * status_bytes;
            encoder.copy_buffer_to_buffer(&buffers.status, 0, &read, status_at, status_bytes);
        }
        let busy = gpu.submit(encoder).await?;
        let words = gpu.read(&read).await?;
        let (values, statuses) = words.split_at(at(count, records.out_bytes / 4));
        for (tile, status) in tiles.zip(statuses.as_chunks::<STATUS_WORDS>().0) {
            if status[STATUS_FAULT] == STATUS_CUT {
                return Err(MapError::Cut);
            }
            if let Some(fault) = self.kernel.fault(status[STATUS_FAULT]) {
                return Err(MapError::OutOfFuel { tile, fault });
            }
            output.fuel_used = output.fuel_used.max(status[STATUS_USED]);
            output.fuel_left.push(if self.kernel.loop_lines.is_empty() { 0 } else { status[STATUS_LEFT] });
        }
        output.records.extend_from_slice(bytemuck::cast_slice(values));
        Ok(busy)
    }

    /// Buffers that hold exactly a tile's records, so that `arrayLength` tells their number.
    fn bind(&self, gpu: &Gpu, count: u64, records: Records) -> Bound {
        let input = gpu.buffer("tile", count * records.record_bytes, RECORDS);
        let output = gpu.buffer("tile", count * records.out_bytes, RECORDS);
        let status = gpu.buffer("status", 4 * STATUS_WORDS as u64, RECORDS);
        let mut bound = vec![(0, &input), (1, &output), (3, &status)];
        bound.extend(self.params.as_ref().map(|params| (2, params)));
        let entries: Vec<_> = bound
            .into_iter()
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let layout = self.pipeline.get_bind_group_layout(0);
        let group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("map"),
            layout: &layout,
            entries: &entries,
        });
        Bound { input, output, status, group }
    }
}

struct Bound {
    input: wgpu::Buffer,
    output: wgpu::Buffer,
    status: wgpu::Buffer,
    group: wgpu::BindGroup,
}

/// All bindings of the contract, whichever of them the kernel uses.
fn layout(gpu: &Gpu, params: bool) -> wgpu::PipelineLayout {
    let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    };
    let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
    let mut entries = vec![entry(0, storage(true)), entry(1, storage(false)), entry(3, storage(false))];
    if params {
        entries.push(entry(2, wgpu::BufferBindingType::Uniform));
    }
    let group =
        gpu.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some("map"), entries: &entries });
    gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some("map"),
        bind_group_layouts: &[Some(&group)],
        immediate_size: 0,
    })
}

fn check_len(what: &'static str, expected: u64, bytes: &[u8]) -> Result<(), MapError> {
    let found = number::to(bytes.len());
    if found == expected { Ok(()) } else { Err(MapError::Input { what, expected, found }) }
}
