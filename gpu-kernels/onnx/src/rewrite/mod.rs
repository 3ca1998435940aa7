//! Operators that are said in others before anything else sees them: those of onnxruntime's own domain,
//! and of ONNX's for classical models.

mod classical;
mod microsoft;
mod trees;

use std::cell::RefCell;
use std::collections::HashMap;

use super::{ModelError, proto};

/// Writes what a node stands for.
type Write = fn(&mut Writer<'_>);

/// Every operator that is said in others, by domain and name.
pub fn rewritten() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of = |domain, list: &'static [(&'static str, Write)]| list.iter().map(move |(name, _)| (domain, *name));
    of(microsoft::DOMAIN, microsoft::OPERATORS).chain(of(classical::DOMAIN, classical::OPERATORS))
}

fn find(domain: &str, op: &str) -> Option<Write> {
    let list = match domain {
        microsoft::DOMAIN => microsoft::OPERATORS,
        classical::DOMAIN => classical::OPERATORS,
        // onnxruntime writes this one without its domain.
        _ if op == "SimplifiedLayerNormalization" => microsoft::OPERATORS,
        _ => return None,
    };
    list.binary_search_by(|(name, _)| name.as_bytes().cmp(op.as_bytes())).ok().map(|index| list[index].1)
}

/// Replaces every operator that can be said in others; what is left, if known, is lowered as it is.
pub(super) fn rewrite(graph: &mut proto::Graph) -> Result<(), ModelError> {
    let types = graph.initializer.iter().map(|tensor| (tensor.name.clone(), tensor.data_type)).collect();
    rewrite_in(graph, &types, &mut 0)
}

fn rewrite_in(graph: &mut proto::Graph, types: &HashMap<String, i32>, uses: &mut usize) -> Result<(), ModelError> {
    for mut node in std::mem::take(&mut graph.node) {
        for body in node.attribute.iter_mut().filter_map(|attribute| attribute.g.as_mut()) {
            rewrite_in(body, types, uses)?;
        }
        // Without an output it is refused where nodes are read.
        let write = if node.output.is_empty() { None } else { find(&node.domain, &node.op_type) };
        let Some(write) = write else {
            graph.node.push(node);
            continue;
        };
        *uses += 1;
        let mut writer = Writer {
            node: &node,
            types,
            uses: *uses,
            names: 0,
            asked: RefCell::default(),
            nodes: vec![],
            refused: None,
        };
        write(&mut writer);
        if (node.domain.as_str(), node.op_type.as_str()) == (classical::DOMAIN, "ZipMap") {
            // It is declared as a list of tables, and given as one tensor.
            let given = graph.output.iter_mut().filter(|output| node.output.contains(&output.name));
            given.for_each(|output| output.r#type = None);
        }
        graph.node.append(&mut writer.finish()?);
    }
    Ok(())
}

/// Writes the nodes that one stands for.
struct Writer<'a> {
    node: &'a proto::Node,
    /// The types of the tensors that the model stores.
    types: &'a HashMap<String, i32>,
    uses: usize,
    names: usize,
    asked: RefCell<Vec<&'a str>>,
    nodes: Vec<proto::Node>,
    refused: Option<ModelError>,
}

impl<'a> Writer<'a> {
    /// The name of an input; empty where it was left out.
    fn input(&self, i: usize) -> String {
        self.node.input.get(i).cloned().unwrap_or_default()
    }

    fn has(&self, i: usize) -> bool {
        self.node.input.get(i).is_some_and(|name| !name.is_empty())
    }

