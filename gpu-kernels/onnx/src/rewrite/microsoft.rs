//! Operators of onnxruntime's own domain, as its optimizer, its quantizer and exporters to it write
//! them. Definitions:
//! <https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md>

use gpu_kernels::number::to;

use super::writer::{WriteFn, Writer, int, ints, named, text};
use crate::proto;

pub(super) const DOMAIN: &str = "com.microsoft";

/// In order.
pub(super) const OPERATORS: &[(&str, WriteFn)] = &[
    ("BiasGelu", gelu),
    ("DequantizeLinear", standard),
    ("DynamicQuantizeMatMul", integer_matmul),
    ("EmbedLayerNormalization", embed_normalization),
    ("FastGelu", gelu),
    ("FusedConv", fused_conv),
    ("FusedGemm", fused_gemm),
    ("FusedMatMul", fused_matmul),
    ("GatherBlockQuantized", packed_gather),
    ("Gelu", gelu),
    ("GridSample", standard),
    ("MatMulIntegerToFloat", integer_matmul),
    ("MatMulNBits", packed_matmul),
    ("QGemm", quantized_gemm),
    ("QLinearAdd", quantized_binary),
    ("QLinearAveragePool", quantized_unary),
    ("QLinearConcat", quantized_concat),
    ("QLinearGlobalAveragePool", quantized_unary),
    ("QLinearLeakyRelu", quantized_unary),
    ("QLinearMul", quantized_binary),
    ("QLinearSigmoid", quantized_unary),
    ("QLinearSoftmax", quantized_unary),
    ("QLinearWhere", quantized_where),
    ("QuantizeLinear", standard),
    ("QuickGelu", quick_gelu),
    ("SimplifiedLayerNormalization", root_mean_square),
    ("SkipLayerNormalization", skip_normalization),
    ("SkipSimplifiedLayerNormalization", skip_normalization),
    ("TransposeMatMul", fused_matmul),
    ("Trilu", standard),
];

impl Writer<'_> {
    /// The activation that was fused, by name and parameters, as the node's output.
    fn activate(&mut self, x: &str, names: [&str; 3]) {
        let kind = self.attribute("activation").map_or("", |attribute| str::from_utf8(&attribute.s).unwrap_or("?"));
        let [_, alpha, beta] = names;
        let listed = self.attribute("activation_params").map_or(&[][..], |attribute| &attribute.floats);
        let given = |i: usize, name: &str, default: f32| match listed.get(i) {
            Some(&value) => value,
            None => self.float(name, default),
        };
        let attribute = |name: &str, f: f32| proto::Attribute { f, ..named(name) };
        match kind {
            "" => self.give("Identity", &[x], vec![]),
            "Relu" | "Tanh" | "Sigmoid" => self.give(kind, &[x], vec![]),
            "LeakyRelu" => self.give(kind, &[x], vec![attribute("alpha", given(0, alpha, 0.01))]),
            "HardSigmoid" => {
                let attributes = vec![attribute("alpha", given(0, alpha, 0.2)), attribute("beta", given(1, beta, 0.5))];
                self.give(kind, &[x], attributes);
            }
            "Clip" => {
                let (low, high) = (given(0, alpha, f32::MIN), given(1, beta, f32::MAX));
                let (low, high) = (self.scalar(low), self.scalar(high));
                self.give(kind, &[x, &low, &high], vec![]);
            }
            _ => self.refuse("activation", "it is not known"),
        }
    }
}

/// The same as the operator of that name in ONNX's domain.
fn standard(w: &mut Writer<'_>) {
    let node = proto::Node { domain: String::new(), ..w.node.clone() };
    w.asked.borrow_mut().extend(w.node.attribute.iter().map(|attribute| attribute.name.as_str()));
    w.nodes.push(node);
}

fn gelu(w: &mut Writer<'_>) {
    let mut x = w.input(0);
    if w.has(1) {
        let bias = w.input(1);
        x = w.op("Add", &[&x, &bias]);
    }
    let fast = w.node.op_type == "FastGelu";
    w.give("Gelu", &[&x], vec![text("approximate", if fast { "tanh" } else { "none" })]);
}

