//! A GPU: adapter, limits and compiled pipelines. No result is used before every error scope around it was
//! read.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_channel::oneshot;
use web_time::Instant;

use super::budget::Budget;
use super::error::GpuError;
use super::info::DeviceInfo;
use crate::customer_kernel::Driver;

pub struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub info: DeviceInfo,
    pub(crate) budget: Budget,
    /// Compiled shaders, by their text.
    pipelines: HashMap<String, wgpu::ComputePipeline>,
    lost: Arc<OnceLock<String>>,
    driver: Driver,
}

/// One for the whole process: with the last one a driver is unloaded, and some cannot be loaded time and again.
#[cfg(not(target_family = "wasm"))]
fn instance() -> &'static wgpu::Instance {
    static INSTANCE: OnceLock<wgpu::Instance> = OnceLock::new();
    INSTANCE.get_or_init(new_instance)
}

/// A browser keeps its drivers itself.
#[cfg(target_family = "wasm")]
fn instance() -> wgpu::Instance {
    new_instance()
}

fn new_instance() -> wgpu::Instance {
    wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::PRIMARY,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    })
}

/// Open error scopes; closed by [`Gpu::close`].
pub struct Scopes([wgpu::ErrorScopeGuard; 3]);

impl Gpu {
    /// Opens the adapter that the platform prefers for heavy work. `limit` is the budget of one
    /// submission.
    pub async fn open(limit: Duration) -> Result<Self, GpuError> {
        let instance = instance();
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = instance
            .request_adapter(&options)
            .await
            .map_err(|error| GpuError::NoAdapter { reason: error.to_string() })?;
        Self::from_adapter(&adapter, limit).await
    }

    async fn from_adapter(adapter: &wgpu::Adapter, limit: Duration) -> Result<Self, GpuError> {
        let limits = adapter.limits();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("tessera"),
            required_limits: limits.clone(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|error| GpuError::NoDevice { reason: error.to_string() })?;
        let lost = Arc::new(OnceLock::new());
        let on_lost = Arc::clone(&lost);
        device.set_device_lost_callback(move |reason, message| {
            on_lost.get_or_init(|| format!("{reason:?}: {message}"));
        });
        let about = adapter.get_info();
        let backend = match about.backend {
            wgpu::Backend::Vulkan => "vulkan",
            wgpu::Backend::Metal => "metal",
            wgpu::Backend::Dx12 => "dx12",
            wgpu::Backend::Gl => "gl",
            wgpu::Backend::Noop => "noop",
            wgpu::Backend::BrowserWebGpu => "webgpu",
        };
        let driver = if about.driver == "llvmpipe" { Driver::Llvmpipe } else { Driver::Any };
        let info = DeviceInfo {
            name: if about.name.is_empty() { "GPU".to_owned() } else { about.name },
            backend,
            kernels: Some(backend),
            software: about.device_type == wgpu::DeviceType::Cpu,
            buffer_bytes_max: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
        };
        Ok(Self { device, queue, info, budget: Budget::new(limit), pipelines: HashMap::new(), lost, driver })
    }

    /// What customers' kernels are written for.
    pub fn driver(&self) -> Driver {
        self.driver
    }

    /// The same device once more, with a budget of its own. What either submits takes its turn.
    pub(crate) fn share(&self) -> Self {
        Self {
            device: self.device.clone(),
            queue: self.queue.clone(),
            info: self.info.clone(),
            budget: self.budget,
            pipelines: self.pipelines.clone(),
            lost: Arc::clone(&self.lost),
            driver: self.driver,
        }
    }

    /// Why the device was lost, if it was.
    pub fn lost(&self) -> Option<GpuError> {
        self.lost.get().map(|reason| GpuError::Lost { reason: reason.clone() })
    }

    /// Replaces the budget, and with it what was learned about this device's speed.
    pub fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// Compiles a shader, or finds it compiled.
    pub(crate) fn pipeline(&mut self, label: &str, wgsl: &str) -> wgpu::ComputePipeline {
        if let Some(known) = self.pipelines.get(wgsl) {
            return known.clone();
        }
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(label),
            source: wgpu::ShaderSource::Wgsl(wgsl.into()),
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(label),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        self.pipelines.insert(wgsl.to_owned(), pipeline.clone());
        pipeline
    }

