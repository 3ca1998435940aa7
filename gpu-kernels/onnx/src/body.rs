//! Graphs inside a node: the branches of `If`, the bodies of `Loop` and `Scan`. A plan holds no jump:
//! what turns is unrolled and what branches is decided while the plan is made, so that the work is known,
//! and priced, before the run.

use std::collections::HashSet;

use super::plan::{Builder, ValueId};
use super::tensor::Tensor;
use super::{ModelError, Node, lower, proto};

/// Nodes of bodies that one plan may unroll.
pub(super) const UNROLLED_MAX: usize = 50_000;

/// A graph inside a node.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    constants: Vec<(String, Tensor)>,
    nodes: Vec<Node>,
}

/// The names that a graph's nodes may read: its own, and those of the graphs around it.
#[derive(Default)]
pub(super) struct Scope<'a> {
    names: HashSet<String>,
    around: Option<&'a Self>,
}

impl<'a> Scope<'a> {
    fn inside(around: &'a Self) -> Self {
        Self { names: HashSet::new(), around: Some(around) }
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.names.contains(name) || self.around.is_some_and(|around| around.knows(name))
    }

    /// A name that no other tensor of this graph may have; one of a graph around may be hidden by it.
    pub(super) fn define(&mut self, name: &str) -> Result<(), ModelError> {
        if self.names.insert(name.to_owned()) {
            Ok(())
        } else {
            Err(ModelError::DuplicateName { tensor: name.to_owned() })
        }
    }

    /// Reads nodes, each of which uses what was made before it.
    pub(super) fn nodes(&mut self, nodes: Vec<proto::Node>) -> Result<Vec<Node>, ModelError> {
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
        if self.around.is_none() && !lower::has(&op) {
            return Err(ModelError::UnsupportedOperator { node: name, operator: op });
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

    /// Every name that its nodes read or that it gives, its own among them.
    pub(super) fn reads(&self) -> Box<dyn Iterator<Item = &String> + '_> {
        Box::new(self.nodes.iter().flat_map(Node::reads).chain(&self.outputs))
    }
}

impl<'a> Builder<'a> {
    /// The outputs of a body that is given `inputs`; its names hold until its end.
    pub(super) fn unroll(
        &mut self,
        node: &str,
        body: &'a Body,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, ModelError> {
        let mut hidden = Vec::new();
        for (name, tensor) in &body.constants {
            let id = self.constant(tensor)?;
            hidden.push((name, self.names.insert(name, id)));
        }
        for (name, &id) in body.inputs.iter().zip(inputs) {
            hidden.push((name, self.names.insert(name, id)));
        }
        for inner in &body.nodes {
            self.unrolled += 1;
            if self.unrolled > UNROLLED_MAX {
                return Err(ModelError::Unrolled { node: node.to_owned() });
            }
            let outputs = lower::lower(self, inner)?;
            for (name, id) in inner.outputs.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
                hidden.push((name, self.names.insert(name, id)));
            }
            self.check_length(&inner.name)?;
        }
        let outputs = body.outputs.iter().map(|name| self.tensor(node, name)).collect();
        for (name, before) in hidden.into_iter().rev() {
            match before {
                Some(id) => self.names.insert(name, id),
                None => self.names.remove(name.as_str()),
            };
        }
        outputs
    }
}