    fn attribute(&self, name: &str) -> Option<&'a proto::Attribute> {
        let found = self.node.attribute.iter().find(|attribute| attribute.name == name)?;
        self.asked.borrow_mut().push(&found.name);
        Some(found)
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.i)
    }

    fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |attribute| attribute.f)
    }

    /// Those of the node's attributes that are passed on as they are.
    fn passed(&self, names: &[&str]) -> Vec<proto::Attribute> {
        names.iter().filter_map(|name| self.attribute(name)).cloned().collect()
    }

    /// Keeps a refusal; the first of them counts.
    fn refuse(&mut self, attribute: &str, reason: &'static str) {
        let (node, attribute) = (self.node.name.clone(), attribute.to_owned());
        self.refused.get_or_insert(ModelError::UnsupportedAttribute { node, attribute, reason });
    }

    /// What was written, if nothing was refused and no attribute was left unread.
    fn finish(mut self) -> Result<Vec<proto::Node>, ModelError> {
        let asked = self.asked.take();
        let left = self.node.attribute.iter().find(|attribute| !asked.contains(&attribute.name.as_str()));
        if let Some(left) = left {
            self.refuse(&left.name, "this operator is not known to have it");
        }
        self.refused.map_or(Ok(self.nodes), Err)
    }

    fn fresh(&mut self) -> String {
        self.names += 1;
        // No model may hold these names already: its own have no control character.
        format!("\u{1}{} {}\u{1}{}", self.node.domain, self.uses, self.names)
    }

    fn emit(&mut self, op: &str, inputs: &[&str], output: Vec<String>, attribute: Vec<proto::Attribute>) {
        self.nodes.push(proto::Node {
            input: inputs.iter().map(ToString::to_string).collect(),
            output,
            name: format!("{}/{op}", self.node.name),
            op_type: op.to_owned(),
            attribute,
            ..Default::default()
        });
    }

    fn op(&mut self, op: &str, inputs: &[&str]) -> String {
        self.op_with(op, inputs, vec![])
    }

    fn op_with(&mut self, op: &str, inputs: &[&str], attributes: Vec<proto::Attribute>) -> String {
        let output = self.fresh();
        self.emit(op, inputs, vec![output.clone()], attributes);
        output
    }

    /// The node's only output, at last.
    fn give(&mut self, op: &str, inputs: &[&str], attributes: Vec<proto::Attribute>) {
        self.emit(op, inputs, self.node.output.clone(), attributes);
    }

    fn byte(&mut self, value: i32) -> String {
        let tensor = proto::Tensor { data_type: proto::UINT8, int32_data: vec![value], ..Default::default() };
        self.op_with("Constant", &[], vec![proto::Attribute { t: Some(tensor), ..named("value") }])
    }

    fn ints(&mut self, values: &[i64]) -> String {
        self.op_with("Constant", &[], vec![ints("value_ints", values)])
    }

    fn floats(&mut self, floats: Vec<f32>) -> String {
        self.op_with("Constant", &[], vec![proto::Attribute { floats, ..named("value_floats") }])
    }

    fn scalar(&mut self, value: f32) -> String {
        self.op_with("Constant", &[], vec![proto::Attribute { f: value, ..named("value_float") }])
    }

    fn float32(&mut self, x: &str) -> String {
        self.op_with("Cast", &[x], vec![int("to", i64::from(proto::FLOAT))])
    }

    /// The quantized input whose tensor, scale and zero point begin at `i`, as floats.
    fn dequantized(&mut self, i: usize) -> String {
        let [x, scale, zero] = [self.input(i), self.input(i + 1), self.input(i + 2)];
        self.op("DequantizeLinear", &[&x, &scale, &zero])
    }

    /// Quantizes to the scale and zero point at `i`, as the node's output.
    fn quantize(&mut self, x: &str, i: usize) {
        let [scale, zero] = [self.input(i), self.input(i + 1)];
        self.give("QuantizeLinear", &[x, &scale, &zero], vec![]);
    }
}

fn named(name: &str) -> proto::Attribute {
    proto::Attribute { name: name.to_owned(), ..Default::default() }
}

fn int(name: &str, i: i64) -> proto::Attribute {
    proto::Attribute { i, ..named(name) }
}

fn ints(name: &str, values: &[i64]) -> proto::Attribute {
    proto::Attribute { ints: values.to_vec(), ..named(name) }
}

fn text(name: &str, value: &str) -> proto::Attribute {
    proto::Attribute { s: value.as_bytes().to_vec(), ..named(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_are_in_order() {
        for list in [microsoft::OPERATORS, classical::OPERATORS] {
            assert!(list.windows(2).all(|pair| pair[0].0.as_bytes() < pair[1].0.as_bytes()));
        }
    }
}
