//! Operators with their attributes parsed: what is left of a node once its text has been checked.

use super::error::ModelError;
use super::onnx;
use crate::kernels::binary;

/// The operators this executor has, by their ONNX names.
pub const NAMES: [&str; 24] = [
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Clip",
    "Concat",
    "Constant",
    "Conv",
    "Div",
    "Dropout",
    "Flatten",
    "Gemm",
    "GlobalAveragePool",
    "Identity",
    "LeakyRelu",
    "MatMul",
    "MaxPool",
    "Mul",
    "Relu",
    "Reshape",
    "Sigmoid",
    "Softmax",
    "Sub",
    "Tanh",
    "Transpose",
];

#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    MatMul,
    Gemm {
        alpha: f32,
        beta: f32,
        trans_a: bool,
        trans_b: bool,
    },
    Conv {
        window: Window,
        groups: usize,
    },
    MaxPool {
        window: Window,
        ceil: bool,
    },
    AveragePool {
        window: Window,
        ceil: bool,
        count_include_pad: bool,
    },
    GlobalAveragePool,
    BatchNormalization {
        epsilon: f32,
    },
    Binary(binary::Op),
    Relu,
    LeakyRelu {
        alpha: f32,
    },
    Sigmoid,
    Tanh,
    Clip,
    Softmax {
        axis: i64,
    },
    Transpose {
        perm: Vec<i64>,
    },
    Reshape {
        allow_zero: bool,
    },
    Flatten {
        axis: i64,
    },
    Concat {
        axis: i64,
    },
    /// Identity, and Dropout, which does nothing outside training.
    Identity,
    Constant(Box<onnx::Tensor>),
}

/// A sliding window; an empty list means the operator's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    pub kernel: Vec<i64>,
    pub strides: Vec<i64>,
    pub pads: Vec<i64>,
    pub dilations: Vec<i64>,
    pub auto_pad: AutoPad,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoPad {
    /// `pads` say it.
    #[default]
    Explicit,
    Valid,
    SameUpper,
    SameLower,
}

/// The attributes of one node, each taken at most once; what nobody took is refused.
struct Attributes<'a> {
    node: &'a str,
    rest: Vec<&'a onnx::Attribute>,
}

impl<'a> Attributes<'a> {
    fn take(&mut self, name: &str) -> Option<&'a onnx::Attribute> {
        let index = self.rest.iter().position(|attribute| attribute.name == name)?;
        Some(self.rest.swap_remove(index))
    }

    fn int(&mut self, name: &str, default: i64) -> i64 {
        self.take(name).map_or(default, |attribute| attribute.i)
    }

    fn flag(&mut self, name: &str) -> bool {
        self.int(name, 0) != 0
    }

    fn float(&mut self, name: &str, default: f32) -> f32 {
        self.take(name).map_or(default, |attribute| attribute.f)
    }

    fn ints(&mut self, name: &str) -> Vec<i64> {
        self.take(name).map_or_else(Vec::new, |attribute| attribute.ints.clone())
    }

    fn window(&mut self) -> Result<Window, ModelError> {
        let auto_pad = match self.take("auto_pad").map(|attribute| attribute.s.as_slice()) {
            None | Some(b"NOTSET" | b"") => AutoPad::Explicit,
            Some(b"VALID") => AutoPad::Valid,
            Some(b"SAME_UPPER") => AutoPad::SameUpper,
            Some(b"SAME_LOWER") => AutoPad::SameLower,
            Some(_) => return Err(self.unsupported("auto_pad", "it must be NOTSET, VALID, SAME_UPPER or SAME_LOWER")),
        };
        Ok(Window {
            kernel: self.ints("kernel_shape"),
            strides: self.ints("strides"),
            pads: self.ints("pads"),
            dilations: self.ints("dilations"),
            auto_pad,
        })
    }

    fn unsupported(&self, attribute: &str, reason: &'static str) -> ModelError {
        ModelError::UnsupportedAttribute { node: self.node.to_owned(), attribute: attribute.to_owned(), reason }
    }

    fn finish(self, op: Op) -> Result<Op, ModelError> {
        match self.rest.first() {
            Some(left) => Err(self.unsupported(&left.name, "this operator is not known to have it")),
            None => Ok(op),
        }
    }
}

