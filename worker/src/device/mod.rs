//! What differs between a native device and a tab: who may touch the GPU when, and how one waits.

#[cfg(not(target_arch = "wasm32"))]
pub use native::{Exclusive, MaybeSend, now, sleep};
#[cfg(target_arch = "wasm32")]
pub use tab::{Exclusive, MaybeSend, now, open, sleep};

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use wire::Micros;

    /// Futures here move between threads.
    pub trait MaybeSend: Send {}
    impl<T: Send> MaybeSend for T {}

    /// Something that one lease at a time may use, on a thread that may block.
    pub struct Exclusive<T>(Arc<Mutex<T>>);

    impl<T: Send + 'static> Exclusive<T> {
        pub fn new(value: T) -> Self {
            Self(Arc::new(Mutex::new(value)))
        }

        pub async fn with<R: Send + 'static>(&self, work: impl AsyncFnOnce(&mut T) -> R + Send + 'static) -> R {
            let held = Arc::clone(&self.0);
            let done = tokio::task::spawn_blocking(move || {
                let mut value = held.lock().unwrap_or_else(PoisonError::into_inner);
                pollster::block_on(work(&mut value))
            });
            done.await.expect("GPU work should not panic")
        }
    }

    /// Called inside [`Exclusive::with`], whose thread may block.
    pub async fn sleep(time: Duration) {
        std::thread::sleep(time);
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn now() -> Micros {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Micros::try_from(since.as_micros()).unwrap_or(Micros::MAX)
    }
}

#[cfg(target_arch = "wasm32")]
mod tab {
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
    pub async fn open() -> Result<Device, GpuError> {
        Ok(Device::Gpu(Box::new(Gpu::open(budget::TAB).await?)))
    }

    /// This browser's processor. A Web Worker holds up no page, so a run may be as long as a native one.
    #[cfg(feature = "cpu")]
    pub async fn open() -> Result<Device, GpuError> {
        Ok(Device::Cpu(Cpu::open(budget::NATIVE, None)))
    }

    /// Futures here stay on their thread.
    pub trait MaybeSend {}
    impl<T> MaybeSend for T {}

    /// Something that one lease at a time may use. The browser's event loop drives its work.
    pub struct Exclusive<T>(Mutex<T>);

    impl<T> Exclusive<T> {
        pub fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        pub async fn with<R>(&self, work: impl AsyncFnOnce(&mut T) -> R) -> R {
            work(&mut *self.0.lock().await).await
        }
    }

    /// On the CPU no time at all still lets messages in: while it computes, nothing is heard.
    pub async fn sleep(time: Duration) {
        if cfg!(feature = "cpu") || !time.is_zero() {
            gloo_timers::future::sleep(time).await;
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::as_conversions,
        reason = "microseconds of this century fit 53 bits"
    )]
    pub fn now() -> Micros {
        (js_sys::Date::now() * 1000.0) as Micros
    }
}
