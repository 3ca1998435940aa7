//! ONNX in, rows out.
//!
//! [`Graph::parse`] checks a model once; [`Graph::plan`] fixes shapes for one batch size and turns
//! the nodes into kernel calls; a [`Plan`] runs on a device (`forward`, with feature `wgpu`) or on
//! the CPU ([`Plan::run`]), which is how the edge re-checks a tile.
//!
//! Control flow is decided and unrolled while the plan is made. Left out: decisions that only values
//! tell, strings, and operators whose output's shape depends on values.

mod body;
pub mod error;
mod external;
mod feeds;
#[cfg(feature = "wgpu")]
pub mod forward;
mod functions;
mod fuse;
mod gpu_program;
mod halves;
mod lower;
mod memory;
mod plan;
pub mod proto;
mod repeat;
mod rewrite;
mod rows;
mod simplify;
mod tensor;
mod window;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use gpu_kernels::dtype::DType;
use prost::Message;

use body::{Body, Scope};
pub use error::ModelError;
pub use feeds::{FeedError, InputArray, feeds};
use halves::Halves;
pub use lower::{NOT_SUPPORTED, operators};
pub use memory::{Arena, Slots};
pub use plan::{Plan, Source, Step, Value, ValueId};
pub use rewrite::rewritten;
use rows::Rows;
pub use tensor::Tensor;

/// Oldest operator set whose definitions of our operators were read.
pub const OPSET_MIN: i64 = 7;
/// Newest operator set whose definitions of our operators were read.
pub const OPSET_MAX: i64 = 28;

/// What a model of other domains alone is read by.
const OPSET_USUAL: i64 = 17;

/// A checked model.
#[derive(Debug)]
pub struct Graph {
    nodes: Vec<Node>,
    constants: HashMap<String, Tensor>,
    /// What must be fed, in order.
    pub inputs: Vec<Port>,
    outputs: Vec<String>,
    opset: i64,
    /// Of the constants, those that half floats hold.
    halves: Arc<Halves>,
    /// The turns in which rows fed like this run, as was found last.
    turns: Mutex<Option<(Vec<Feed>, Option<usize>)>>,
}

#[derive(Debug)]
struct Node {
    name: String,
    op: String,
    attributes: Vec<proto::Attribute>,
    /// Empty where an optional input was left out.
    inputs: Vec<String>,
    /// Empty where an output is not wanted.
    outputs: Vec<String>,
    /// The graphs inside it, by the attribute that holds them.
    bodies: Vec<(String, Body)>,
}

impl Node {
    /// Every name that it reads, those that its bodies use among them.
    fn reads(&self) -> impl Iterator<Item = &String> {
        self.inputs.iter().chain(self.bodies.iter().flat_map(|(_, body)| body.reads()))
    }
}

/// An input as the model declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub name: String,
    pub dtype: DType,
    /// `None` where nothing is said, else a size or nothing an axis.
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

    fn is_rows(&self) -> bool {
        matches!(self, Self::Rows(_))
    }
}

/// What a model does to rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    pub outputs: Vec<Field>,
    /// The node that mixes rows, if one does: then all rows are one tile.
    pub mixed_by: Option<String>,
    /// Rows that the model takes at a time: fewer cost as much. One, unless it fixes its batch.
    pub turn: usize,
    /// Rows that one plan should hold; more would make it too long.
    pub rows_at_once: usize,
}

/// An output, a row at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub dtype: DType,
    /// Without the batch.
    pub shape: Vec<usize>,
}

