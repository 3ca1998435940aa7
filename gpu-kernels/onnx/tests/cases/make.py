"""Makes the operator cases: small models with random weights, and onnxruntime's answers.

    pip install numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
    python make.py

Each case is NAME.onnx and NAME.bin: little-endian; u32 rank and u32 sizes of the input, its float32
values, then the same for the output.
"""
import struct
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
rng = np.random.default_rng(11)


def f(*shape):
    return rng.normal(size=shape).astype(np.float32)


def i(*values):
    return np.array(values, dtype=np.int64)


def case(name, nodes, x, consts=None, opset=17, declared=None):
    domains = sorted({op.rpartition(".")[0] for op, *_ in nodes} - {""})
    split = lambda op: dict(op_type=op.rpartition(".")[2], domain=op.rpartition(".")[0] or None)
    nodes = [helper.make_node(inputs=ins, outputs=outs, name=f"{op}_{k}", **split(op), **attrs) for k, (op, ins, outs, attrs) in enumerate(nodes)]
    declared = declared or ["batch", *x.shape[1:]]
    graph = helper.make_graph(
        nodes, name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, declared)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, k) for k, v in (consts or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)], ir_version=8)
    data = model.SerializeToString()
    y = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    (HERE / f"{name}.onnx").write_bytes(data)
    with open(HERE / f"{name}.bin", "wb") as out:
        for array in (x, y):
            array = np.ascontiguousarray(array, dtype="<f4")
            out.write(struct.pack(f"<{1 + array.ndim}I", array.ndim, *array.shape))
            out.write(array.tobytes())


