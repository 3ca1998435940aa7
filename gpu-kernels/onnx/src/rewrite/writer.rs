//! What a rewriting writes: standard nodes in the place of one.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::error::ModelError;
use crate::proto;

/// Writes the nodes that replace one.
pub(super) type WriteFn = fn(&mut Writer<'_>);

/// The nodes that replace one, as they are written.
pub(super) struct Writer<'a> {
    pub(super) node: &'a proto::Node,
    /// The types of the tensors that the model stores.
    pub(super) types: &'a HashMap<String, i32>,
    uses: usize,
    names: usize,
    pub(super) asked: RefCell<Vec<&'a str>>,
    pub(super) nodes: Vec<proto::Node>,
    refused: Option<ModelError>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(node: &'a proto::Node, types: &'a HashMap<String, i32>, uses: usize) -> Self {
        Self { node, types, uses, names: 0, asked: RefCell::default(), nodes: vec![], refused: None }
    }

    /// The name of an input; empty where it was left out.
    pub(super) fn input(&self, i: usize) -> String {
        self.node.input.get(i).cloned().unwrap_or_default()
    }

    pub(super) fn has(&self, i: usize) -> bool {
        self.node.input.get(i).is_some_and(|name| !name.is_empty())
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&'a proto::Attribute> {
        let found = self.node.attribute.iter().find(|attribute| attribute.name == name)?;
        self.asked.borrow_mut().push(&found.name);
        Some(found)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.i)
    }

    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |attribute| attribute.f)
    }

    /// Those of the node's attributes that are passed on as they are.
    pub(super) fn passed(&self, names: &[&str]) -> Vec<proto::Attribute> {
        names.iter().filter_map(|name| self.attribute(name)).cloned().collect()
    }

    /// Keeps a refusal; the first of them counts.
    pub(super) fn refuse(&mut self, attribute: &str, reason: &'static str) {
        let (node, attribute) = (self.node.name.clone(), attribute.to_owned());
        self.refused.get_or_insert(ModelError::UnsupportedAttribute { node, attribute, reason });
    }

    /// What was written, if nothing was refused and no attribute was left unread.
    pub(super) fn finish(mut self) -> Result<Vec<proto::Node>, ModelError> {
        let asked = self.asked.take();
        let left = self.node.attribute.iter().find(|attribute| !asked.contains(&attribute.name.as_str()));
        if let Some(left) = left {
            self.refuse(&left.name, "this operator is not known to have it");
        }
        self.refused.map_or(Ok(self.nodes), Err)
    }

    pub(super) fn fresh(&mut self) -> String {
        self.names += 1;
        // No model may hold these names already: its own have no control character.
        format!("\u{1}{} {}\u{1}{}", self.node.domain, self.uses, self.names)
    }

    pub(super) fn emit(&mut self, op: &str, inputs: &[&str], output: Vec<String>, attribute: Vec<proto::Attribute>) {
        self.nodes.push(proto::Node {
            input: inputs.iter().map(ToString::to_string).collect(),
            output,
            name: format!("{}/{op}", self.node.name),
            op_type: op.to_owned(),
            attribute,
            ..Default::default()
        });
    }

    pub(super) fn op(&mut self, op: &str, inputs: &[&str]) -> String {
        self.op_with(op, inputs, vec![])
    }

    pub(super) fn op_with(&mut self, op: &str, inputs: &[&str], attributes: Vec<proto::Attribute>) -> String {
        let output = self.fresh();
        self.emit(op, inputs, vec![output.clone()], attributes);
        output
    }

    /// Emits the node that makes the replaced node's outputs.
    pub(super) fn give(&mut self, op: &str, inputs: &[&str], attributes: Vec<proto::Attribute>) {
        self.emit(op, inputs, self.node.output.clone(), attributes);
    }

    pub(super) fn byte(&mut self, value: i32) -> String {
        let tensor = proto::Tensor { data_type: proto::UINT8, int32_data: vec![value], ..Default::default() };
        self.op_with("Constant", &[], vec![proto::Attribute { t: Some(tensor), ..named("value") }])
    }

    pub(super) fn ints(&mut self, values: &[i64]) -> String {
        self.op_with("Constant", &[], vec![ints("value_ints", values)])
    }

    pub(super) fn floats(&mut self, floats: Vec<f32>) -> String {
        self.op_with("Constant", &[], vec![proto::Attribute { floats, ..named("value_floats") }])
    }

    pub(super) fn scalar(&mut self, value: f32) -> String {
        self.op_with("Constant", &[], vec![proto::Attribute { f: value, ..named("value_float") }])
    }

    pub(super) fn float32(&mut self, x: &str) -> String {
        self.op_with("Cast", &[x], vec![int("to", i64::from(proto::FLOAT))])
    }

    /// The quantized input whose tensor, scale and zero point begin at `i`, as floats.
    pub(super) fn dequantized(&mut self, i: usize) -> String {
        let [x, scale, zero] = [self.input(i), self.input(i + 1), self.input(i + 2)];
        self.op("DequantizeLinear", &[&x, &scale, &zero])
    }

    /// Quantizes to the scale and zero point at `i`, as the node's output.
    pub(super) fn quantize(&mut self, x: &str, i: usize) {
        let [scale, zero] = [self.input(i), self.input(i + 1)];
        self.give("QuantizeLinear", &[x, &scale, &zero], vec![]);
    }
}

pub(super) fn named(name: &str) -> proto::Attribute {
    proto::Attribute { name: name.to_owned(), ..Default::default() }
}

pub(super) fn int(name: &str, i: i64) -> proto::Attribute {
    proto::Attribute { i, ..named(name) }
}

pub(super) fn ints(name: &str, values: &[i64]) -> proto::Attribute {
    proto::Attribute { ints: values.to_vec(), ..named(name) }
}

pub(super) fn text(name: &str, value: &str) -> proto::Attribute {
    proto::Attribute { s: value.as_bytes().to_vec(), ..named(name) }
}
