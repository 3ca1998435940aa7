//! The kernels, a folder each: `<name>.wgsl`, `reference.rs` (the truth), and `mod.rs` with the
//! parameters that both read. A [`Call`] is one kernel with its parameters; it knows its work, how
//! it may be cut and which elements it touches, and never which tensors it runs on.
//!
//! All data are words of 32 bits; see [`crate::dtype`].

mod access;
mod call;
pub mod conv;
pub mod elementwise;
pub mod gather;
mod index;
mod interface;
mod kernel;
pub mod layout;
pub mod matmul;
pub mod norm;
pub mod pool;
pub mod reduce;
pub mod resample;
pub mod scan;
pub mod scatter;
pub mod softmax;
pub mod top_k;
mod view;
mod wgsl;
mod workgroup;

pub use self::access::{Access, AccessFootprint};
pub use self::call::Call;
pub use self::kernel::Kernel;
pub use self::view::{MAX_RANK, View};
pub use self::workgroup::{GROUP, units_for};