    /// Refuses a buffer that the device cannot hold.
    pub(crate) fn check_size(&self, label: &str, needed: u64) -> Result<(), GpuError> {
        let limit = self.info.buffer_bytes_max;
        if needed > limit {
            return Err(GpuError::TooLarge { label: label.to_owned(), needed, limit });
        }
        Ok(())
    }

    pub(crate) fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes,
            usage,
            mapped_at_creation: false,
        })
    }

    pub(crate) fn filled(&self, label: &str, bytes: &[u8]) -> wgpu::Buffer {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let size = u64::try_from(bytes.len()).expect("a length should fit 64 bits");
        let buffer = self.buffer(label, size, usage);
        self.queue.write_buffer(&buffer, 0, bytes);
        buffer
    }

    /// Catches the errors of what follows, until [`Gpu::close`] reads them.
    pub fn scopes(&self) -> Scopes {
        let push = |filter| self.device.push_error_scope(filter);
        Scopes([
            push(wgpu::ErrorFilter::OutOfMemory),
            push(wgpu::ErrorFilter::Internal),
            push(wgpu::ErrorFilter::Validation),
        ])
    }

    /// Reads the scopes, innermost first. An error here means that nothing computed inside them counts.
    pub async fn close(&self, scopes: Scopes) -> Result<(), GpuError> {
        let mut first = None;
        for scope in scopes.0.into_iter().rev() {
            if let Some(error) = scope.pop().await {
                first.get_or_insert(error);
            }
        }
        if let Some(lost) = self.lost() {
            return Err(lost);
        }
        match first {
            None => Ok(()),
            Some(wgpu::Error::OutOfMemory { source }) => Err(GpuError::OutOfMemory { reason: source.to_string() }),
            Some(wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. }) => {
                Err(GpuError::Validation { reason: description })
            }
        }
    }

    /// Frees pending writes to buffers that were dropped: they are kept until the next submission.
    pub fn forget_writes(&self) {
        self.queue.submit([]);
        // What is still in use is freed by the next wait.
        self.device.poll(wgpu::PollType::Poll).map(drop).unwrap_or_default();
    }

    /// Submits and waits until the device is done. Returns how long that took.
    pub(crate) async fn submit(&self, encoder: wgpu::CommandEncoder) -> Result<Duration, GpuError> {
        let begun = Instant::now();
        self.queue.submit([encoder.finish()]);
        let (sender, receiver) = oneshot::channel();
        self.queue.on_submitted_work_done(move || {
            // The receiver is gone only when the run was dropped, and then nobody waits.
            sender.send(()).unwrap_or_default();
        });
        self.wait(receiver).await?;
        Ok(begun.elapsed())
    }

    /// The words of a mappable buffer.
    pub(crate) async fn read(&self, buffer: &wgpu::Buffer) -> Result<Vec<u32>, GpuError> {
        let (sender, receiver) = oneshot::channel();
        buffer.map_async(wgpu::MapMode::Read, .., move |result| drop(sender.send(result)));
        self.wait(receiver).await?.map_err(|error| GpuError::Lost { reason: error.to_string() })?;
        let values = {
            let view = buffer.get_mapped_range(..).map_err(|error| GpuError::Lost { reason: error.to_string() })?;
            bytemuck::pod_collect_to_vec(&view[..])
        };
        buffer.unmap();
        Ok(values)
    }

    async fn wait<T>(&self, receiver: oneshot::Receiver<T>) -> Result<T, GpuError> {
        // In a browser this does nothing: the event loop calls back by itself.
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .map_err(|error| GpuError::Lost { reason: error.to_string() })?;
        let answer = receiver.await.map_err(|error| GpuError::Lost { reason: error.to_string() })?;
        self.lost().map_or(Ok(answer), Err)
    }
}
