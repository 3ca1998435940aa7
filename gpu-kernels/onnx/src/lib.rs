//! ONNX in, rows out.
//!
//! [`Graph::parse`] checks a model once; [`Graph::plan`] fixes shapes for one batch size and turns
//! the nodes into kernel calls; a [`Plan`] runs on a device (`forward`, with feature `wgpu`) or on
//! the CPU ([`Plan::run`]), which is how the edge re-checks a tile.
//!
//! Control flow is decided and unrolled while the plan is made. Left out: decisions that only values
//! tell, strings, and operators whose output's shape depends on values.

mod builder;
mod cpu;
mod error;
mod external;
mod f16_constants;
mod feeds;
#[cfg(feature = "wgpu")]
pub mod forward;
mod functions;
mod gpu_program;
mod graph;
mod ir;
mod limits;
mod lower;
mod parse;
mod passes;
mod planner;
pub mod proto;
mod rewrite;
mod signature;
mod tensor;
mod unsupported;

pub use cpu::Arena;
pub use error::ModelError;
pub use feeds::{FeedError, InputArray, feeds};
pub use graph::{Feed, Graph, Port};
pub use ir::{Plan, Step, Value, ValueId, ValueKind};
pub use limits::{OPSET_MAX, OPSET_MIN};
pub use lower::ops::operators;
pub use passes::memory::Slots;
pub use rewrite::rewritten;
pub use signature::{Field, Signature};
pub use tensor::Tensor;
pub use unsupported::NOT_SUPPORTED;
