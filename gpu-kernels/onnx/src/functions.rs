//! Operators that a model defines by others: each use is replaced by the function's nodes.

use std::collections::HashMap;

use prost::Message;

use crate::error::ModelError;
use crate::proto;

/// Deepest nesting of functions in functions.
const DEPTH_MAX: usize = 32;
/// Most nodes, and most bytes of functions, that inlining may add in total.
const NODES_MAX: usize = 200_000;
const BYTES_MAX: usize = 512 << 20;

/// Replaces every use of a function.
///
/// # Errors
/// When a function uses itself, or the whole grows beyond reason.
pub(crate) fn inline(graph: &mut proto::Graph, functions: &[proto::Function]) -> Result<(), ModelError> {
    if functions.is_empty() {
        return Ok(());
    }
    let by_name =
        functions.iter().map(|function| (key(&function.domain, &function.name, &function.overload), function));
    let mut inliner = Inliner { functions: by_name.collect(), uses: 0, nodes: 0, bytes: 0 };
    let nodes = std::mem::take(&mut graph.node);
    graph.node = inliner.expand(nodes, 0)?;
    Ok(())
}

type Key<'a> = (&'a str, &'a str, &'a str);

fn key<'a>(domain: &'a str, name: &'a str, overload: &'a str) -> Key<'a> {
    (if domain == "ai.onnx" { "" } else { domain }, name, overload)
}

struct Inliner<'a> {
    functions: HashMap<Key<'a>, &'a proto::Function>,
    uses: usize,
    nodes: usize,
    bytes: usize,
}

impl Inliner<'_> {
    fn expand(&mut self, nodes: Vec<proto::Node>, depth: usize) -> Result<Vec<proto::Node>, ModelError> {
        let mut expanded = Vec::with_capacity(nodes.len());
        for mut node in nodes {
            for attribute in &mut node.attribute {
                if let Some(body) = &mut attribute.g {
                    let inner = std::mem::take(&mut body.node);
                    body.node = self.expand(inner, depth)?;
                }
            }
            let Some(&function) = self.functions.get(&key(&node.domain, &node.op_type, &node.overload)) else {
                expanded.push(node);
                continue;
            };
            self.uses += 1;
            self.nodes += function.node.len();
            self.bytes += function.encoded_len();
            if depth == DEPTH_MAX || self.nodes > NODES_MAX || self.bytes > BYTES_MAX {
                let reason = format!("function {} uses itself, or far too many others", function.name);
                return Err(ModelError::NotOnnx { reason });
            }
            let inner = FunctionUse::new(&node, function, self.uses).nodes();
            expanded.extend(self.expand(inner, depth + 1)?);
        }
        Ok(expanded)
    }
}

/// One use of a function.
struct FunctionUse<'a> {
    node: &'a proto::Node,
    function: &'a proto::Function,
    /// What the function's inputs and outputs are called where it is used.
    names: HashMap<&'a str, &'a str>,
    number: usize,
}

impl<'a> FunctionUse<'a> {
    fn new(node: &'a proto::Node, function: &'a proto::Function, number: usize) -> Self {
        let given = |names: &'a [String], i: usize| names.get(i).map_or("", String::as_str);
        let mut names = HashMap::new();
        for (i, output) in function.output.iter().enumerate() {
            let wanted = given(&node.output, i);
            if !wanted.is_empty() {
                names.insert(output.as_str(), wanted);
            }
        }
        for (i, input) in function.input.iter().enumerate() {
            names.insert(input.as_str(), given(&node.input, i));
        }
        Self { node, function, names, number }
    }

    fn nodes(&self) -> Vec<proto::Node> {
        let mut nodes: Vec<proto::Node> = self.function.node.iter().map(|node| self.renamed(node.clone())).collect();
        // A function may return one of its inputs unchanged.
        for (output, wanted) in self.function.output.iter().zip(&self.node.output) {
            if self.function.input.contains(output) && !wanted.is_empty() {
                nodes.push(proto::Node {
                    input: vec![self.name(output)],
                    output: vec![wanted.clone()],
                    op_type: "Identity".to_owned(),
                    ..Default::default()
                });
            }
        }
        nodes
    }

    fn name(&self, name: &str) -> String {
        match self.names.get(name) {
            Some(&outside) => outside.to_owned(),
            None if name.is_empty() => String::new(),
            // No model may hold these names already: its own have no control character.
            None => format!("\u{1}{}\u{1}{name}", self.number),
        }
    }

    fn renamed(&self, mut node: proto::Node) -> proto::Node {
        for name in node.input.iter_mut().chain(&mut node.output) {
            *name = self.name(name);
        }
        if !self.node.name.is_empty() {
            node.name = format!("{}/{}", self.node.name, node.name);
        }
        node.attribute = node.attribute.into_iter().filter_map(|attribute| self.attribute(attribute)).collect();
        node
    }

    /// The attribute with the value that the use gives it; none where neither it nor the function does.
    fn attribute(&self, mut attribute: proto::Attribute) -> Option<proto::Attribute> {
        if !attribute.ref_attr_name.is_empty() {
            let given = self.node.attribute.iter().chain(&self.function.attribute_proto);
            let mut value = given.clone().find(|given| given.name == attribute.ref_attr_name)?.clone();
            value.name = attribute.name;
            return Some(value);
        }
        if let Some(body) = &mut attribute.g {
            for node in std::mem::take(&mut body.node) {
                body.node.push(self.renamed(node));
            }
            for tensor in &mut body.initializer {
                tensor.name = self.name(&tensor.name);
            }
            for value in body.input.iter_mut().chain(&mut body.output) {
                value.name = self.name(&value.name);
            }
        }
        Some(attribute)
    }
}
