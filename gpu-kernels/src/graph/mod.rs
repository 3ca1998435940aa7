//! ONNX in, rows out.
//!
//! [`Graph::parse`] checks a model once; [`Graph::plan`] fixes shapes for one batch size and turns
//! the nodes into kernel calls; a [`Plan`] runs on a device (`forward`, with feature `wgpu`) or on
//! the references alone ([`Plan::run_reference`]), which is how the edge re-checks a tile.
//!
//! Left out: several inputs or outputs, types other than float32, control flow.

pub mod error;
#[cfg(feature = "wgpu")]
pub mod forward;
mod lower;
mod memory;
pub mod onnx;
pub mod op;
mod plan;
mod rows;
mod window;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use prost::Message;

pub use error::ModelError;
pub use memory::Slots;
use op::Op;
pub use plan::{Plan, Source, Step, Value, ValueId};

/// Newest operator set whose definitions of our operators were read.
pub const OPSET_MAX: i64 = 25;

/// A checked model: one float32 input whose first dimension is the batch, one output.
#[derive(Debug)]
pub struct Graph {
    nodes: Vec<Node>,
    constants: HashMap<String, Constant>,
    input: String,
    /// What the model says of its input: `None` where nothing is said, else a size or nothing an axis.
    input_shape: Option<Vec<Option<usize>>>,
    output: String,
}

#[derive(Debug)]
struct Node {
    name: String,
    op: Op,
    /// Empty where an optional input was left out.
    inputs: Vec<String>,
    output: String,
}

#[derive(Clone, Debug)]
enum Constant {
    Floats { shape: Vec<usize>, data: Arc<[f32]> },
    Ints(Vec<i64>),
}

/// What a model does to rows of one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct RowShapes {
    /// Shape of an input row, without the batch.
    pub input: Vec<usize>,
    /// Shape of an output row, without the batch.
    pub output: Vec<usize>,
    /// The node that mixes rows, if one does: then all rows are one tile.
    pub mixed_by: Option<String>,
}

impl Graph {
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        let model = onnx::Model::decode(bytes).map_err(|error| ModelError::NotOnnx { reason: error.to_string() })?;
        let not_onnx = |reason: &str| ModelError::NotOnnx { reason: reason.to_owned() };
        let graph = model.graph.ok_or_else(|| not_onnx("it holds no graph"))?;
        let opset = model.opset_import.iter().find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"));
        let opset = opset.ok_or_else(|| not_onnx("it names no operator set"))?;
        if !(13..=OPSET_MAX).contains(&opset.version) {
            return Err(ModelError::Opset { found: opset.version });
        }
        Self::from_proto(graph)
    }

    fn from_proto(graph: onnx::Graph) -> Result<Self, ModelError> {
        let mut constants = HashMap::new();
        for tensor in graph.initializer {
            let name = tensor.name.clone();
            if constants.insert(name.clone(), constant(&name, tensor)?).is_some() {
                return Err(ModelError::DuplicateName { tensor: name });
            }
        }
        let inputs: Vec<onnx::ValueInfo> =
            graph.input.into_iter().filter(|input| !constants.contains_key(&input.name)).collect();
        let [input] = &inputs[..] else {
            return Err(ModelError::InputCount { names: inputs.into_iter().map(|input| input.name).collect() });
        };
        let [output] = &graph.output[..] else {
            return Err(ModelError::OutputCount {
                names: graph.output.into_iter().map(|output| output.name).collect(),
            });
        };

        let mut known: HashSet<String> = constants.keys().cloned().collect();
        known.insert(input.name.clone());
        let mut nodes = Vec::with_capacity(graph.node.len());
        for (index, node) in graph.node.into_iter().enumerate() {
            let parsed = parse_node(index, &node)?;
            for tensor in parsed.inputs.iter().filter(|tensor| !tensor.is_empty()) {
                if !known.contains(tensor) {
                    return Err(ModelError::MissingTensor { node: parsed.name, tensor: tensor.clone() });
                }
            }
            if !known.insert(parsed.output.clone()) {
                return Err(ModelError::DuplicateName { tensor: parsed.output });
            }
            match parsed.op {
                Op::Constant(tensor) => {
                    constants.insert(parsed.output.clone(), constant(&parsed.output, *tensor)?);
                }
                _ => nodes.push(parsed),
            }
        }
        if !known.contains(&output.name) {
            return Err(ModelError::MissingTensor { node: "output".to_owned(), tensor: output.name.clone() });
        }
        Ok(Self {
            nodes,
            constants,
            input: input.name.clone(),
            input_shape: declared_shape(input)?,
            output: output.name.clone(),
        })
    }

    /// Checks rows of `row` shape against the model, and finds the output's row shape.
    ///
    /// # Errors
    /// Whatever keeps the model from running on such rows, by node.
    pub fn row_shapes(&self, row: &[usize]) -> Result<RowShapes, ModelError> {
        self.check_input(row)?;
        // Two batch sizes tell a dimension that follows the batch from one that only equals it.
        let (two, three) = (self.plan(2, row)?, self.plan(3, row)?);
        let (two, three) = (&two.values[two.output], &three.values[three.output]);
        let mixed_by = two.rows.mixed_by().or(three.rows.mixed_by()).map(|node| self.nodes[node].name.clone());
        let follows =
            two.shape.first() == Some(&2) && three.shape.first() == Some(&3) && two.shape[1..] == three.shape[1..];
        let independent = two.rows.is_rows() && three.rows.is_rows();
        if !follows || !(independent || mixed_by.is_some()) {
            let last = self.nodes.last().map_or_else(|| "output".to_owned(), |node| node.name.clone());
            return Err(ModelError::MixesRows { node: mixed_by.unwrap_or(last) });
        }
        Ok(RowShapes { input: row.to_vec(), output: two.shape[1..].to_vec(), mixed_by })
    }

    fn check_input(&self, row: &[usize]) -> Result<(), ModelError> {
        let Some(declared) = &self.input_shape else {
            return Ok(());
        };
        let fits = declared.len() == row.len() + 1
            && declared.iter().skip(1).zip(row).all(|(declared, found)| declared.is_none_or(|size| size == *found));
        if fits {
            return Ok(());
        }
        let expected: Vec<String> = declared
            .iter()
            .skip(1)
            .map(|size| size.map_or_else(|| "any".to_owned(), |size| size.to_string()))
            .collect();
        Err(ModelError::InputShape { expected: format!("[{}]", expected.join(", ")), found: error::show(row) })
    }
}

