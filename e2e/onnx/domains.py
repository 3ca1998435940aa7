"""Writes small models of the operators that onnxruntime's optimizer and quantizer, generators and
scikit-learn's exporter write in their own domains, and onnxruntime's answers to them.

    python3 domains.py FOLDER [SEED]

The layout is that of ONNX's own cases.
"""

import pathlib
import sys

import numpy as np
import onnxruntime
from onnx import helper, numpy_helper

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("ai.onnx.ml", 3)]


class Cases:
    def __init__(self, folder, seed):
        self.folder, self.rng = folder, np.random.default_rng(seed)

    def floats(self, *shape):
        return self.rng.standard_normal(shape).astype(np.float32)

    def bytes(self, *shape, dtype=np.uint8):
        low, high = (0, 256) if dtype == np.uint8 else (-128, 128)
        return self.rng.integers(low, high, shape).astype(dtype)

    def add(self, name, op, inputs, stored=(), outputs=1, domain="com.microsoft", tolerance="0.001 0.0001", **attributes):
        """One node; `inputs` are arrays or None in its order, those at `stored` are kept in
        the model; `outputs` is how many are wanted, or which."""
        names = [f"i{i}" if a is not None else "" for i, a in enumerate(inputs)]
        wanted = outputs if isinstance(outputs, tuple) else range(outputs)
        results = [f"o{i}" if i in wanted else "" for i in range(max(wanted) + 1)]
        node = helper.make_node(op, names, results, domain=domain, **attributes)
        kind = lambda a: helper.np_dtype_to_tensor_dtype(a.dtype)
        fed = [(n, a) for i, (n, a) in enumerate(zip(names, inputs)) if a is not None and i not in stored]
        kept = [numpy_helper.from_array(inputs[i], names[i]) for i in stored]
        info = [helper.make_tensor_value_info(n, kind(a), a.shape) for n, a in fed]
        wanted = [n for n in results if n]
        graph = helper.make_graph([node], name, info, [helper.make_empty_tensor_value_info(n) for n in wanted], kept)
        model = helper.make_model(graph, opset_imports=OPSETS, ir_version=9).SerializeToString()
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        answers = session.run(wanted, dict(fed))
        at = self.folder / f"domain_{name}"
        data = at / "test_data_set_0"
        data.mkdir(parents=True, exist_ok=True)
        (at / "model.onnx").write_bytes(model)
        (at / "tolerance").write_text(tolerance)
        for i, (n, a) in enumerate(fed):
            (data / f"input_{i}.pb").write_bytes(numpy_helper.from_array(a, n).SerializeToString())
        for i, (n, a) in enumerate(zip(wanted, answers)):
            (data / f"output_{i}.pb").write_bytes(numpy_helper.from_array(np.asarray(a), n).SerializeToString())


def scale(value):
    return np.array(value, np.float32)