img = f(3, 4, 9, 7)
case("matmul", [("MatMul", ["x", "w"], ["y"], {})], f(5, 33), {"w": f(33, 37)})
case("matmul_stack", [("MatMul", ["x", "w"], ["y"], {})], f(3, 2, 5, 7), {"w": f(1, 2, 7, 3)})
case("matmul_partial_broadcast", [("MatMul", ["x", "w"], ["y"], {})], f(3, 1, 5, 7), {"w": f(1, 4, 7, 3)})
case("matmul_left_constant", [("MatMul", ["w", "x"], ["y"], {})], f(3, 7, 5), {"w": f(4, 7)})
case("matmul_vector", [("MatMul", ["x", "w"], ["y"], {})], f(6, 5, 7), {"w": f(7)})
case("matmul_of_rows", [("Transpose", ["x"], ["t"], {"perm": [0, 2, 1]}), ("MatMul", ["x", "t"], ["y"], {})], f(3, 5, 7))
case("gemm", [("Gemm", ["x", "w", "c"], ["y"], {"alpha": 0.5, "beta": 1.5, "transB": 1})], f(5, 33), {"w": f(17, 33), "c": f(17)})
case("gemm_scalar_c", [("Gemm", ["x", "w", "c"], ["y"], {})], f(5, 20), {"w": f(20, 40), "c": f(1)})
case("gemm_no_c", [("Gemm", ["x", "w"], ["y"], {"transB": 1})], f(5, 20), {"w": f(40, 20)})
case("gemm_trans_a", [("Gemm", ["w", "x"], ["t"], {"transA": 1, "transB": 1}), ("Transpose", ["t"], ["y"], {})], f(5, 20), {"w": f(20, 6)})
conv = lambda **kw: [("Conv", ["x", "w", "b"], ["y"], kw)]
case("conv", conv(pads=[1, 1, 1, 1]), img, {"w": f(6, 4, 3, 3), "b": f(6)})
case("conv_stride_asymmetric", conv(strides=[2, 3], pads=[0, 2, 1, 1]), img, {"w": f(6, 4, 3, 2), "b": f(6)})
case("conv_dilated", conv(dilations=[2, 2], pads=[2, 1, 2, 1]), img, {"w": f(6, 4, 3, 3), "b": f(6)})
case("conv_groups", conv(group=2, kernel_shape=[3, 3]), img, {"w": f(6, 2, 3, 3), "b": f(6)})
case("conv_depthwise", conv(group=4, pads=[1, 1, 1, 1]), img, {"w": f(4, 1, 3, 3), "b": f(4)})
case("conv_same_upper", conv(auto_pad="SAME_UPPER", strides=[2, 2]), img, {"w": f(6, 4, 4, 4), "b": f(6)})
case("conv_same_lower", conv(auto_pad="SAME_LOWER", strides=[2, 2]), img, {"w": f(6, 4, 4, 4), "b": f(6)})
case("conv_valid_no_bias", [("Conv", ["x", "w"], ["y"], {"auto_pad": "VALID"})], img, {"w": f(6, 4, 3, 3)})
case("conv_one_dimension", [("Conv", ["x", "w"], ["y"], {"pads": [2, 1]})], f(3, 4, 11), {"w": f(5, 4, 3)})
case("max_pool", [("MaxPool", ["x"], ["y"], {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 0, 1]})], img)
case("max_pool_ceil", [("MaxPool", ["x"], ["y"], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1})], img)
case("max_pool_dilated", [("MaxPool", ["x"], ["y"], {"kernel_shape": [2, 2], "dilations": [3, 2]})], img)
case("average_pool", [("AveragePool", ["x"], ["y"], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]})], img)
case("average_pool_counting_padding", [("AveragePool", ["x"], ["y"], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1, "strides": [2, 2]})], img)
case("average_pool_ceil", [("AveragePool", ["x"], ["y"], {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1})], img)
case("average_pool_ceil_counting_padding", [("AveragePool", ["x"], ["y"], {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1, "pads": [1, 1, 1, 0], "count_include_pad": 1})], img, opset=22)
case("average_pool_same", [("AveragePool", ["x"], ["y"], {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"})], img)
case("average_pool_one_dimension", [("AveragePool", ["x"], ["y"], {"kernel_shape": [3], "strides": [2]})], f(3, 4, 11))
case("global_average_pool", [("GlobalAveragePool", ["x"], ["y"], {})], img)
case("batch_normalization", [("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"], {"epsilon": 1e-3})], img, {"s": f(4), "b": f(4), "m": f(4), "v": np.abs(f(4))})
case("add_channel", [("Add", ["x", "c"], ["y"], {})], img, {"c": f(4, 1, 1)})
case("sub_from_scalar", [("Sub", ["c", "x"], ["y"], {})], img, {"c": f()})
case("mul_self", [("Mul", ["x", "x"], ["y"], {})], img)
case("div_last_axis", [("Div", ["x", "c"], ["y"], {})], img, {"c": np.abs(f(7)) + 1})
case("add_widening", [("Add", ["x", "c"], ["y"], {})], f(3, 1, 5), {"c": f(1, 4, 1)})
case("relu", [("Relu", ["x"], ["y"], {})], img)
case("leaky_relu", [("LeakyRelu", ["x"], ["y"], {"alpha": 0.2})], img)
case("sigmoid", [("Sigmoid", ["x"], ["y"], {})], img * 30)
case("tanh", [("Tanh", ["x"], ["y"], {})], np.concatenate([img * 30, img * 0.1]))
case("clip", [("Clip", ["x", "lo", "hi"], ["y"], {})], img, {"lo": np.float32(-0.5).reshape(()), "hi": np.float32(0.7).reshape(())})
case("clip_upper_only", [("Clip", ["x", "", "hi"], ["y"], {})], img, {"hi": np.float32(0.1).reshape(())})
case("softmax", [("Softmax", ["x"], ["y"], {})], f(5, 130) * 20)
case("softmax_inner_axis", [("Softmax", ["x"], ["y"], {"axis": 1})], img)
case("transpose", [("Transpose", ["x"], ["y"], {"perm": [0, 3, 1, 2]})], img)
case("concat", [("Relu", ["x"], ["r"], {}), ("Concat", ["x", "r", "x"], ["y"], {"axis": 2})], img)
case("concat_negative_axis", [("Tanh", ["x"], ["r"], {}), ("Concat", ["x", "r"], ["y"], {"axis": -1})], img)
case("reshape_zero_and_open", [("Reshape", ["x", "s"], ["y"], {})], img, {"s": i(0, -1, 9)})
case("reshape_merged_batch", [("Reshape", ["x", "s"], ["a"], {}), ("MatMul", ["a", "w"], ["b"], {}), ("Reshape", ["b", "t"], ["y"], {})], f(3, 4, 7), {"s": i(-1, 7), "w": f(7, 5), "t": i(-1, 4, 5)})
case("flatten", [("Flatten", ["x"], ["y"], {})], img)
case("identity_dropout", [("Identity", ["x"], ["a"], {}), ("Dropout", ["a"], ["y"], {})], img)
case("constant_folded", [
    ("Constant", [], ["c"], {"value": numpy_helper.from_array(f(7, 4), "c")}), ("Constant", [], ["k"], {"value_float": 2.5}),
    ("Transpose", ["c"], ["t"], {}), ("Mul", ["t", "k"], ["w"], {}), ("MatMul", ["x", "c"], ["a"], {}), ("MatMul", ["a", "w"], ["y"], {})], f(5, 7))
case("fixed_batch_declared", [("MatMul", ["x", "w"], ["y"], {})], f(1, 8), {"w": f(8, 3)}, declared=[1, 8])
case("mixes_rows", [("Softmax", ["x"], ["y"], {"axis": 0})], f(6, 5))
case("attention", [
    ("MatMul", ["x", "wq"], ["q"], {}), ("MatMul", ["x", "wk"], ["k"], {}), ("MatMul", ["x", "wv"], ["v"], {}),
    ("Reshape", ["q", "h"], ["qh"], {}), ("Reshape", ["k", "h"], ["kh"], {}), ("Reshape", ["v", "h"], ["vh"], {}),
    ("Transpose", ["qh"], ["qt"], {"perm": [0, 2, 1, 3]}), ("Transpose", ["kh"], ["kt"], {"perm": [0, 2, 3, 1]}), ("Transpose", ["vh"], ["vt"], {"perm": [0, 2, 1, 3]}),
    ("MatMul", ["qt", "kt"], ["s"], {}), ("Mul", ["s", "scale"], ["ss"], {}), ("Softmax", ["ss"], ["p"], {}), ("MatMul", ["p", "vt"], ["o"], {}),
    ("Transpose", ["o"], ["ot"], {"perm": [0, 2, 1, 3]}), ("Reshape", ["ot", "back"], ["or"], {}), ("Add", ["or", "x"], ["y"], {})],
    f(3, 10, 16), {"wq": f(16, 16), "wk": f(16, 16), "wv": f(16, 16), "h": i(0, 0, 4, 4), "back": i(0, 0, 16), "scale": np.float32(0.5).reshape(())})
ms = "com.microsoft."
case("fused_matmul", [(ms + "FusedMatMul", ["x", "w"], ["y"], {"transB": 1, "alpha": 0.5})], f(3, 4, 8), {"w": f(6, 8)})
case("packed_weights", [(ms + "MatMulNBits", ["x", "w", "s", "z"], ["y"], {"K": 40, "N": 6, "bits": 4, "block_size": 16})], f(3, 4, 40),
     {"w": rng.integers(0, 256, (6, 3, 8)).astype(np.uint8), "s": np.abs(f(18)), "z": rng.integers(0, 256, 12).astype(np.uint8)})
case("fused_attention", [(ms + "Attention", ["x", "w", "b"], ["a"], {"num_heads": 2, "unidirectional": 1}),
     (ms + "SkipLayerNormalization", ["a", "x", "g", "h"], ["n"], {"epsilon": 1e-5}), (ms + "BiasGelu", ["n", "h"], ["y"], {})],
     f(3, 5, 8), {"w": f(8, 24), "b": f(24), "g": f(8), "h": f(8)})
case("quantized_sum", [("QuantizeLinear", ["x", "s", "z"], ["q"], {}), (ms + "QLinearAdd", ["q", "s", "z", "c", "s", "z", "t", "z"], ["r"], {}), ("DequantizeLinear", ["r", "t", "z"], ["y"], {})],
     f(3, 7), {"s": np.float32(0.03), "t": np.float32(0.05), "z": np.uint8(120), "c": rng.integers(0, 256, 7).astype(np.uint8)})
case("classical_scaler", [("ai.onnx.ml.Scaler", ["x"], ["y"], {"offset": [0.5, 1.0, 0.0], "scale": [2.0, 0.5, 3.0]})], f(5, 3))
# Two trees: `x1 <= 0.25 ? (x0 > -0.5 ? a : b) : c` and `x2 < 0.125 ? d : e`, for two targets.
case("trees", [("ai.onnx.ml.TreeEnsembleRegressor", ["x"], ["y"], {
    "n_targets": 2, "base_values": [0.5, -1.0], "nodes_treeids": [0] * 5 + [1] * 3, "nodes_nodeids": [0, 1, 2, 3, 4, 0, 1, 2],
    "nodes_featureids": [1, 0, 0, 0, 0, 2, 0, 0], "nodes_values": [0.25, -0.5, 0, 0, 0, 0.125, 0, 0],
    "nodes_modes": ["BRANCH_LEQ", "BRANCH_GT", "LEAF", "LEAF", "LEAF", "BRANCH_LT", "LEAF", "LEAF"],
    "nodes_truenodeids": [1, 3, 0, 0, 0, 1, 0, 0], "nodes_falsenodeids": [2, 4, 0, 0, 0, 2, 0, 0],
    "target_treeids": [0, 0, 0, 0, 1, 1, 1, 1], "target_nodeids": [2, 3, 3, 4, 1, 1, 2, 2],
    "target_ids": [0, 0, 1, 1, 0, 1, 0, 1], "target_weights": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]})],
    f(40, 3))
# The batch is not the first axis of what lies between.
case("lstm_batch_inside", [
    ("Transpose", ["x"], ["t"], {"perm": [1, 0, 2]}), ("LSTM", ["t", "w", "r", "b"], ["l"], {"hidden_size": 6, "direction": "bidirectional"}),
    ("Transpose", ["l"], ["u"], {"perm": [2, 0, 1, 3]}), ("Reshape", ["u", "s"], ["y"], {})], f(3, 5, 4),
    {"w": f(2, 24, 4), "r": f(2, 24, 6), "b": f(2, 48), "s": i(0, 0, 12)})
case("mean_of_models", [
    ("MatMul", ["x", "v"], ["a"], {}), ("MatMul", ["x", "w"], ["b"], {}), ("Unsqueeze", ["a", "zero"], ["c"], {}), ("Unsqueeze", ["b", "zero"], ["d"], {}),
    ("Concat", ["c", "d"], ["e"], {"axis": 0}), ("Softmax", ["e"], ["g"], {"axis": 0}), ("ReduceMean", ["g"], ["y"], {"axes": [0], "keepdims": 0})],
    f(5, 4), {"v": f(4, 3), "w": f(4, 3), "zero": i(0)})
# Ends that are cut while others are padded: what is cut is no padding.
cut = {"reflect": [-1, 2], "edge": [3, -2], "wrap": [-2, 1], "constant": [-4, 3]}
case("pad_cut_and_added", [*(("Pad", ["x", f"{mode}_pads", "", "last"], [mode], {"mode": mode}) for mode in cut), ("Concat", [*cut], ["y"], {"axis": 2})],
     f(3, 2, 6), {"last": i(-1), **{f"{mode}_pads": i(*pads) for mode, pads in cut.items()}}, opset=19)
case("pad_wrap_two_axes", [("Pad", ["x", "pads"], ["y"], {"mode": "wrap"})], f(3, 4, 5), {"pads": i(0, -1, 7, 0, 2, -2)}, opset=19)
# The places that are read are a part of each row, some of them outside the image.
sampled = np.concatenate([f(3, 48), rng.uniform(-1.7, 1.7, (3, 30)).astype(np.float32)], axis=1)
for mode in ("bicubic", "bilinear", "nearest"):
    each = [(padding, corners) for padding in ("zeros", "border", "reflection") for corners in (0, 1)]
    case(f"grid_sample_{mode}", [
        ("Split", ["x", "sizes"], ["a", "b"], {"axis": 1}), ("Reshape", ["a", "image"], ["c"], {}), ("Reshape", ["b", "grid"], ["d"], {}),
        *(("GridSample", ["c", "d"], [f"{p}{k}"], {"mode": mode, "padding_mode": p, "align_corners": k}) for p, k in each),
        ("Concat", [f"{p}{k}" for p, k in each], ["y"], {"axis": 1})],
        sampled, {"sizes": i(48, 30), "image": i(0, 2, 4, 6), "grid": i(0, 3, 5, 2)})
far = np.concatenate([f(3, 48), rng.uniform(-3e6, 3e6, (3, 30)).astype(np.float32)], axis=1)
case("grid_sample_far_outside", [
    ("Split", ["x", "sizes"], ["a", "b"], {"axis": 1}), ("Reshape", ["a", "image"], ["c"], {}), ("Reshape", ["b", "grid"], ["d"], {}),
    ("GridSample", ["c", "d"], ["y"], {"mode": "bicubic", "padding_mode": "border"})],
    far, {"sizes": i(48, 30), "image": i(0, 2, 4, 6), "grid": i(0, 3, 5, 2)})
for mode in ("nearest", "linear", "cubic"):
    for way, scale in (("up", 1.7), ("down", 0.6)):
        case(f"resize_{mode}_aligned_{way}", [("Resize", ["x", "", "s"], ["y"], {"mode": mode, "coordinate_transformation_mode": "align_corners"})],
             f(3, 1, 4, 7), {"s": np.array([1, 1, scale, scale], np.float32)})
# Coordinates are float32: in float64 these fall short of a whole number, or of the middle between two pixels.
case("resize_nearest_on_a_pixel", [("Resize", ["x", "", "s"], ["y"], {"mode": "nearest", "nearest_mode": "floor"})], f(3, 1, 4, 6), {"s": np.array([1, 1, 0.6, 0.6], np.float32)})
case("resize_nearest_on_a_tie", [("Resize", ["x", "", "s"], ["y"], {"mode": "nearest", "nearest_mode": "round_prefer_ceil"})], f(3, 1, 1, 25), {"s": np.array([1, 1, 1, 0.3], np.float32)})
case("resize_nearest_as_of_old", [("Resize", ["x", "s"], ["y"], {"mode": "nearest"})], f(3, 1, 4, 6), {"s": np.array([1, 1, 1.5, 0.6], np.float32)}, opset=10)
case("resize_to_the_same_size", [("Resize", ["x", "", "s"], ["y"], {"mode": "linear"})], f(3, 1, 4, 4), {"s": np.array([1, 1, 1.2, 1.2], np.float32)})
case("resize_antialiased_along_one_axis", [("Resize", ["x", "", "s"], ["y"], {"mode": "cubic", "antialias": 1})], f(3, 1, 4, 6), {"s": np.array([1, 1, 1.2, 0.6], np.float32)}, opset=19)
# Backwards from before an axis, and to the largest number, which stands for the end that a slice goes to.
case("slice_backwards_without_ends", [("Slice", ["x", "s", "e", "a", "t"], ["y"], {})], f(3, 2, 4), {"s": i(-9, -1), "e": i(-20, 2**63 - 1), "a": i(2, 1), "t": i(-2, -1)})