fn quick_gelu(w: &mut Writer<'_>) {
    let alpha = w.float("alpha", 1.702);
    let x = w.input(0);
    w.give("Swish", &[&x], vec![proto::Attribute { f: alpha, ..named("alpha") }]);
}

fn fused_matmul(w: &mut Writer<'_>) {
    if w.int("transBatchA", 0) != 0 || w.int("transBatchB", 0) != 0 {
        return w.refuse("transBatchA", "batches are not turned");
    }
    let (flip_a, flip_b, alpha) = (w.int("transA", 0) != 0, w.int("transB", 0) != 0, w.float("alpha", 1.0));
    let (a, b) = (w.input(0), w.input(1));
    let equation = format!("...{},...{}->...ij", if flip_a { "ki" } else { "ik" }, if flip_b { "jk" } else { "kj" });
    let product = if flip_a || flip_b {
        w.op_with("Einsum", &[&a, &b], vec![text("equation", &equation)])
    } else {
        w.op("MatMul", &[&a, &b])
    };
    let alpha = w.scalar(alpha);
    let alpha = w.op("CastLike", &[&alpha, &product]);
    w.give("Mul", &[&product, &alpha], vec![]);
}

fn fused_gemm(w: &mut Writer<'_>) {
    let inputs = [w.input(0), w.input(1), w.input(2)];
    let passed = w.passed(&["alpha", "beta", "transA", "transB"]);
    let product = w.op_with("Gemm", &inputs.each_ref().map(String::as_str), passed);
    w.passed(&["activation_gamma"]);
    w.activate(&product, ["", "activation_alpha", "activation_beta"]);
}

fn fused_conv(w: &mut Writer<'_>) {
    let inputs = [w.input(0), w.input(1), w.input(2)];
    let passed = w.passed(&["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"]);
    let mut result = w.op_with("Conv", &inputs.each_ref().map(String::as_str), passed);
    if w.has(3) {
        let other = w.input(3);
        result = w.op("Add", &[&result, &other]);
    }
    w.activate(&result, ["", "", ""]);
}

fn root_mean_square(w: &mut Writer<'_>) {
    let (x, scale) = (w.input(0), w.input(1));
    let passed = w.passed(&["axis", "epsilon", "stash_type"]);
    if w.node.output.iter().skip(1).any(|name| !name.is_empty()) {
        return w.refuse("inv_std_var", "only the result is given");
    }
    w.emit("RMSNormalization", &[&x, &scale], w.node.output[..1].to_vec(), passed);
}

/// The sum of two, and of a bias, normalized; the sum may be an output too.
fn skip_normalization(w: &mut Writer<'_>) {
    let simplified = w.node.op_type.contains("Simplified");
    let (x, skip, gamma) = (w.input(0), w.input(1), w.input(2));
    let (beta, bias) = if simplified { (String::new(), w.input(3)) } else { (w.input(3), w.input(4)) };
    let epsilon = proto::Attribute { f: w.float("epsilon", 1e-12), ..named("epsilon") };
    let mut sum = w.op("Add", &[&x, &skip]);
    if !bias.is_empty() {
        sum = w.op("Add", &[&sum, &bias]);
    }
    let outputs: Vec<String> = (0..4).map(|i| w.node.output.get(i).cloned().unwrap_or_default()).collect();
    let axis = int("axis", -1);
    if simplified {
        w.emit("RMSNormalization", &[&sum, &gamma], outputs[..1].to_vec(), vec![axis, epsilon]);
    } else {
        w.emit("LayerNormalization", &[&sum, &gamma, &beta], outputs[..3].to_vec(), vec![axis, epsilon]);
    }
    if !outputs[3].is_empty() {
        w.emit("Identity", &[&sum], outputs[3..].to_vec(), vec![]);
    }
}

