//! What differs between a native device and a tab: who may touch the GPU when, and how one waits.

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod tab;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use self::native::{Exclusive, now, run_blocking, sleep};
#[cfg(target_arch = "wasm32")]
pub(crate) use self::tab::{Exclusive, now, open, run_blocking, sleep};