impl Graph {
    /// Reads a model: ONNX, or a `.zip` of one with the files in which it keeps its tensors.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        if bytes.starts_with(external::ZIP) {
            let (model, files) = external::unpack(bytes)?;
            return Self::parse_with(&model, &files);
        }
        Self::parse_with(bytes, &HashMap::new())
    }

    fn parse_with(bytes: &[u8], files: &HashMap<String, Vec<u8>>) -> Result<Self, ModelError> {
        let model = proto::Model::decode(bytes).map_err(|error| ModelError::NotOnnx { reason: error.to_string() })?;
        let not_onnx = |reason: &str| ModelError::NotOnnx { reason: reason.to_owned() };
        let mut graph = model.graph.ok_or_else(|| not_onnx("it holds no graph"))?;
        if !files.is_empty() {
            external::resolve(&mut graph, files)?;
        }
        let opset = model.opset_import.iter().find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"));
        let opset = match opset {
            Some(opset) => opset.version,
            // Operators of other domains are said in these.
            None if !model.opset_import.is_empty() => OPSET_USUAL,
            None => return Err(not_onnx("it names no operator set")),
        };
        if !(OPSET_MIN..=OPSET_MAX).contains(&opset) {
            return Err(ModelError::Opset { found: opset });
        }
        functions::inline(&mut graph, &model.functions)?;
        rewrite::rewrite(&mut graph)?;
        Self::from_proto(graph, opset)
    }

    fn from_proto(graph: proto::Graph, opset: i64) -> Result<Self, ModelError> {
        let mut constants = HashMap::new();
        for tensor in graph.initializer {
            let parsed = Tensor::parse(&tensor.name, &tensor)?;
            if constants.insert(tensor.name.clone(), parsed).is_some() {
                return Err(ModelError::DuplicateName { tensor: tensor.name });
            }
        }
        let fed = graph.input.iter().filter(|input| !constants.contains_key(&input.name));
        let inputs: Vec<Port> = fed.map(port).collect::<Result<_, _>>()?;
        graph.output.iter().try_for_each(check_output)?;
        let outputs: Vec<String> = graph.output.into_iter().map(|output| output.name).collect();
        if outputs.is_empty() {
            return Err(ModelError::NoOutput);
        }

        let mut scope = Scope::default();
        for name in constants.keys().chain(inputs.iter().map(|input| &input.name)) {
            scope.define(name)?;
        }
        let nodes = scope.nodes(graph.node)?;
        if let Some(missing) = outputs.iter().find(|output| !scope.knows(output)) {
            return Err(ModelError::MissingTensor { node: "output".to_owned(), tensor: missing.clone() });
        }
        let mut graph =
            Self { nodes, constants, inputs, outputs, opset, halves: Arc::default(), turns: Mutex::default() };
        graph.simplify();
        graph.halves = Arc::new(Halves::find(graph.constants.values()));
        Ok(graph)
    }

    /// Checks what is fed against the model, and finds the outputs' row shapes.
    ///
    /// # Errors
    /// Whatever keeps the model from running on such rows, by node.
    pub fn signature(&self, feeds: &[Feed]) -> Result<Signature, ModelError> {
        if !feeds.iter().any(Feed::is_rows) {
            return self.whole_signature(feeds);
        }
        match self.turn(feeds) {
            Some(batch) => self.signature_by_turns(batch, feeds),
            None => self.batched_signature(feeds).map_err(|error| self.why_not_by_turns(error, feeds)),
        }
    }

    /// What it does to arrays that are no rows: one row's work, whose outputs are whole too.
    fn whole_signature(&self, feeds: &[Feed]) -> Result<Signature, ModelError> {
        let plan = self.plan_at_once(1, feeds)?;
        let fields = self.outputs.iter().zip(&plan.outputs).map(|(name, &id)| {
            let Value { dtype, shape, .. } = &plan.values[id];
            Field { name: name.clone(), dtype: *dtype, shape: shape.clone() }
        });
        let outputs: Vec<Field> = fields.collect();
        if let Some(Field { name, shape, .. }) = outputs.iter().find(|field| field.shape.contains(&0)) {
            let (node, found) = (name.clone(), error::show(shape));
            return Err(ModelError::Shape { node, reason: "the output holds no value", found });
        }
        Ok(Signature { outputs, mixed_by: None, turn: 1, rows_at_once: 1 })
    }

    /// The same where several rows go at once.
    fn batched_signature(&self, feeds: &[Feed]) -> Result<Signature, ModelError> {
        // Two batch sizes tell a dimension that follows the batch from one that only equals it.
        let (two, three) = (self.plan_at_once(2, feeds)?, self.plan_at_once(3, feeds)?);
        let (rows_two, rows_three) = (rows::of_plan(&two, 2), rows::of_plan(&three, 3));
        let mut mixed = batch_in_constants(&two, &three);
        let mut outputs = Vec::new();
        for ((name, &a), &b) in self.outputs.iter().zip(&two.outputs).zip(&three.outputs) {
            let (shape, other) = (&two.values[a].shape, &three.values[b].shape);
            if shape.contains(&0) {
                let (node, found) = (name.clone(), error::show(shape));
                return Err(ModelError::Shape { node, reason: "a row of the output holds no value", found });
            }
            let follows = shape.first() == Some(&2) && other.first() == Some(&3) && shape[1..] == other[1..];
            let kept = [rows_two[two.root(a)], rows_three[three.root(b)]];
            // The batch comes first, and all that follows it is a row's.
            let apart = [(&two.values[a], 2), (&three.values[b], 3)]
                .map(|(value, batch)| Rows::Apart { inner: i64::try_from(value.len() / batch).unwrap_or(i64::MAX) });
            let by = kept.iter().find_map(|rows| if let Rows::Mixed(node) = rows { Some(*node) } else { None });
            if !follows || (by.is_none() && kept != apart) {
                let last = by.or_else(|| self.nodes.len().checked_sub(1)).and_then(|node| self.nodes.get(node));
                let node = last.map_or_else(|| name.clone(), |node| node.name.clone());
                return Err(ModelError::MixesRows { node });
            }
            mixed = mixed.or(by);
            outputs.push(Field { name: name.clone(), dtype: two.values[a].dtype, shape: shape[1..].to_vec() });
        }
        let mixed_by = mixed.and_then(|node| self.nodes.get(node)).map(|node| node.name.clone());
        Ok(Signature { outputs, mixed_by, turn: 1, rows_at_once: usize::MAX })
    }

    fn check_feeds(&self, feeds: &[Feed]) -> Result<(), ModelError> {
        if feeds.len() != self.inputs.len() {
            let names = self.inputs.iter().map(|input| input.name.clone()).collect();
            return Err(ModelError::InputCount { names, expected: self.inputs.len(), found: feeds.len() });
        }
        for (input, feed) in self.inputs.iter().zip(feeds) {
            let Some(declared) = &input.shape else { continue };
            let found = feed.shape_of(1);
            // A batch that the model fixes is not held against it: exporters fix it without need.
            let from = usize::from(feed.is_rows());
            let fits = declared.len() == found.len()
                && declared.iter().zip(&found).skip(from).all(|(said, size)| said.is_none_or(|said| said == *size));
            if !fits {
                let said =
                    declared.iter().skip(from).map(|size| size.map_or("any".to_owned(), |size| size.to_string()));
                let (expected, found) = (said.collect::<Vec<_>>().join(", "), error::show(&found[from..]));
                let input = input.name.clone();
                return Err(ModelError::InputShape { input, expected: format!("[{expected}]"), found });
            }
        }
        Ok(())
    }
}