fn embed_normalization(w: &mut Writer<'_>) {
    let inputs: Vec<String> = (0..9).map(|i| w.input(i)).collect();
    let [ids, segments, words, places, kinds, gamma, beta, mask, positions] = &inputs[..] else { return };
    w.passed(&["mask_index_type"]);
    let epsilon = proto::Attribute { f: w.float("epsilon", 1e-12), ..named("epsilon") };
    let mut sum = w.op("Gather", &[words, ids]);
    let at = if positions.is_empty() {
        let length = w.op_with("Shape", &[ids], vec![int("start", 1), int("end", 2)]);
        let (first, step, axis) = (w.ints(&[0]), w.ints(&[1]), w.ints(&[0]));
        let ends = [first, length, step].map(|end| w.op("Squeeze", &[&end, &axis]));
        w.op("Range", &ends.each_ref().map(String::as_str))
    } else {
        positions.clone()
    };
    let place = w.op("Gather", &[places, &at]);
    sum = w.op("Add", &[&sum, &place]);
    if !segments.is_empty() && !kinds.is_empty() {
        let kind = w.op("Gather", &[kinds, segments]);
        sum = w.op("Add", &[&sum, &kind]);
    }
    let outputs: Vec<String> = (0..3).map(|i| w.node.output.get(i).cloned().unwrap_or_default()).collect();
    w.emit("LayerNormalization", &[&sum, gamma, beta], outputs[..1].to_vec(), vec![int("axis", -1), epsilon]);
    if !outputs[1].is_empty() {
        if mask.is_empty() {
            let (batch, nothing) = (w.op_with("Shape", &[ids], vec![int("end", 1)]), i32_zero());
            w.emit("ConstantOfShape", &[&batch], outputs[1..2].to_vec(), vec![nothing]);
        } else {
            let axis = w.ints(&[1]);
            w.emit("ReduceSum", &[mask, &axis], outputs[1..2].to_vec(), vec![int("keepdims", 0)]);
        }
    }
    if !outputs[2].is_empty() {
        w.emit("Identity", &[&sum], outputs[2..].to_vec(), vec![]);
    }
}

fn i32_zero() -> proto::Attribute {
    let zero = proto::Tensor { dims: vec![1], data_type: proto::INT32, int32_data: vec![0], ..Default::default() };
    proto::Attribute { t: Some(zero), ..named("value") }
}

fn quantized_binary(w: &mut Writer<'_>) {
    let (a, b) = (w.dequantized(0), w.dequantized(3));
    let result = w.op(w.node.op_type.trim_start_matches("QLinear"), &[&a, &b]);
    w.quantize(&result, 6);
}

fn quantized_unary(w: &mut Writer<'_>) {
    if w.int("channels_last", 0) != 0 {
        return w.refuse("channels_last", "channels lie in the second axis here");
    }
    let mut passed =
        w.passed(&["alpha", "auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides"]);
    if w.node.op_type == "QLinearSoftmax" {
        if w.int("opset", 13) < 13 {
            return w.refuse("opset", "it is read from operator set 13 on");
        }
        passed.push(int("axis", w.int("axis", -1)));
    }
    let x = w.dequantized(0);
    let result = w.op_with(w.node.op_type.trim_start_matches("QLinear"), &[&x], passed);
    w.quantize(&result, 3);
}

fn quantized_concat(w: &mut Writer<'_>) {
    let passed = w.passed(&["axis"]);
    let parts: Vec<String> = (2..w.node.input.len()).step_by(3).map(|i| w.dequantized(i)).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let result = w.op_with("Concat", &parts, passed);
    w.quantize(&result, 0);
}

fn quantized_where(w: &mut Writer<'_>) {
    let (condition, yes, no) = (w.input(0), w.dequantized(1), w.dequantized(4));
    let result = w.op("Where", &[&condition, &yes, &no]);
    w.quantize(&result, 7);
}

