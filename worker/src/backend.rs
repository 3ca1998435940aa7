//! What a device computes with, as hellos and receipts name it.

use wire::device::Backend;

/// A backend as the kernels name it. They name one more, which computes nothing and is never opened.
pub(crate) fn backend_of(name: &str) -> Backend {
    Backend::from_name(name).unwrap_or(Backend::Cpu)
}