/// Parses a node's operator and attributes. `name` is how refusals call the node.
pub fn parse(node: &onnx::Node, name: &str) -> Result<Op, ModelError> {
    let mut at = Attributes { node: name, rest: node.attribute.iter().collect() };
    if !matches!(node.domain.as_str(), "" | "ai.onnx") {
        let operator = format!("{}.{}", node.domain, node.op_type);
        return Err(ModelError::UnsupportedOperator { node: name.to_owned(), operator });
    }
    let op = match node.op_type.as_str() {
        "MatMul" => Op::MatMul,
        "Gemm" => Op::Gemm {
            alpha: at.float("alpha", 1.0),
            beta: at.float("beta", 1.0),
            trans_a: at.flag("transA"),
            trans_b: at.flag("transB"),
        },
        "Conv" => parse_conv(&mut at)?,
        "MaxPool" => {
            if at.flag("storage_order") {
                return Err(at.unsupported("storage_order", "only row-major order is supported"));
            }
            Op::MaxPool { window: at.window()?, ceil: at.flag("ceil_mode") }
        }
        "AveragePool" => Op::AveragePool {
            window: at.window()?,
            ceil: at.flag("ceil_mode"),
            count_include_pad: at.flag("count_include_pad"),
        },
        "GlobalAveragePool" => Op::GlobalAveragePool,
        "BatchNormalization" => {
            at.take("momentum");
            if at.flag("training_mode") {
                return Err(at.unsupported("training_mode", "export the model for inference"));
            }
            Op::BatchNormalization { epsilon: at.float("epsilon", 1e-5) }
        }
        "Add" => Op::Binary(binary::Op::Add),
        "Sub" => Op::Binary(binary::Op::Sub),
        "Mul" => Op::Binary(binary::Op::Mul),
        "Div" => Op::Binary(binary::Op::Div),
        "Relu" => Op::Relu,
        "LeakyRelu" => Op::LeakyRelu { alpha: at.float("alpha", 0.01) },
        "Sigmoid" => Op::Sigmoid,
        "Tanh" => Op::Tanh,
        "Clip" => Op::Clip,
        "Softmax" => Op::Softmax { axis: at.int("axis", -1) },
        "Transpose" => Op::Transpose { perm: at.ints("perm") },
        "Reshape" => Op::Reshape { allow_zero: at.flag("allowzero") },
        "Flatten" => Op::Flatten { axis: at.int("axis", 1) },
        "Concat" => Op::Concat { axis: at.int("axis", 0) },
        "Identity" => Op::Identity,
        "Dropout" => {
            at.take("seed");
            Op::Identity
        }
        "Constant" => parse_constant(&mut at)?,
        other => {
            return Err(ModelError::UnsupportedOperator { node: name.to_owned(), operator: other.to_owned() });
        }
    };
    at.finish(op)
}

fn parse_conv(at: &mut Attributes<'_>) -> Result<Op, ModelError> {
    match usize::try_from(at.int("group", 1)) {
        Ok(groups) if groups > 0 => Ok(Op::Conv { window: at.window()?, groups }),
        _ => Err(at.unsupported("group", "it must be at least 1")),
    }
}

fn parse_constant(at: &mut Attributes<'_>) -> Result<Op, ModelError> {
    let scalar = |data_type| onnx::Tensor { data_type, ..Default::default() };
    if let Some(tensor) = at.take("value").and_then(|attribute| attribute.t.clone()) {
        return Ok(Op::Constant(Box::new(tensor)));
    }
    if let Some(value) = at.take("value_float") {
        return Ok(Op::Constant(Box::new(onnx::Tensor { float_data: vec![value.f], ..scalar(onnx::FLOAT) })));
    }
    if let Some(value) = at.take("value_int") {
        return Ok(Op::Constant(Box::new(onnx::Tensor { int64_data: vec![value.i], ..scalar(onnx::INT64) })));
    }
    let list =
        |len: usize, data_type| onnx::Tensor { dims: i64::try_from(len).into_iter().collect(), ..scalar(data_type) };
    if let Some(value) = at.take("value_floats") {
        let tensor = onnx::Tensor { float_data: value.floats.clone(), ..list(value.floats.len(), onnx::FLOAT) };
        return Ok(Op::Constant(Box::new(tensor)));
    }
    if let Some(value) = at.take("value_ints") {
        let tensor = onnx::Tensor { int64_data: value.ints.clone(), ..list(value.ints.len(), onnx::INT64) };
        return Ok(Op::Constant(Box::new(tensor)));
    }
    Err(at.unsupported("value", "a constant must be a float32 or int64 tensor"))
}
