use std::future::ready;
use std::time::Duration;

use futures::lock::Mutex;
#[cfg(feature = "cpu")]
use gpu_kernels::device::Cpu;
#[cfg(not(feature = "cpu"))]
use gpu_kernels::device::Gpu;
use gpu_kernels::device::{Device, GpuError, budget};
use wire::Micros;

/// This browser's GPU.
#[cfg(not(feature = "cpu"))]
pub(crate) async fn open() -> Result<Device, GpuError> {
    Ok(Device::Gpu(Box::new(Gpu::open(budget::TAB).await?)))
}

/// This browser's processor. A Web Worker holds up no page, so a run may be as long as a native one.
#[cfg(feature = "cpu")]
pub(crate) fn open() -> impl Future<Output = Result<Device, GpuError>> {
    ready(Ok(Device::Cpu(Cpu::open(budget::NATIVE, None))))
}

/// Something that one lease at a time may use. The browser's event loop drives its work.
pub(crate) struct Exclusive<T>(Mutex<T>);

impl<T> Exclusive<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) async fn with<R>(&self, work: impl AsyncFnOnce(&mut T) -> R) -> R {
        work(&mut *self.0.lock().await).await
    }
}

/// A Web Worker has one thread, and no page that it would hold up.
pub(crate) fn run_blocking<R>(work: impl FnOnce() -> R) -> impl Future<Output = R> {
    ready(work())
}

/// On the CPU even a pause of no time lets messages in: while it computes, none is handled.
pub(crate) async fn sleep(time: Duration) {
    if cfg!(feature = "cpu") || !time.is_zero() {
        gloo_timers::future::sleep(time).await;
    }
}

#[expect(clippy::cast_possible_truncation, clippy::as_conversions, reason = "microseconds of this century fit 53 bits")]
pub(crate) fn now() -> Micros {
    (js_sys::Date::now() * 1000.0) as Micros
}
