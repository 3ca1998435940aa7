//! From a file to a checked graph: every name is made before it is read, and every operator is one of ours.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use gpu_kernels::dtype::DType;
use prost::Message;

use crate::error::ModelError;
use crate::f16_constants::F16Constants;
use crate::graph::{Body, Graph, Node, Port};
use crate::limits::{OPSET_MAX, OPSET_MIN};
use crate::lower::ops;
use crate::tensor::Tensor;
use crate::{external, functions, proto, rewrite};

/// What a model of other domains alone is read by.
const OPSET_USUAL: i64 = 17;
/// Longest name of an input or an output.
const NAME_BYTES_MAX: usize = 1024;

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
        check_names(&inputs, &outputs)?;

        let mut scope = Scope::default();
        for name in constants.keys().chain(inputs.iter().map(|input| &input.name)) {
            scope.define(name)?;
        }
        let nodes = scope.nodes(graph.node)?;
        if let Some(missing) = outputs.iter().find(|output| !scope.knows(output)) {
            return Err(ModelError::MissingTensor { node: "output".to_owned(), tensor: missing.clone() });
        }
        let mut graph = Self {
            nodes,
            constants,
            inputs,
            outputs,
            opset,
            f16_constants: Arc::default(),
            micro_batch_known: Mutex::default(),
        };
        graph.simplify();
        graph.f16_constants = Arc::new(F16Constants::find(graph.constants.values()));
        Ok(graph)
    }
}

/// The names that a graph's nodes may read: its own, and those of the graphs around it.
#[derive(Default)]
struct Scope<'a> {
    names: HashSet<String>,
    around: Option<&'a Self>,
}

impl<'a> Scope<'a> {
    fn inside(around: &'a Self) -> Self {
        Self { names: HashSet::new(), around: Some(around) }
    }

    fn knows(&self, name: &str) -> bool {
        self.names.contains(name) || self.around.is_some_and(|around| around.knows(name))
    }

    /// A name that no other tensor of this graph may have; one of a graph around may be hidden by it.
    fn define(&mut self, name: &str) -> Result<(), ModelError> {
        if self.names.insert(name.to_owned()) {
            Ok(())
        } else {
            Err(ModelError::DuplicateName { tensor: name.to_owned() })
        }
    }

    /// Reads nodes, each of which uses what was made before it.
    fn nodes(&mut self, nodes: Vec<proto::Node>) -> Result<Vec<Node>, ModelError> {
        let mut read = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.into_iter().enumerate() {
            let node = self.node(index, node)?;
            for output in node.outputs.iter().filter(|output| !output.is_empty()) {
                self.define(output)?;
            }
            read.push(node);
        }
        Ok(read)
    }

    fn node(&self, index: usize, node: proto::Node) -> Result<Node, ModelError> {
        let name = if node.name.is_empty() { format!("{}_{index}", node.op_type) } else { node.name };
        let own = matches!(node.domain.as_str(), "" | "ai.onnx");
        let op = if own { node.op_type } else { format!("{}.{}", node.domain, node.op_type) };
        // A branch that is not taken may hold anything.
        if self.around.is_none() && ops::find(&op).is_none() {
            return Err(ops::unsupported(&name, &op));
        }
        if node.output.iter().all(String::is_empty) {
            return Err(ModelError::NotOnnx { reason: format!("node '{name}' has no output") });
        }
        self.check(&name, node.input.iter().filter(|tensor| !tensor.is_empty()))?;
        let mut attributes = node.attribute;
        let mut bodies = Vec::new();
        for attribute in &mut attributes {
            if let Some(graph) = attribute.g.take() {
                bodies.push((attribute.name.clone(), Body::parse(&name, graph, self)?));
            }
        }
        Ok(Node { name, op, attributes, inputs: node.input, outputs: node.output, bodies })
    }

    fn check<'n>(&self, node: &str, mut tensors: impl Iterator<Item = &'n String>) -> Result<(), ModelError> {
        match tensors.find(|tensor| !self.knows(tensor)) {
            Some(missing) => Err(ModelError::MissingTensor { node: node.to_owned(), tensor: missing.clone() }),
            None => Ok(()),
        }
    }
}

impl Body {
    fn parse(node: &str, graph: proto::Graph, around: &Scope<'_>) -> Result<Self, ModelError> {
        let mut scope = Scope::inside(around);
        let mut constants = Vec::with_capacity(graph.initializer.len());
        for tensor in &graph.initializer {
            scope.define(&tensor.name)?;
            constants.push((tensor.name.clone(), Tensor::parse(&tensor.name, tensor)?));
        }
        let mut inputs = Vec::with_capacity(graph.input.len());
        for input in graph.input {
            scope.define(&input.name)?;
            inputs.push(input.name);
        }
        let nodes = scope.nodes(graph.node)?;
        let outputs: Vec<String> = graph.output.into_iter().map(|output| output.name).collect();
        scope.check(node, outputs.iter())?;
        Ok(Self { inputs, outputs, constants, nodes })
    }
}

/// Inputs and outputs are files to those who send and fetch them, each of its own name.
fn check_names(inputs: &[Port], outputs: &[String]) -> Result<(), ModelError> {
    for name in inputs.iter().map(|input| &input.name).chain(outputs) {
        if name.len() > NAME_BYTES_MAX {
            let begin: String = name.chars().take(32).collect();
            let reason = format!("'{begin}…' is a name of {} bytes; at most {NAME_BYTES_MAX}", name.len());
            return Err(ModelError::NotOnnx { reason });
        }
    }
    let mut known = HashSet::new();
    match outputs.iter().find(|output| !known.insert(*output)) {
        Some(twice) => Err(ModelError::DuplicateName { tensor: twice.clone() }),
        None => Ok(()),
    }
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