/// A product of whole numbers with their scales, and C as whole numbers too.
fn quantized_gemm(w: &mut Writer<'_>) {
    let names: Vec<String> = (0..9).map(|i| w.input(i)).collect();
    let [a, a_scale, a_zero, b, b_scale, b_zero, c, y_scale, _] = &names[..] else { return };
    let turned = vec![ints("perm", &[1, 0])];
    let a = if w.int("transA", 0) != 0 { w.op_with("Transpose", &[a], turned.clone()) } else { a.clone() };
    let b = if w.int("transB", 0) != 0 { w.op_with("Transpose", &[b], turned) } else { b.clone() };
    let alpha = w.float("alpha", 1.0);
    let mut sums = w.op("MatMulInteger", &[&a, &b, a_zero, b_zero]);
    if !c.is_empty() {
        sums = w.op("Add", &[&sums, c]);
    }
    let sums = w.float32(&sums);
    let alpha = w.scalar(alpha);
    let scale = w.op("Mul", &[a_scale, b_scale]);
    let scale = w.op("Mul", &[&scale, &alpha]);
    if y_scale.is_empty() {
        w.give("Mul", &[&sums, &scale], vec![]);
    } else {
        let result = w.op("Mul", &[&sums, &scale]);
        w.quantize(&result, 7);
    }
}

fn integer_matmul(w: &mut Writer<'_>) {
    let (mut a, b) = (w.input(0), w.input(1));
    let (a_scale, b_scale, a_zero, b_zero, bias);
    if w.node.op_type == "DynamicQuantizeMatMul" {
        let outputs = [w.fresh(), w.fresh(), w.fresh()];
        w.emit("DynamicQuantizeLinear", &[&a], outputs.to_vec(), vec![]);
        [a, a_scale, a_zero] = outputs;
        [b_scale, b_zero, bias] = [w.input(2), w.input(3), w.input(4)];
    } else {
        [a_scale, b_scale, a_zero, b_zero, bias] = [2, 3, 4, 5, 6].map(|i| w.input(i));
    }
    let sums = w.op("MatMulInteger", &[&a, &b, &a_zero, &b_zero]);
    let sums = w.float32(&sums);
    let scale = w.op("Mul", &[&a_scale, &b_scale]);
    if bias.is_empty() {
        w.give("Mul", &[&sums, &scale], vec![]);
    } else {
        let result = w.op("Mul", &[&sums, &scale]);
        w.give("Add", &[&result, &bias], vec![]);
    }
}

/// The whole numbers of `bits` bits that bytes hold, lowest bits first, along the last axis of a tensor
/// that is brought to `shape`.
fn unpacked(w: &mut Writer<'_>, bytes: &str, bits: i64, shape: &[i64]) -> String {
    let parts: Vec<String> = (0..8 / bits)
        .map(|part| {
            let by = to(part * bits);
            let (by, mask) = (w.byte(by), w.byte((1 << bits) - 1));
            let moved = w.op_with("BitShift", &[bytes, &by], vec![text("direction", "RIGHT")]);
            let kept = w.op("BitwiseAnd", &[&moved, &mask]);
            let axis = w.ints(&[-1]);
            w.op("Unsqueeze", &[&kept, &axis])
        })
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let all = w.op_with("Concat", &parts, vec![int("axis", -1)]);
    let shape = w.ints(shape);
    let all = w.op("Reshape", &[&all, &shape]);
    w.float32(&all)
}

/// The first `len` along the second axis.
fn first(w: &mut Writer<'_>, x: &str, len: i64) -> String {
    let (from, to, axis) = (w.ints(&[0]), w.ints(&[len]), w.ints(&[1]));
    w.op("Slice", &[x, &from, &to, &axis])
}

fn bits(w: &mut Writer<'_>) -> i64 {
    let bits = w.int("bits", 4);
    if matches!(bits, 2 | 4 | 8) {
        return bits;
    }
    w.refuse("bits", "it must be 2, 4 or 8");
    4
}

/// The zero point where none is given: the middle of the range.
fn middle(bits: i64) -> f32 {
    f32::from(to::<u8, i32>(1 << (bits - 1)))
}

