use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wire::Micros;

/// Something that one lease at a time may use, on a thread that may block.
pub(crate) struct Exclusive<T>(Arc<Mutex<T>>);

impl<T: Send + 'static> Exclusive<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(value)))
    }

    pub(crate) async fn with<R: Send + 'static>(&self, work: impl AsyncFnOnce(&mut T) -> R + Send + 'static) -> R {
        let held = Arc::clone(&self.0);
        run_blocking(move || {
            let mut value = held.lock().unwrap_or_else(PoisonError::into_inner);
            pollster::block_on(work(&mut value))
        })
        .await
    }
}

/// Does what takes long on a thread that may block.
pub(crate) async fn run_blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    tokio::task::spawn_blocking(work).await.expect("work on a device should not panic")
}

/// Called inside [`Exclusive::with`], whose thread may block.
pub(crate) async fn sleep(time: Duration) {
    std::thread::sleep(time);
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub(crate) fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    wire::number::to(since.as_micros())
}
