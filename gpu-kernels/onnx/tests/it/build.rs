//! Small models built in memory.

use onnx::proto::{
    Attribute, Dimension, FLOAT, Graph, INT64, Model, Node, OperatorSet, Shape, Tensor, TensorType, Type, ValueInfo,
};
use prost::Message;

pub(crate) fn value(name: &str, elem_type: i32, dims: &[Option<i64>]) -> ValueInfo {
    let dim = dims.iter().map(|&value| Dimension { value }).collect();
    ValueInfo {
        name: name.to_owned(),
        r#type: Some(Type { tensor_type: Some(TensorType { elem_type, shape: Some(Shape { dim }) }) }),
    }
}

pub(crate) fn node(op: &str, inputs: &[&str], output: &str, attribute: Vec<Attribute>) -> Node {
    Node {
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.to_owned()],
        name: format!("{op}_of_{output}"),
        op_type: op.to_owned(),
        attribute,
        ..Default::default()
    }
}

pub(crate) fn ints(name: &str, values: &[i64]) -> Attribute {
    Attribute { name: name.to_owned(), ints: values.to_vec(), ..Default::default() }
}

pub(crate) fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: name.to_owned(), i: value, ..Default::default() }
}

pub(crate) fn floats(name: &str, dims: &[i64], data: Vec<f32>) -> Tensor {
    Tensor { dims: dims.to_vec(), data_type: FLOAT, float_data: data, name: name.to_owned(), ..Default::default() }
}

pub(crate) fn longs(name: &str, data: &[i64]) -> Tensor {
    let dims = vec![i64::try_from(data.len()).unwrap()];
    Tensor { dims, data_type: INT64, int64_data: data.to_vec(), name: name.to_owned(), ..Default::default() }
}

/// A model from `x` to `y`.
pub(crate) fn model(nodes: Vec<Node>, initializer: Vec<Tensor>) -> Model {
    Model {
        graph: Some(Graph {
            node: nodes,
            initializer,
            input: vec![value("x", FLOAT, &[])].into_iter().map(|x| ValueInfo { r#type: None, ..x }).collect(),
            output: vec![value("y", FLOAT, &[])],
        }),
        opset_import: vec![OperatorSet { domain: String::new(), version: 17 }],
        functions: vec![],
    }
}

pub(crate) fn parse(model: &Model) -> Result<onnx::Graph, onnx::ModelError> {
    onnx::Graph::parse(&model.encode_to_vec())
}

/// Values that look random and are the same in every run.
pub(crate) fn noise(len: usize) -> Vec<f32> {
    let mut state = 0x9e37_79b9_u32;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f32::from(u16::try_from(state >> 16).unwrap()) / 32768.0 - 1.0
    })
    .take(len)
    .collect()
}
