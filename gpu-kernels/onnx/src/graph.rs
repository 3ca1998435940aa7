//! A model as it was read: nodes over named tensors, checked, and still without shapes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use gpu_kernels::dtype::DType;

use crate::f16_constants::F16Constants;
use crate::proto;
use crate::tensor::Tensor;

/// A checked model.
#[derive(Debug)]
pub struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) constants: HashMap<String, Tensor>,
    /// What must be fed, in order.
    pub inputs: Vec<Port>,
    pub(crate) outputs: Vec<String>,
    pub(crate) opset: i64,
    /// Of the constants, those that half floats hold.
    pub(crate) f16_constants: Arc<F16Constants>,
    /// Rows of the micro-batches in which rows fed like this run, as was found last.
    pub(crate) micro_batch_known: Mutex<Option<(Vec<Feed>, Option<usize>)>>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) op: String,
    pub(crate) attributes: Vec<proto::Attribute>,
    /// Empty where an optional input was left out.
    pub(crate) inputs: Vec<String>,
    /// Empty where an output is not wanted.
    pub(crate) outputs: Vec<String>,
    /// The graphs inside it, by the attribute that holds them.
    pub(crate) bodies: Vec<(String, Body)>,
}

impl Graph {
    /// Whether some node takes away whatever axes have size 1.
    pub(crate) fn squeezes_unnamed_axes(&self) -> bool {
        self.nodes.iter().any(Node::squeezes_unnamed_axes)
    }
}

impl Node {
    fn squeezes_unnamed_axes(&self) -> bool {
        let names_axes = self.inputs.get(1).is_some_and(|name| !name.is_empty())
            || self.attributes.iter().any(|attribute| attribute.name == "axes");
        let mut inside = self.bodies.iter().flat_map(|(_, body)| &body.nodes);
        (self.op == "Squeeze" && !names_axes) || inside.any(Self::squeezes_unnamed_axes)
    }

    /// Every name that it reads, those that its bodies use among them.
    pub(crate) fn reads(&self) -> impl Iterator<Item = &String> {
        self.inputs.iter().chain(self.bodies.iter().flat_map(|(_, body)| body.reads()))
    }
}

/// An input as the model declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub name: String,
    pub dtype: DType,
    /// `None` where the model declares no shape; in it, `None` for an axis of any size.
    pub shape: Option<Vec<Option<usize>>>,
}

/// What an input is fed with.
#[derive(Clone, Debug, PartialEq)]
pub enum Feed {
    /// A row at a time, of this shape.
    Rows(Vec<usize>),
    /// One tensor of this shape, the same for all rows. Where no input has rows, the outputs have none
    /// either, and a plan is for one.
    Whole(Vec<usize>),
    /// The same for all rows, and known before the run: shapes may depend on it.
    Known(Tensor),
}

impl Feed {
    /// The input's shape for `batch` rows.
    pub fn shape_of(&self, batch: usize) -> Vec<usize> {
        match self {
            Self::Rows(row) => std::iter::once(batch).chain(row.iter().copied()).collect(),
            Self::Whole(shape) => shape.clone(),
            Self::Known(tensor) => tensor.shape.clone(),
        }
    }

    pub(crate) fn is_rows(&self) -> bool {
        matches!(self, Self::Rows(_))
    }
}

/// A graph inside a node.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) constants: Vec<(String, Tensor)>,
    pub(crate) nodes: Vec<Node>,
}

impl Body {
    /// Every name that its nodes read or that it gives, its own among them.
    pub(crate) fn reads(&self) -> Box<dyn Iterator<Item = &String> + '_> {
        Box::new(self.nodes.iter().flat_map(Node::reads).chain(&self.outputs))
    }
}