def fused(c):
    x = c.floats(2, 5, 16)
    c.add("gelu", "Gelu", [x])
    c.add("bias_gelu", "BiasGelu", [x, c.floats(16)], stored=[1])
    c.add("fast_gelu", "FastGelu", [x, c.floats(16)], stored=[1])
    c.add("fast_gelu_bare", "FastGelu", [x])
    c.add("quick_gelu", "QuickGelu", [x], alpha=1.5)
    a, b = c.floats(2, 3, 4, 5), c.floats(2, 3, 5, 6)
    turn = lambda y: np.ascontiguousarray(np.swapaxes(y, -1, -2))
    c.add("fused_matmul", "FusedMatMul", [a, b], alpha=0.5)
    c.add("fused_matmul_a", "FusedMatMul", [turn(a), b], transA=1)
    c.add("fused_matmul_ab", "FusedMatMul", [turn(a), turn(b)], transA=1, transB=1, alpha=2.0)
    c.add("fused_gemm", "FusedGemm", [c.floats(4, 5), c.floats(6, 5), c.floats(6)], stored=[1, 2], transB=1,
          activation="LeakyRelu", activation_alpha=0.2)
    image, weights = c.floats(1, 4, 7, 7), c.floats(6, 4, 3, 3)
    conv = dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    c.add("fused_conv", "FusedConv", [image, weights, c.floats(6)], stored=[1, 2], activation="Relu", **conv)
    c.add("fused_conv_sum", "FusedConv", [image, weights, c.floats(6), c.floats(1, 6, 7, 7)], stored=[1, 2],
          activation="Relu", **conv)
    c.add("fused_conv_clip", "FusedConv", [image, weights], stored=[1], activation="Clip",
          activation_params=[-1.0, 2.0], **conv)
    c.add("fused_conv_hard_sigmoid", "FusedConv", [image, weights], stored=[1], activation="HardSigmoid",
          activation_params=[0.3, 0.4], **conv)
    gamma, beta, bias = c.floats(16), c.floats(16), c.floats(16)
    c.add("skip_norm", "SkipLayerNormalization", [x, c.floats(2, 5, 16), gamma, beta, bias], stored=[2, 3, 4],
          outputs=(0, 3), epsilon=1e-5)
    c.add("skip_norm_bare", "SkipLayerNormalization", [x, c.floats(2, 5, 16), gamma], stored=[2])
    c.add("skip_simplified", "SkipSimplifiedLayerNormalization", [x, c.floats(2, 5, 16), gamma], stored=[2],
          outputs=(0, 3), epsilon=1e-6)
    c.add("simplified", "SimplifiedLayerNormalization", [x, gamma], stored=[1], domain="", axis=-1, epsilon=1e-6)
    ids = c.rng.integers(0, 20, (2, 5)).astype(np.int32)
    tables = [c.floats(20, 16), c.floats(8, 16), c.floats(2, 16)]
    kinds = c.rng.integers(0, 2, (2, 5)).astype(np.int32)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32)
    c.add("embed", "EmbedLayerNormalization", [ids, kinds, *tables, gamma, beta, mask], stored=range(2, 7), outputs=3)
    c.add("embed_bare", "EmbedLayerNormalization", [ids, None, tables[0], tables[1], None, gamma, beta],
          stored=[2, 3, 5, 6], outputs=2)