fn parse_node(index: usize, node: &onnx::Node) -> Result<Node, ModelError> {
    let name = if node.name.is_empty() { format!("{}_{index}", node.op_type) } else { node.name.clone() };
    let op = op::parse(node, &name)?;
    let mut outputs = node.output.iter().filter(|output| !output.is_empty());
    match (outputs.next(), outputs.next()) {
        (Some(output), None) => Ok(Node { name, op, inputs: node.input.clone(), output: output.clone() }),
        (Some(_), Some(_)) => Err(ModelError::UnsupportedAttribute {
            node: name,
            attribute: "output".to_owned(),
            reason: "only an operator's first output is supported",
        }),
        (None, _) => Err(ModelError::NotOnnx { reason: format!("node '{name}' has no output") }),
    }
}

fn declared_shape(input: &onnx::ValueInfo) -> Result<Option<Vec<Option<usize>>>, ModelError> {
    let Some(tensor) = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()) else {
        return Ok(None);
    };
    if tensor.elem_type != onnx::FLOAT {
        let found = onnx::data_type_name(tensor.elem_type);
        return Err(ModelError::DataType { tensor: input.name.clone(), found });
    }
    // A size of zero or less is how some exporters write "unknown".
    let size = |dim: &onnx::Dimension| dim.value.and_then(|v| usize::try_from(v).ok()).filter(|&v| v > 0);
    Ok(tensor.shape.as_ref().map(|shape| shape.dim.iter().map(size).collect()))
}

fn constant(name: &str, tensor: onnx::Tensor) -> Result<Constant, ModelError> {
    if tensor.data_location == 1 {
        return Err(ModelError::ExternalData { tensor: name.to_owned() });
    }
    let mut shape = Vec::with_capacity(tensor.dims.len());
    let mut expected = 1u64;
    for dim in &tensor.dims {
        let damaged = || ModelError::TensorSize { tensor: name.to_owned(), expected: u64::MAX, found: 0 };
        let dim = usize::try_from(*dim).map_err(|_negative| damaged())?;
        expected = u64::try_from(dim).ok().and_then(|dim| expected.checked_mul(dim)).ok_or_else(damaged)?;
        shape.push(dim);
    }
    let check = |found: usize| match u64::try_from(found) {
        Ok(found) if found == expected => Ok(()),
        _ => Err(ModelError::TensorSize {
            tensor: name.to_owned(),
            expected,
            found: found.try_into().unwrap_or(u64::MAX),
        }),
    };
    match tensor.data_type {
        onnx::FLOAT => {
            let data = if tensor.raw_data.is_empty() {
                tensor.float_data
            } else {
                little_endian(&tensor.raw_data, f32::from_le_bytes)
            };
            check(data.len())?;
            Ok(Constant::Floats { shape, data: data.into() })
        }
        onnx::INT64 => {
            let data = if tensor.raw_data.is_empty() {
                tensor.int64_data
            } else {
                little_endian(&tensor.raw_data, i64::from_le_bytes)
            };
            check(data.len())?;
            Ok(Constant::Ints(data))
        }
        // Only Dropout's training_mode is a bool, and it is read as a number.
        onnx::BOOL => {
            let data = if tensor.raw_data.is_empty() {
                tensor.int32_data.iter().map(|&flag| i64::from(flag)).collect()
            } else {
                tensor.raw_data.iter().map(|&flag| i64::from(flag)).collect::<Vec<_>>()
            };
            check(data.len())?;
            Ok(Constant::Ints(data))
        }
        other => Err(ModelError::DataType { tensor: name.to_owned(), found: onnx::data_type_name(other) }),
    }
}

fn little_endian<T, const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    // A rest shorter than a value makes the count wrong, which the caller refuses.
    bytes.as_chunks::<N>().0.iter().map(|chunk| read(*chunk)).collect()
}