/// A step that reads a small constant which differs between two batch sizes, though its shape does
/// not: a mean over the batch, say, written as a product with its inverse.
fn batch_in_constants(two: &Plan, three: &Plan) -> Option<usize> {
    const SMALL: usize = 64;
    let pairs = two.steps.iter().zip(&three.steps).filter(|(a, b)| a.node == b.node);
    for (a, b) in pairs {
        for (&x, &y) in a.inputs.iter().zip(&b.inputs) {
            if let (Source::Constant(x), Source::Constant(y)) = (&two.values[x].source, &three.values[y].source)
                && x.len() == y.len()
                && x.len() <= SMALL
                && x != y
            {
                return Some(a.node);
            }
        }
    }
    None
}

/// Refuses an output that is no tensor; what the tensor holds is found out by the plan.
fn check_output(output: &proto::ValueInfo) -> Result<(), ModelError> {
    match &output.r#type {
        Some(proto::Type { tensor_type: None }) => {
            Err(ModelError::DataType { tensor: output.name.clone(), found: "a sequence, map or optional" })
        }
        Some(_) | None => Ok(()),
    }
}

fn port(input: &proto::ValueInfo) -> Result<Port, ModelError> {
    let Some(given) = &input.r#type else {
        return Ok(Port { name: input.name.clone(), dtype: DType::F32, shape: None });
    };
    let Some(tensor) = &given.tensor_type else {
        return Err(ModelError::DataType { tensor: input.name.clone(), found: "a sequence, map or optional" });
    };
    let found = proto::data_type_name(tensor.elem_type);
    // What is fed comes in the type that it is computed in.
    let fed = Some(tensor.elem_type).filter(|&number| number != proto::DOUBLE);
    let dtype =
        fed.and_then(DType::from_onnx).ok_or_else(|| ModelError::DataType { tensor: input.name.clone(), found })?;
    // A size of zero or less is how some exporters write "unknown".
    let size = |dim: &proto::Dimension| dim.value.and_then(|v| usize::try_from(v).ok()).filter(|&v| v > 0);
    let shape = tensor.shape.as_ref().map(|shape| shape.dim.iter().map(size).collect());
    Ok(Port { name: input.name.clone(), dtype, shape })
}