/// A product with weights of 2, 4 or 8 bits, quantized by blocks along K.
fn packed_matmul(w: &mut Writer<'_>) {
    let (k, n, block, bits) = (w.int("K", 0), w.int("N", 0), w.int("block_size", 0), bits(w));
    w.passed(&["accuracy_level"]);
    if k < 1 || n < 1 || block < 16 || k > 1 << 24 || n > 1 << 24 || block > 1 << 24 {
        return w.refuse("block_size", "K and N must be positive, and a block at least 16");
    }
    if w.has(4) {
        return w.refuse("g_idx", "blocks lie in order here");
    }
    let names: Vec<String> = (0..6).map(|i| w.input(i)).collect();
    let [a, b, scales, zeros, _, bias] = &names[..] else { return };
    let blocks = (k + block - 1) / block;
    let values = unpacked(w, b, bits, &[n, blocks, block]);
    let beside = w.ints(&[n, blocks, 1]);
    let zeros = if zeros.is_empty() {
        w.scalar(middle(bits))
    } else if w.types.get(zeros) == Some(&proto::UINT8) {
        let all = unpacked(w, zeros, bits, &[n, -1]);
        let own = first(w, &all, blocks);
        w.op("Reshape", &[&own, &beside])
    } else {
        let own = w.op("Reshape", &[zeros, &beside]);
        w.float32(&own)
    };
    let scales = w.op("Reshape", &[scales, &beside]);
    let scales = w.float32(&scales);
    let values = w.op("Sub", &[&values, &zeros]);
    let values = w.op("Mul", &[&values, &scales]);
    let flat = w.ints(&[n, blocks * block]);
    let values = w.op("Reshape", &[&values, &flat]);
    let values = first(w, &values, k);
    let values = w.op_with("Transpose", &[&values], vec![ints("perm", &[1, 0])]);
    let values = w.op("CastLike", &[&values, a]);
    if bias.is_empty() {
        w.give("MatMul", &[a, &values], vec![]);
    } else {
        let product = w.op("MatMul", &[a, &values]);
        w.give("Add", &[&product, bias], vec![]);
    }
}

/// Rows of a table whose values are quantized by blocks along each row.
fn packed_gather(w: &mut Writer<'_>) {
    let (block, bits) = (w.int("block_size", 128), bits(w));
    if w.int("gather_axis", 0) != 0 || !matches!(w.int("quantize_axis", 1), 1 | -1) {
        return w.refuse("gather_axis", "rows are gathered, and quantized along each");
    }
    let [data, indices, scales, zeros] = [0, 1, 2, 3].map(|i| w.input(i));
    if w.types.get(&data) != Some(&proto::UINT8) {
        return w.refuse("data", "it must be uint8, stored in the model");
    }
    let line = w.ints(&[-1]);
    let flat = w.op("Reshape", &[&indices, &line]);
    let rows = w.op("Gather", &[&data, &flat]);
    let values = unpacked(w, &rows, bits, &[0, -1, block]);
    let last = w.ints(&[-1]);
    let scales = w.op("Gather", &[&scales, &flat]);
    let beside = w.op("Unsqueeze", &[&scales, &last]);
    let beside = w.float32(&beside);
    let zeros = if zeros.is_empty() {
        w.scalar(middle(bits))
    } else {
        let own = w.op("Gather", &[&zeros, &flat]);
        let own = unpacked(w, &own, bits, &[0, -1]);
        // The last byte may hold more values than there are blocks.
        let (from, axis) = (w.ints(&[0]), w.ints(&[1]));
        let count = w.op_with("Shape", &[&scales], vec![int("start", 1), int("end", 2)]);
        let own = w.op("Slice", &[&own, &from, &count, &axis]);
        w.op("Unsqueeze", &[&own, &last])
    };
    let values = w.op("Sub", &[&values, &zeros]);
    let values = w.op("Mul", &[&values, &beside]);
    let shape = w.op("Shape", &[&indices]);
    let shape = w.op_with("Concat", &[&shape, &last], vec![int("axis", 0)]);
    let values = w.op("Reshape", &[&values, &shape]);
    w.give("CastLike", &[&values, &scales], vec![]);
}
