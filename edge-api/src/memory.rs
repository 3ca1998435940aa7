//! Bytes that may be in memory at once for one purpose, shared by those that wait for room.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

pub struct MemoryBudget {
    kib: Arc<Semaphore>,
    kib_max: u32,
}

impl MemoryBudget {
    pub fn new(bytes: u64) -> Self {
        let kib_max = kib(bytes).max(1);
        Self { kib: Arc::new(Semaphore::new(wire::number::to(kib_max))), kib_max }
    }

    pub fn bytes_max(&self) -> u64 {
        u64::from(self.kib_max) << 10
    }

    pub fn bytes_held(&self) -> u64 {
        self.bytes_max().saturating_sub(wire::number::to::<u64>(self.kib.available_permits()) << 10)
    }

    /// Waits for room, until the permit is dropped. What is larger than all of it has it alone.
    pub async fn hold(&self, bytes: u64) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.kib).acquire_many_owned(kib(bytes).clamp(1, self.kib_max)).await
    }
}

fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX >> 1)
}