def quantized(c):
    a, b = c.bytes(2, 3, 4), c.bytes(2, 3, 4)
    point = lambda value, dtype=np.uint8: np.array(value, dtype)
    pair = [a, scale(0.02), point(120), b, scale(0.03), point(130), scale(0.04), point(110)]
    rest = [1, 2, 4, 5, 6, 7]
    c.add("q_add", "QLinearAdd", pair, stored=rest)
    c.add("q_mul", "QLinearMul", pair, stored=rest)
    signed = c.bytes(2, 3, 4, dtype=np.int8)
    of = [signed, scale(0.05), point(3, np.int8), scale(0.004), point(-128, np.int8)]
    c.add("q_sigmoid", "QLinearSigmoid", of, stored=[1, 2, 3, 4])
    c.add("q_leaky", "QLinearLeakyRelu", of, stored=[1, 2, 3, 4], alpha=0.1)
    ends = [signed, scale(0.05), point(3, np.int8), scale(1 / 256), point(-128, np.int8)]
    c.add("q_softmax", "QLinearSoftmax", ends, stored=[1, 2, 3, 4], axis=-1, opset=13)
    image = [c.bytes(1, 3, 6, 6), scale(0.05), point(100), scale(0.05), point(90)]
    c.add("q_average_pool", "QLinearAveragePool", image, stored=[1, 2, 3, 4], kernel_shape=[2, 2], strides=[2, 2])
    c.add("q_global_pool", "QLinearGlobalAveragePool", image, stored=[1, 2, 3, 4])
    parts = [scale(0.05), point(90), a, scale(0.02), point(120), b, scale(0.03), point(130)]
    c.add("q_concat", "QLinearConcat", parts, stored=[0, 1, 3, 4, 6, 7], axis=1)
    # Of seven bits: where the processor has no VNNI, onnxruntime adds products of eight in 16 bits, which they exceed.
    weights = c.rng.integers(-64, 64, (5, 6)).astype(np.int8)
    gemm = [c.bytes(4, 6), scale(0.02), point(120), weights, scale(0.01), point(0, np.int8),
            c.rng.integers(-500, 500, 5).astype(np.int32), scale(0.05), point(128)]
    c.add("q_gemm", "QGemm", gemm, stored=range(1, 9), transB=1)
    c.add("q_gemm_float", "QGemm", gemm[:7], stored=range(1, 7), transB=1)
    x, weights = c.floats(2, 3, 8), c.bytes(8, 5)
    c.add("dynamic_matmul", "DynamicQuantizeMatMul", [x, weights, scale(0.01), point(128), c.floats(5)],
          stored=[1, 2, 3, 4])
    c.add("matmul_to_float", "MatMulIntegerToFloat",
          [c.bytes(2, 3, 8), weights, scale(0.02), scale(0.01), point(120), point(128), c.floats(5)], stored=range(1, 7))
    for bits, size in ((2, 4), (4, 2), (8, 1)):
        blocks = 3
        packed = c.bytes(10, blocks, 32 // size)
        scales = np.abs(c.floats(10 * blocks)) * 0.1
        zeros = c.bytes(10 * -(-blocks // size))
        about = dict(K=80, N=10, bits=bits, block_size=32)
        c.add(f"nbits_{bits}", "MatMulNBits", [c.floats(2, 4, 80), packed, scales], stored=[1, 2], **about)
        c.add(f"nbits_{bits}_zeros", "MatMulNBits", [c.floats(4, 80), packed, scales, zeros, None, c.floats(10)],
              stored=[1, 2, 3, 5], **about)
    ids = c.rng.integers(0, 12, (2, 5)).astype(np.int64)
    table, scales = c.bytes(12, 48), np.abs(c.floats(12, 3)) * 0.1
    c.add("gather_block", "GatherBlockQuantized", [table, ids, scales], stored=[0, 2], bits=4, block_size=32,
          gather_axis=0, quantize_axis=1)
    c.add("gather_block_zeros", "GatherBlockQuantized", [table, ids, scales, c.bytes(12, 2)], stored=[0, 2, 3], bits=4,
          block_size=32, gather_axis=0, quantize_axis=1)


def attention(c):
    batch, length, heads, size = 2, 5, 3, 8
    width = heads * size
    x, weights, bias = c.floats(batch, length, width), c.floats(width, 3 * width) / 4, c.floats(3 * width)
    past, extra = c.floats(2, batch, heads, 4, size), c.floats(1, heads, length, length)
    flags = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32)
    about = dict(stored=[1, 2], num_heads=heads)
    c.add("attention", "Attention", [x, weights, bias], **about)
    c.add("attention_flags", "Attention", [x, weights, bias, flags], **about)
    c.add("attention_lengths", "Attention", [x, weights, bias, np.array([5, 3], np.int32)], **about)
    c.add("attention_ends", "Attention", [x, weights, bias, np.array([5, 4, 0, 1], np.int32)], **about)
    c.add("attention_causal", "Attention", [x, weights, bias], unidirectional=1, **about)
    c.add("attention_extra", "Attention", [x, weights, bias, None, None, extra], scale=0.3, **about)
    whole = np.concatenate([np.ones((batch, 4), np.int32), flags], 1)
    c.add("attention_past", "Attention", [x, weights, bias, whole, past], outputs=2, unidirectional=1, **about)
    c.add("attention_sizes", "Attention", [x, c.floats(width, 24 + 24 + 12) / 4, c.floats(60)],
          qkv_hidden_sizes=[24, 24, 12], **about)

    q, k, v = x, c.floats(batch, 7, width), c.floats(batch, 7, width)
    some = np.ones((batch, 7), np.int32)
    some[1, 4:] = 0
    about = dict(num_heads=heads)
    c.add("multi_head", "MultiHeadAttention", [q, k, v], **about)
    c.add("multi_head_bias", "MultiHeadAttention", [q, k, v, bias], stored=[3], **about)
    c.add("multi_head_mask", "MultiHeadAttention", [q, k, v, None, some], **about)
    c.add("multi_head_extra", "MultiHeadAttention", [q, k, v, None, None, c.floats(1, heads, length, 7)], **about)
    apart = lambda n: c.floats(batch, heads, n, size)
    c.add("multi_head_apart", "MultiHeadAttention", [q, apart(7), apart(7)], **about)
    own = [q, c.floats(batch, length, width), c.floats(batch, length, width)]
    c.add("multi_head_causal", "MultiHeadAttention", own, unidirectional=1, **about)
    c.add("multi_head_past", "MultiHeadAttention", [*own, None, None, None, apart(4), apart(4)], outputs=3, **about)

    angles = np.outer(np.arange(32), 0.5 ** np.arange(size // 2)).astype(np.float32)
    cos, sin = np.cos(angles), np.sin(angles)
    places = c.rng.integers(0, 20, (batch, length)).astype(np.int64)
    for name, more in (("rotary", {}), ("rotary_pairs", {"interleaved": 1})):
        c.add(name, "RotaryEmbedding", [apart(length), places, cos, sin], stored=[2, 3], **more)
        c.add(f"{name}_flat", "RotaryEmbedding", [x, np.array([3], np.int64), cos, sin], stored=[2, 3], **more)

    heads, own = 4, 2
    size = 16  # onnxruntime wants multiples of 16
    angles = np.outer(np.arange(32), 0.5 ** np.arange(size // 2)).astype(np.float32)
    cos, sin = np.cos(angles), np.sin(angles)
    query = lambda n: c.floats(batch, n, heads * size)
    keys = lambda n: c.floats(batch, n, own * size)
    before = lambda n: c.floats(batch, own, n, size)
    total = lambda n: (np.full(batch, n - 1, np.int32), np.array(n, np.int32))
    about = dict(num_heads=heads, kv_num_heads=own)
    # What was there before is of no length on the first call.
    c.add("grouped", "GroupQueryAttention", [query(6), keys(6), keys(6), before(0), before(0), *total(6)], outputs=3, **about)
    c.add("grouped_rotary", "GroupQueryAttention", [query(6), keys(6), keys(6), before(0), before(0), *total(6), cos, sin],
          stored=[7, 8], outputs=3, do_rotary=1, **about)
    c.add("grouped_past", "GroupQueryAttention", [query(1), keys(1), keys(1), before(5), before(5), *total(6), cos, sin],
          stored=[7, 8], outputs=3, do_rotary=1, **about)
    c.add("grouped_window", "GroupQueryAttention", [query(6), keys(6), keys(6), before(0), before(0), *total(6)],
          local_window_size=3, softcap=5.0, **about)
    packed = c.floats(batch, 6, (heads + 2 * own) * size)
    c.add("grouped_packed", "GroupQueryAttention", [packed, None, None, before(0), before(0), *total(6)], outputs=3, **about)


def classical(c):
    x = c.floats(7, 4)
    about = dict(domain="ai.onnx.ml")
    c.add("scaler", "Scaler", [x], offset=[0.5, 0.1, 0.0, 1.0], scale=[2.0, 1.0, 0.5, 3.0], **about)
    c.add("features", "ArrayFeatureExtractor", [x, np.array([2, 0], np.int64)], stored=[1], **about)
    c.add("binarizer", "Binarizer", [x], threshold=0.3, **about)
    holes = x.copy()
    holes[1, 2] = holes[3, 0] = np.nan
    c.add("imputer", "Imputer", [holes], imputed_value_floats=[1.0, 2.0, 3.0, 4.0], replaced_value_float=float("nan"), **about)
    for norm in ("L1", "L2", "MAX"):
        c.add(f"normalizer_{norm}", "Normalizer", [np.abs(x) if norm == "MAX" else x], norm=norm, **about)
    lines = lambda n: [float(value) for value in c.floats(n)]
    c.add("regressor", "LinearRegressor", [x], coefficients=lines(8), intercepts=lines(2), targets=2, **about)
    for after in ("NONE", "LOGISTIC", "SOFTMAX"):
        c.add(f"classifier_{after}", "LinearClassifier", [x], outputs=2, coefficients=lines(12), intercepts=lines(3),
              classlabels_ints=[4, 5, 9], post_transform=after, **about)


    kinds = c.rng.integers(0, 5, (7, 2))
    c.add("one_hot", "OneHotEncoder", [kinds], cats_int64s=[0, 2, 3], zeros=1, **about)
    c.add("one_hot_of_floats", "OneHotEncoder", [kinds.astype(np.float32)], cats_int64s=[1, 4], zeros=1, **about)
    c.add("joined", "FeatureVectorizer", [x, kinds.astype(np.float32)], inputdimensions=[4, 2], **about)
    c.add("labels", "LabelEncoder", [kinds], keys_int64s=[4, 0, 2], values_int64s=[7, 8, 9], default_int64=-3, **about)
    c.add("labels_as_floats", "LabelEncoder", [kinds], keys_int64s=[1, 3], values_floats=[0.5, 2.5], default_float=9.0, **about)
    c.add("labels_of_floats", "LabelEncoder", [kinds.astype(np.float32)], keys_floats=[1.0, 3.0], values_int64s=[5, 6], **about)


class Forest:
    """Trees made up at random, as attributes of the older operators: `modes` to branch by, leaves that answer for `targets`."""

    def __init__(self, c, trees, depth, modes, targets, missing=False, positive=False):
        self.c, self.modes, self.targets, self.missing, self.positive = c, modes, targets, missing, positive
        names = "treeids nodeids featureids modes values truenodeids falsenodeids missing_value_tracks_true".split()
        self.nodes = {name: [] for name in names}
        self.leaves = {name: [] for name in "treeids nodeids ids weights".split()}
        for self.tree in range(trees):
            self.first = len(self.nodes["nodeids"])
            self.grow(depth)

    def grow(self, depth):
        rng, place = self.c.rng, len(self.nodes["nodeids"])
        node = place - self.first
        is_leaf = depth == 0 or node > 0 and rng.random() < 0.2
        mode = "LEAF" if is_leaf else self.modes[rng.integers(len(self.modes))]
        value = 0.0 if is_leaf else round(float(rng.standard_normal()), 1)
        missing = int(self.missing and rng.random() < 0.5)
        for name, entry in zip(self.nodes, [self.tree, node, int(rng.integers(4)), mode, value, 0, 0, missing]):
            self.nodes[name].append(entry)
        if is_leaf:
            for target in self.targets:
                weight = float(self.c.floats(1)[0])
                for name, entry in zip(self.leaves, [self.tree, node, target, abs(weight) if self.positive else weight]):
                    self.leaves[name].append(entry)
        else:
            self.nodes["truenodeids"][place] = self.grow(depth - 1)
            self.nodes["falsenodeids"][place] = self.grow(depth - 1)
        return node

    def attributes(self, of):
        nodes = {f"nodes_{name}": entries for name, entries in self.nodes.items()}
        return {**nodes, **{f"{of}_{name}": entries for name, entries in self.leaves.items()}, "domain": "ai.onnx.ml"}


def trees(c):
    # Values that thresholds hit, and some that are missing.
    x = np.round(c.floats(40, 4), 1)
    holes = np.where(c.rng.random(x.shape) < 0.2, np.float32(np.nan), x)
    below = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"]
    for name, modes in (("leq", below[:1]), ("ordered", below), ("equal", ["BRANCH_EQ", "BRANCH_NEQ", "BRANCH_LEQ"])):
        c.add(f"trees_{name}", "TreeEnsembleRegressor", [x], n_targets=1, **Forest(c, 7, 5, modes, [0]).attributes("target"))
    missing = Forest(c, 7, 5, below[:1], [0], missing=True)
    c.add("trees_missing", "TreeEnsembleRegressor", [holes], n_targets=1, **missing.attributes("target"))
    for how in ("SUM", "AVERAGE", "MIN", "MAX"):
        forest = Forest(c, 6, 4, below[:1], [0, 1, 2]).attributes("target")
        c.add(f"trees_{how}", "TreeEnsembleRegressor", [x], n_targets=3, aggregate_function=how, base_values=[0.5, 0.25, 2.0],
              **forest)
    for after in ("NONE", "LOGISTIC", "SOFTMAX"):
        c.add(f"trees_targets_{after}", "TreeEnsembleRegressor", [x], n_targets=3, post_transform=after,
              **Forest(c, 5, 3, below[:1], [0, 1, 2]).attributes("target"))
        c.add(f"trees_classes_{after}", "TreeEnsembleClassifier", [x], outputs=2, classlabels_int64s=[4, 5, 9],
              post_transform=after, base_values=[0.1, 0.2, 0.3], **Forest(c, 9, 4, below[1:2], [0, 1, 2]).attributes("class"))
        for kind, positive in (("scores", False), ("chances", True)):
            c.add(f"trees_two_{kind}_{after}", "TreeEnsembleClassifier", [x], outputs=2, classlabels_int64s=[3, 8],
                  post_transform=after, **({} if positive else {"base_values": [0.3]}),
                  **Forest(c, 1 if positive else 6, 4, below[:1], [0], positive=positive).attributes("class"))


def main():
    folder = pathlib.Path(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    for family in (fused, quantized, attention, classical, trees):
        family(Cases(folder, seed))


if __name__ == "__main__":
    main()
