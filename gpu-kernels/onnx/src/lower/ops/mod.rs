//! The table of operators: a family a file, a function an operator or several.

mod attention;
mod contrib_attention;
mod control;
mod conv_transpose;
mod convolution;
mod elementwise;
mod grid_sample;
mod index;
mod movement;
mod norm;
mod product;
mod quantized;
mod recurrent;
mod reduce;
mod resize;
mod sequence;
mod shapes;
mod signal;

use crate::error::ModelError;
use crate::ir::ValueId;
use crate::lower::context::NodeContext;
use crate::unsupported::unsupported_reason;

/// Appends the calls of a node and gives its outputs, in order.
pub(crate) type LowerFn = fn(&mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError>;

/// Every operator there is here, by its ONNX name, in order.
const OPERATORS: &[(&str, LowerFn)] = &[
    ("Abs", elementwise::unary),
    ("Acos", elementwise::unary),
    ("Acosh", elementwise::unary),
    ("Add", elementwise::arithmetic),
    ("AffineGrid", grid_sample::affine),
    ("And", elementwise::arithmetic),
    ("ArgMax", reduce::place),
    ("ArgMin", reduce::place),
    ("Asin", elementwise::unary),
    ("Asinh", elementwise::unary),
    ("Atan", elementwise::unary),
    ("Atanh", elementwise::unary),
    ("Attention", attention::attention),
    ("AveragePool", convolution::pool),
    ("BatchNormalization", norm::batch),
    ("BitCast", elementwise::bit_cast),
    ("BitShift", elementwise::arithmetic),
    ("BitwiseAnd", elementwise::arithmetic),
    ("BitwiseNot", elementwise::unary),
    ("BitwiseOr", elementwise::arithmetic),
    ("BitwiseXor", elementwise::arithmetic),
    ("BlackmanWindow", signal::window),
    ("Cast", elementwise::cast),
    ("CastLike", elementwise::cast),
    ("Ceil", elementwise::unary),
    ("Celu", elementwise::unary),
    ("CenterCropPad", movement::center_crop_pad),
    ("Clip", elementwise::clip),
    ("Col2Im", conv_transpose::columns),
    ("Concat", movement::concat),
    ("ConcatFromSequence", sequence::concat),
    ("Constant", shapes::constant),
    ("ConstantOfShape", shapes::constant_of_shape),
    ("Conv", convolution::conv),
    ("ConvInteger", quantized::conv_integer),
    ("ConvTranspose", conv_transpose::conv_transpose),
    ("Cos", elementwise::unary),
    ("Cosh", elementwise::unary),
    ("CumProd", reduce::running),
    ("CumSum", reduce::running),
    ("DFT", signal::fourier),
    ("DepthToSpace", movement::depth_to_space),
    ("DequantizeLinear", quantized::dequantize),
    ("Div", elementwise::arithmetic),
    ("Dropout", movement::dropout),
    ("DynamicQuantizeLinear", quantized::quantize_dynamically),
    ("Einsum", product::einsum),
    ("Elu", elementwise::unary),
    ("Equal", elementwise::compare),
    ("Erf", elementwise::unary),
    ("Exp", elementwise::unary),
    ("Expand", movement::expand),
    ("EyeLike", shapes::eye_like),
    ("Flatten", movement::flatten),
    ("Floor", elementwise::unary),
    ("GRU", recurrent::gru),
    ("Gather", index::gather),
    ("GatherElements", index::gather_elements),
    ("GatherND", index::gather_nd),
    ("Gelu", elementwise::unary),
    ("Gemm", product::gemm),
    ("GlobalAveragePool", convolution::global_pool),
    ("GlobalLpPool", convolution::global_pool),
    ("GlobalMaxPool", convolution::global_pool),
    ("Greater", elementwise::compare),
    ("GreaterOrEqual", elementwise::compare),
    ("GridSample", grid_sample::grid),
    ("GroupNormalization", norm::group),
    ("HammingWindow", signal::window),
    ("HannWindow", signal::window),
    ("HardSigmoid", elementwise::unary),
    ("HardSwish", elementwise::unary),
    ("Hardmax", reduce::hardmax),
    ("Identity", movement::identity),
    ("If", control::branch),
    ("InstanceNormalization", norm::instance),
    ("IsInf", elementwise::unary),
    ("IsNaN", elementwise::unary),
    ("LRN", norm::local_response),
    ("LSTM", recurrent::lstm),
    ("LayerNormalization", norm::layer),
    ("LeakyRelu", elementwise::unary),
    ("Less", elementwise::compare),
    ("LessOrEqual", elementwise::compare),
    ("Log", elementwise::unary),
    ("LogSoftmax", reduce::softmax),
    ("Loop", control::repeat),
    ("LpNormalization", norm::lp),
    ("LpPool", convolution::pool),
    ("MatMul", product::matmul),
    ("MatMulInteger", quantized::matmul_integer),
    ("Max", elementwise::variadic),
    ("MaxPool", convolution::pool),
    ("Mean", elementwise::variadic),
    ("MeanVarianceNormalization", norm::mean_variance),
    ("MelWeightMatrix", signal::mel_weights),
    ("Min", elementwise::variadic),
    ("Mish", elementwise::unary),
    ("Mod", elementwise::arithmetic),
    ("Mul", elementwise::arithmetic),
    ("Neg", elementwise::unary),
    ("Not", elementwise::unary),
    ("OneHot", shapes::one_hot),
    ("Or", elementwise::arithmetic),
    ("PRelu", elementwise::arithmetic),
    ("Pad", movement::pad),
    ("Pow", elementwise::power),
    ("QLinearConv", quantized::conv),
    ("QLinearMatMul", quantized::matmul),
    ("QuantizeLinear", quantized::quantize),
    ("RMSNormalization", norm::root_mean_square),
    ("RNN", recurrent::rnn),
    ("Range", shapes::range),
    ("Reciprocal", elementwise::unary),
    ("ReduceL1", reduce::reduce),
    ("ReduceL2", reduce::reduce),
    ("ReduceLogSum", reduce::reduce),
    ("ReduceLogSumExp", reduce::reduce),
    ("ReduceMax", reduce::reduce),
    ("ReduceMean", reduce::reduce),
    ("ReduceMin", reduce::reduce),
    ("ReduceProd", reduce::reduce),
    ("ReduceSum", reduce::reduce),
    ("ReduceSumSquare", reduce::reduce),
    ("Relu", elementwise::unary),
    ("Reshape", movement::reshape),
    ("Resize", resize::resize),
    ("ReverseSequence", index::reverse_sequence),
    ("RotaryEmbedding", attention::rotary),
    ("Round", elementwise::unary),
    ("STFT", signal::short_time),
    ("Scan", control::scan),
    ("Scatter", index::scatter_elements),
    ("ScatterElements", index::scatter_elements),
    ("ScatterND", index::scatter_nd),
    ("Selu", elementwise::unary),
    ("SequenceAt", sequence::element),
    ("SequenceConstruct", sequence::construct),
    ("SequenceEmpty", sequence::empty),
    ("SequenceErase", sequence::erase),
    ("SequenceInsert", sequence::insert),
    ("SequenceLength", sequence::length),
    ("Shape", shapes::shape),
    ("Shrink", elementwise::unary),
    ("Sigmoid", elementwise::unary),
    ("Sign", elementwise::unary),
    ("Sin", elementwise::unary),
    ("Sinh", elementwise::unary),
    ("Size", shapes::size),
    ("Slice", movement::slice),
    ("Softmax", reduce::softmax),
    ("Softplus", elementwise::unary),
    ("Softsign", elementwise::unary),
    ("SpaceToDepth", movement::space_to_depth),
    ("Split", movement::split),
    ("SplitToSequence", sequence::split),
    ("Sqrt", elementwise::unary),
    ("Squeeze", movement::squeeze),
    ("Sub", elementwise::arithmetic),
    ("Sum", elementwise::variadic),
    ("Swish", elementwise::unary),
    ("Tan", elementwise::unary),
    ("Tanh", elementwise::unary),
    ("ThresholdedRelu", elementwise::unary),
    ("Tile", movement::tile),
    ("TopK", reduce::top),
    ("Transpose", movement::transpose),
    ("Trilu", movement::trilu),
    ("Unsqueeze", movement::unsqueeze),
    ("Upsample", resize::upsample),
    ("Where", elementwise::choose),
    ("Xor", elementwise::arithmetic),
    ("com.microsoft.Attention", contrib_attention::attention),
    ("com.microsoft.GroupQueryAttention", contrib_attention::grouped_query),
    ("com.microsoft.MultiHeadAttention", contrib_attention::multi_head),
    ("com.microsoft.RotaryEmbedding", contrib_attention::rotary),
];

/// How an operator is lowered, if it is one of ours.
pub(crate) fn find(op: &str) -> Option<LowerFn> {
    OPERATORS.binary_search_by(|(name, _)| name.as_bytes().cmp(op.as_bytes())).ok().map(|index| OPERATORS[index].1)
}

/// The refusal of an operator that is none of ours.
pub(crate) fn unsupported(node: &str, operator: &str) -> ModelError {
    let reason = unsupported_reason(operator, operators());
    ModelError::UnsupportedOperator { node: node.to_owned(), operator: operator.to_owned(), reason }
}

/// The names of all operators.
pub fn operators() -> impl Iterator<Item = &'static str> {
    OPERATORS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unsupported::NOT_SUPPORTED;

    #[test]
    fn the_operators_are_in_order_and_none_is_both_there_and_left_out() {
        let names: Vec<&str> = operators().collect();

        assert!(names.windows(2).all(|pair| pair[0].as_bytes() < pair[1].as_bytes()), "{names:?}");
        assert!(NOT_SUPPORTED.iter().all(|(name, _)| find(name).is_none()));
    }
}
