#![doc = include_str!("../README.md")]
//!
//! ```
//! use onnx::proto::{Graph as GraphProto, Model, Node, OperatorSet, ValueInfo};
//! use onnx::{Feed, Graph};
//! use prost::Message;
//!
//! // y = Relu(x), as an exporter would write it into a file.
//! let named = |name: &str| ValueInfo { name: name.into(), ..Default::default() };
//! let relu =
//!     Node { op_type: "Relu".into(), input: vec!["x".into()], output: vec!["y".into()], ..Default::default() };
//! let graph =
//!     GraphProto { node: vec![relu], input: vec![named("x")], output: vec![named("y")], ..Default::default() };
//! let opset = OperatorSet { version: 17, ..Default::default() };
//! let file = Model { graph: Some(graph), opset_import: vec![opset], ..Default::default() }.encode_to_vec();
//!
//! let model = Graph::parse(&file)?;
//! let rows_of_three = [Feed::Rows(vec![3])];
//! assert_eq!(model.signature(&rows_of_three)?.outputs[0].shape, [3]);
//!
//! let plan = model.plan(2, &rows_of_three)?;
//! let input = [-1.0f32, 2.0, 0.5, 3.0, -4.0, 0.0].map(f32::to_bits);
//! let output = plan.run(&[&input]);
//! assert_eq!(output[0], [0.0f32, 2.0, 0.5, 3.0, 0.0, 0.0].map(f32::to_bits));
//! # Ok::<(), onnx::ModelError>(())
//! ```

mod batching;
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
