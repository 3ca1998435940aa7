"""Writes models of the common families, with random weights, and onnxruntime's answers to them.

    python3 models.py FOLDER [SEED]

The layout is that of ONNX's own cases: a folder a model, with `model.onnx` and a data set.
"""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


class Model:
    """A graph under construction; every method that adds a node returns its output's name."""

    def __init__(self, rng):
        self.rng = rng
        self.nodes, self.initializers, self.count = [], [], 0

    def name(self, stem):
        self.count += 1
        return f"{stem}_{self.count}"

    def constant(self, values):
        name = self.name("c")
        self.initializers.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def weight(self, *shape, fan_in=None):
        fan_in = fan_in or int(np.prod(shape[1:])) or 1
        return self.constant((self.rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32))

    def node(self, op, *inputs, outputs=1, **attributes):
        names = [self.name(op.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def conv(self, x, cin, cout, size=3, stride=1, groups=1, bias=False):
        inputs = [x, self.weight(cout, cin // groups, size, size)]
        if bias:
            inputs.append(self.weight(cout, fan_in=4))
        pad = size // 2
        return self.node("Conv", *inputs, strides=[stride] * 2, pads=[pad] * 4, group=groups)

    def norm(self, x, channels):
        positive = lambda: self.constant(self.rng.uniform(0.5, 1.5, channels).astype(np.float32))
        plain = lambda: self.constant((0.1 * self.rng.standard_normal(channels)).astype(np.float32))
        return self.node("BatchNormalization", x, positive(), plain(), plain(), positive())

    def linear(self, x, cin, cout):
        y = self.node("MatMul", x, self.weight(cin, cout, fan_in=cin))
        return self.node("Add", y, self.weight(cout, fan_in=16))

    def layer_norm(self, x, width):
        scale = self.constant(self.rng.uniform(0.5, 1.5, width).astype(np.float32))
        return self.node("LayerNormalization", x, scale, self.weight(width, fan_in=16), axis=-1)

    def gelu(self, x):
        """As exporters spell it."""
        half = self.node("Div", x, self.constant(np.float32(np.sqrt(2.0))))
        erf = self.node("Add", self.node("Erf", half), self.constant(np.float32(1)))
        return self.node("Mul", self.node("Mul", x, erf), self.constant(np.float32(0.5)))

    def attention(self, x, width, heads, mask=None, past=None):
        """Reshapes follow the input's shape, as exporters write it for a free batch and length."""
        size = width // heads
        shape = self.node("Shape", x)
        batch = self.node("Gather", shape, self.constant(np.int64(0)))
        length = self.node("Gather", shape, self.constant(np.int64(1)))
        one = lambda v: self.node("Unsqueeze", v, self.ints(0))
        apart = self.node("Concat", one(batch), one(length), self.ints(heads), self.ints(size), axis=0)

        def split(y):
            return self.node("Transpose", self.node("Reshape", y, apart), perm=[0, 2, 1, 3])

        q, k, v = (split(self.linear(x, width, width)) for _ in range(3))
        present = None
        if past:
            k = self.node("Concat", past[0], k, axis=2)
            v = self.node("Concat", past[1], v, axis=2)
            present = (k, v)
        scores = self.node("MatMul", q, self.node("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self.node("Div", scores, self.constant(np.float32(np.sqrt(size))))
        if mask:
            scores = self.node("Add", scores, mask)
        y = self.node("MatMul", self.node("Softmax", scores, axis=-1), v)
        y = self.node("Transpose", y, perm=[0, 2, 1, 3])
        together = self.node("Concat", one(batch), one(length), self.ints(width), axis=0)
        y = self.linear(self.node("Reshape", y, together), width, width)
        return (y, present) if past else y

    def block(self, x, width, heads, mask=None, past=None):
        y = self.attention(self.layer_norm(x, width), width, heads, mask, past)
        y, present = y if past else (y, None)
        x = self.node("Add", x, y)
        y = self.linear(self.layer_norm(x, width), width, 4 * width)
        x = self.node("Add", x, self.linear(self.gelu(y), 4 * width, width))
        return (x, present) if past else x

    def write(self, folder, name, inputs, outputs, opset=17):
        """`inputs` are (name, array, shape with names for free sizes)."""
        info = [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), shape) for n, a, shape in inputs
        ]
        results = [helper.make_empty_tensor_value_info(o) for o in outputs]
        graph = helper.make_graph(self.nodes, name, info, results, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
        model = onnx.shape_inference.infer_shapes(model)
        onnx.checker.check_model(model)
        at = folder / name
        data = at / "test_data_set_0"
        data.mkdir(parents=True, exist_ok=True)
        (at / "model.onnx").write_bytes(model.SerializeToString())
        (at / "tolerance").write_text("0.001 0.0001")
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        answers = session.run(outputs, {n: a for n, a, _ in inputs})
        for i, (n, a, _) in enumerate(inputs):
            (data / f"input_{i}.pb").write_bytes(numpy_helper.from_array(a, n).SerializeToString())
        for i, (n, a) in enumerate(zip(outputs, answers)):
            (data / f"output_{i}.pb").write_bytes(numpy_helper.from_array(a, n).SerializeToString())


def images(m, *shape):
    return m.rng.standard_normal(shape).astype(np.float32)


def head(m, x, channels, classes):
    x = m.node("Flatten", m.node("GlobalAveragePool", x), axis=1)
    return m.node("Gemm", x, m.weight(classes, channels), m.weight(classes, fan_in=16), transB=1)


def resnet(m, folder):
    x = m.node("Relu", m.norm(m.conv("x", 3, 16, 7, 2), 16))
    x = m.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 16
    for width, stride in ((16, 1), (32, 2), (64, 2)):
        y = m.node("Relu", m.norm(m.conv(x, channels, width, 3, stride), width))
        y = m.norm(m.conv(y, width, width), width)
        short = m.norm(m.conv(x, channels, width, 1, stride), width) if stride > 1 or channels != width else x
        x = m.node("Relu", m.node("Add", y, short))
        channels = width
    m.write(folder, "resnet", [("x", images(m, 2, 3, 64, 64), ["batch", 3, 64, 64])], [head(m, x, channels, 10)])


def mobilenet(m, folder):
    def hard_swish(x):
        return m.node("HardSwish", x)

    x, channels = hard_swish(m.norm(m.conv("x", 3, 16, 3, 2), 16)), 16
    for width, stride in ((24, 2), (40, 1), (40, 2)):
        inner = channels * 4
        y = hard_swish(m.norm(m.conv(x, channels, inner, 1), inner))
        y = hard_swish(m.norm(m.conv(y, inner, inner, 5, stride, groups=inner), inner))
        gate = m.conv(m.node("GlobalAveragePool", y), inner, inner // 4, 1, bias=True)
        gate = m.node("HardSigmoid", m.conv(m.node("Relu", gate), inner // 4, inner, 1, bias=True), alpha=1 / 6)
        y = m.norm(m.conv(m.node("Mul", y, gate), inner, width, 1), width)
        x = m.node("Add", x, y) if stride == 1 and width == channels else y
        channels = width
    x = m.node("Clip", x, m.constant(np.float32(0)), m.constant(np.float32(6)))
    m.write(folder, "mobilenet", [("x", images(m, 2, 3, 64, 64), ["batch", 3, 64, 64])], [head(m, x, channels, 10)])


def efficientnet(m, folder):
    def swish(x):
        return m.node("Mul", x, m.node("Sigmoid", x))

    x = swish(m.norm(m.conv("x", 3, 8, 3, 2), 8))
    y = swish(m.norm(m.conv(x, 8, 32, 1), 32))
    y = swish(m.norm(m.conv(y, 32, 32, 3, 2, groups=32), 32))
    gate = m.node("ReduceMean", y, axes=[2, 3], keepdims=1)
    gate = m.node("Sigmoid", m.conv(swish(m.conv(gate, 32, 8, 1, bias=True)), 8, 32, 1, bias=True))
    x = m.norm(m.conv(m.node("Mul", y, gate), 32, 16, 1), 16)
    m.write(folder, "efficientnet", [("x", images(m, 2, 3, 48, 48), ["batch", 3, 48, 48])], [head(m, x, 16, 10)])


def squeezenet(m, folder):
    x, channels = m.node("Relu", m.conv("x", 3, 16, 3, 2, bias=True)), 16
    x = m.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    for squeeze, wide in ((8, 16), (8, 24)):
        s = m.node("Relu", m.conv(x, channels, squeeze, 1, bias=True))
        parts = [m.node("Relu", m.conv(s, squeeze, wide, k, bias=True)) for k in (1, 3)]
        x, channels = m.node("Concat", *parts, axis=1), 2 * wide
    x = m.node("Dropout", x)
    x = m.node("Softmax", m.node("Flatten", m.node("GlobalAveragePool", m.conv(x, channels, 10, 1, bias=True))))
    m.write(folder, "squeezenet", [("x", images(m, 3, 3, 48, 48), ["batch", 3, 48, 48])], [x])


def unet(m, folder):
    down = m.node("Relu", m.conv("x", 3, 8))
    deep = m.node("MaxPool", down, kernel_shape=[2, 2], strides=[2, 2])
    deep = m.node("Relu", m.conv(deep, 8, 16))
    up = m.node("ConvTranspose", deep, m.weight(16, 8, 2, 2), strides=[2, 2], kernel_shape=[2, 2])
    resized = m.node("Resize", deep, "", m.constant(np.array([1, 1, 2, 2], np.float32)), mode="linear")
    x = m.node("Concat", down, up, resized, axis=1)
    x = m.node("InstanceNormalization", x, m.weight(32, fan_in=1), m.weight(32, fan_in=1))
    x = m.node("Sigmoid", m.conv(m.node("LeakyRelu", x, alpha=0.1), 32, 1, 1))
    m.write(folder, "unet", [("x", images(m, 2, 3, 32, 32), ["batch", 3, 32, 32])], [x])


def yolo(m, folder):
    """Two scales, boxes and scores put together, and the best few of each image."""
    x = m.node("Mul", "x", m.node("Sigmoid", "x"))
    fine = m.conv(x, 8, 16, 3, 2)
    coarse = m.conv(fine, 16, 16, 3, 2)
    up = m.node("Resize", coarse, "", m.constant(np.array([1, 1, 2, 2], np.float32)), mode="nearest",
                coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    heads = []
    for y, channels, side in ((m.node("Concat", fine, up, axis=1), 32, 8), (coarse, 16, 4)):
        y = m.node("Reshape", m.conv(y, channels, 9, 1, bias=True), m.ints(0, 9, side * side))
        heads.append(y)
    y = m.node("Transpose", m.node("Concat", *heads, axis=2), perm=[0, 2, 1])
    box, score = m.node("Split", y, m.ints(4, 5), axis=2, outputs=2)
    centre = m.node("Slice", box, m.ints(0), m.ints(2), m.ints(2))
    size = m.node("Exp", m.node("Slice", box, m.ints(2), m.ints(4), m.ints(2)))
    half = m.node("Div", size, m.constant(np.float32(2)))
    boxes = m.node("Concat", m.node("Sub", centre, half), m.node("Add", centre, half), axis=2)
    score = m.node("Sigmoid", score)
    best = m.node("ReduceMax", score, axes=[2], keepdims=0)
    values, places = m.node("TopK", best, m.ints(10), axis=1, outputs=2)
    chosen = m.node("GatherND", boxes, m.node("Unsqueeze", places, m.ints(2)), batch_dims=1)
    label = m.node("ArgMax", score, axis=2, keepdims=0)
    m.write(folder, "yolo", [("x", images(m, 2, 8, 16, 16), ["batch", 8, 16, 16])], [values, chosen, label])


def bert(m, folder):
    width, vocabulary, length = 32, 50, 9
    ids = m.rng.integers(0, vocabulary, (3, length)).astype(np.int64)
    mask = np.ones((3, length), np.int64)
    mask[1, 6:] = 0
    x = m.node("Gather", m.weight(vocabulary, width, fan_in=1), "ids")
    positions = m.node("Slice", m.ints(*range(64)), m.ints(0),
                       m.node("Slice", m.node("Shape", "ids"), m.ints(1), m.ints(2)))
    x = m.node("Add", x, m.node("Gather", m.weight(64, width, fan_in=1), positions))
    x = m.layer_norm(x, width)
    bias = m.node("Cast", m.node("Unsqueeze", "mask", m.ints(1, 2)), to=FLOAT)
    bias = m.node("Mul", m.node("Sub", m.constant(np.float32(1)), bias), m.constant(np.float32(-1e4)))
    for _ in range(2):
        x = m.block(x, width, 4, bias)
    # The mean of what the mask shows, as sentence encoders take it.
    shown = m.node("Cast", m.node("Unsqueeze", "mask", m.ints(2)), to=FLOAT)
    total = m.node("ReduceSum", m.node("Mul", x, shown), m.ints(1), keepdims=0)
    count = m.node("Clip", m.node("ReduceSum", shown, m.ints(1), keepdims=0), m.constant(np.float32(1e-9)))
    pooled = m.node("Div", total, count)
    unit = m.node("Div", pooled, m.node("ReduceL2", pooled, axes=[1], keepdims=1))
    free = ["batch", "length"]
    m.write(folder, "bert", [("ids", ids, free), ("mask", mask, free)], [x, unit])


def gpt(m, folder):
    """A decoder that keeps its keys and values."""
    width, heads, vocabulary, length, past = 32, 4, 50, 5, 7
    ids = m.rng.integers(0, vocabulary, (2, length)).astype(np.int64)
    inputs = [("ids", ids, ["batch", "length"])]
    x = m.node("Gather", m.weight(vocabulary, width, fan_in=1), "ids")
    now = m.node("Gather", m.node("Shape", "ids"), m.constant(np.int64(1)))
    before = m.node("Gather", m.node("Shape", "past_k_0"), m.constant(np.int64(2)))
    all_keys = m.node("Add", now, before)
    one, zero = m.constant(np.int64(1)), m.constant(np.int64(0))
    rows = m.node("Unsqueeze", m.node("Range", before, all_keys, one), m.ints(1))
    cols = m.node("Unsqueeze", m.node("Range", zero, all_keys, one), m.ints(0))
    hidden = m.node("Greater", cols, rows)
    mask = m.node("Where", hidden, m.constant(np.float32(-1e9)), m.constant(np.float32(0)))
    outputs = []
    for layer in range(2):
        kv = []
        for part in "kv":
            name = f"past_{part}_{layer}"
            inputs.append((name, images(m, 2, heads, past, width // heads), ["batch", heads, "past", width // heads]))
            kv.append(name)
        x, present = m.block(x, width, heads, mask, kv)
        outputs.extend(present)
    logits = m.node("MatMul", m.layer_norm(x, width), m.weight(width, vocabulary, fan_in=width))
    m.write(folder, "gpt", inputs, [logits, *outputs])


def vit(m, folder):
    width = 32
    x = m.node("Conv", "x", m.weight(width, 3, 8, 8), m.weight(width, fan_in=4), strides=[8, 8])
    x = m.node("Transpose", m.node("Reshape", x, m.ints(0, width, -1)), perm=[0, 2, 1])
    batch = m.node("Slice", m.node("Shape", "x"), m.ints(0), m.ints(1))
    token = m.node("Expand", m.weight(1, 1, width, fan_in=1), m.node("Concat", batch, m.ints(1, width), axis=0))
    x = m.node("Add", m.node("Concat", token, x, axis=1), m.weight(1, 17, width, fan_in=1))
    for _ in range(2):
        x = m.block(x, width, 4)
    first = m.node("Gather", m.layer_norm(x, width), m.constant(np.int64(0)), axis=1)
    m.write(folder, "vit", [("x", images(m, 2, 3, 32, 32), ["batch", 3, 32, 32])], [m.linear(first, width, 10)])


def clip(m, folder):
    """Two towers to unit vectors, and the products of all pairs."""
    picture = m.node("Flatten", m.node("GlobalAveragePool", m.conv("x", 3, 16, 5, 2)))
    words = m.node("Gather", m.weight(40, 16, fan_in=1), "ids")
    words = m.block(words, 16, 2)
    last = m.node("ArgMax", "ids", axis=1, keepdims=1)
    words = m.node("GatherND", words, last, batch_dims=1)
    sides = []
    for y in (m.linear(picture, 16, 8), m.linear(words, 16, 8)):
        sides.append(m.node("LpNormalization", y, axis=1, p=2))
    products = m.node("Einsum", *sides, equation="id,jd->ij")
    scale = m.constant(np.float32(np.exp(2.0)))
    ids = m.rng.integers(0, 40, (3, 6)).astype(np.int64)
    m.write(folder, "clip", [("x", images(m, 3, 3, 16, 16), ["batch", 3, 16, 16]), ("ids", ids, ["texts", 6])],
            [m.node("Mul", products, scale)])


def mlp(m, folder):
    x = "x"
    for cin, cout, op in ((20, 64, "Relu"), (64, 64, "Tanh"), (64, 32, "Elu"), (32, 16, "Selu"), (16, 8, "Softplus")):
        x = m.node(op, m.node("Gemm", x, m.weight(cin, cout, fan_in=cin), m.weight(cout, fan_in=16)))
    m.write(folder, "mlp", [("x", images(m, 33, 20), ["batch", 20])], [m.node("LogSoftmax", x, axis=1)])


def recurrent(m, folder, kind, gates):
    hidden, features = 12, 6
    w = [m.weight(2, gates * hidden, features, fan_in=hidden), m.weight(2, gates * hidden, hidden, fan_in=hidden)]
    w.append(m.weight(2, 2 * gates * hidden, fan_in=hidden))
    x = m.node("Transpose", "x", perm=[1, 0, 2])
    extra = {"linear_before_reset": 1} if kind == "GRU" else {}
    outputs = 3 if kind == "LSTM" else 2
    y, last, *_ = m.node(kind, x, *w, hidden_size=hidden, direction="bidirectional", outputs=outputs, **extra)
    y = m.node("Reshape", m.node("Transpose", y, perm=[2, 0, 1, 3]), m.ints(0, 0, -1))
    out = m.linear(y, 2 * hidden, 4)
    m.write(folder, kind.lower(), [("x", images(m, 3, 11, features), ["batch", 11, features])], [out, last])


def quantized(m, folder):
    """A small network as onnxruntime's tools quantize it: whole numbers inside, floats outside."""
    # Of seven bits: two products of a byte and a weight of eight exceed the 16 bits that onnxruntime adds them in where
    # the processor has no VNNI, so that its answer would be the processor's.
    weights = lambda *shape: m.constant(m.rng.integers(-64, 64, shape).astype(np.int8))
    scale, zero = m.constant(np.float32(0.02)), m.constant(np.uint8(128))
    q = m.node("QuantizeLinear", "x", scale, zero)
    w = weights(8, 3, 3, 3)
    per_filter = m.constant(m.rng.uniform(0.001, 0.01, 8).astype(np.float32))
    zeros = m.constant(np.zeros(8, np.int8))
    bias = m.constant(m.rng.integers(-500, 500, 8).astype(np.int32))
    out_scale, out_zero = m.constant(np.float32(0.05)), m.constant(np.uint8(3))
    q = m.node("QLinearConv", q, scale, zero, w, per_filter, zeros, out_scale, out_zero, bias, pads=[1] * 4)
    q = m.node("MaxPool", q, kernel_shape=[2, 2], strides=[2, 2])
    q = m.node("Reshape", q, m.ints(0, -1))
    w = weights(8 * 36, 16)
    last = m.constant(np.float32(0.1)), m.constant(np.uint8(100))
    q = m.node("QLinearMatMul", q, out_scale, out_zero, w, m.constant(np.float32(0.003)), m.constant(np.int8(0)), *last)
    y = m.node("DequantizeLinear", q, *last)
    dynamic, s, z = m.node("DynamicQuantizeLinear", y, outputs=3)
    sums = m.node("MatMulInteger", dynamic, weights(16, 5), z)
    x = images(m, 4, 3, 12, 12)
    m.write(folder, "quantized", [("x", x, ["batch", 3, 12, 12])], [q, y, dynamic, s, sums])


def main():
    folder = pathlib.Path(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    families = [resnet, mobilenet, efficientnet, squeezenet, unet, yolo, bert, gpt, vit, clip, mlp, quantized]
    for family in families:
        family(Model(np.random.default_rng(seed)), folder)
    for kind, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        recurrent(Model(np.random.default_rng(seed)), folder, kind, gates)


if __name__ == "__main__":
    main()
