"""Makes the sample: the 1,797 handwritten digits of scikit-learn and a small CNN as ONNX.

    pip install numpy==2.4.6 scikit-learn==1.9.1 onnx==1.23.2 onnxruntime==1.32.0
    python make.py

The CNN is trained here, in numpy, on the first 1,200 digits; the other 597 are what the demo's
accuracy is measured on. Writes digits.onnx, digits.npy (inputs, float32 [1797, 1, 8, 8]),
labels.npy (uint8 [1797]) and expected.npy (onnxruntime's output, float32 [1797, 10]).
"""
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

HERE = Path(__file__).parent
TRAINED_ON = 1200
rng = np.random.default_rng(7)


def columns(x):
    """3x3 neighbourhoods with a border of zeros: [n, c, h, w] -> [n, h, w, c * 9]."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return views.transpose(0, 2, 3, 1, 4, 5).reshape(x.shape[0], x.shape[2], x.shape[3], -1)


def scatter(d, channels):
    """The gradient of `columns`."""
    n, h, w, _ = d.shape
    d = d.reshape(n, h, w, channels, 3, 3)
    out = np.zeros((n, channels, h + 2, w + 2))
    for i in range(3):
        for j in range(3):
            out[:, :, i:i + h, j:j + w] += d[..., i, j].transpose(0, 3, 1, 2)
    return out[:, :, 1:-1, 1:-1]


def pool(x):
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // 2, 2, w // 2, 2)
    top = blocks.max(axis=(3, 5))
    return top, blocks == top[:, :, :, None, :, None]


def train(x, y):
    shapes = {"w1": (16, 9), "b1": (16,), "w2": (32, 144), "b2": (32,), "w3": (10, 128), "b3": (10,)}
    p = {k: rng.normal(0, np.sqrt(2 / s[-1]), s) if len(s) > 1 else np.zeros(s) for k, s in shapes.items()}
    m = {k: np.zeros_like(v) for k, v in p.items()}
    v = {k: np.zeros_like(w) for k, w in p.items()}
    step = 0
    for epoch in range(40):
        order = rng.permutation(len(x))
        for i in range(0, len(x), 50):
            xb, yb = x[order[i:i + 50]], y[order[i:i + 50]]
            c1 = columns(xb)
            a1 = np.maximum(c1 @ p["w1"].T + p["b1"], 0).transpose(0, 3, 1, 2)
            p1, k1 = pool(a1)
            c2 = columns(p1)
            a2 = np.maximum(c2 @ p["w2"].T + p["b2"], 0).transpose(0, 3, 1, 2)
            p2, k2 = pool(a2)
            f = p2.reshape(len(xb), -1)
            z = f @ p["w3"].T + p["b3"]
            e = np.exp(z - z.max(1, keepdims=True))
            d = e / e.sum(1, keepdims=True)
            d[np.arange(len(yb)), yb] -= 1
            d /= len(yb)
            g = {"w3": d.T @ f, "b3": d.sum(0)}
            d = (d @ p["w3"]).reshape(p2.shape)
            d = (k2 * d[:, :, :, None, :, None]).reshape(a2.shape) * (a2 > 0)
            d = d.transpose(0, 2, 3, 1)
            g |= {"w2": np.einsum("nhwo,nhwk->ok", d, c2), "b2": d.sum((0, 1, 2))}
            d = scatter(d @ p["w2"], 16)
            d = (k1 * d[:, :, :, None, :, None]).reshape(a1.shape) * (a1 > 0)
            d = d.transpose(0, 2, 3, 1)
            g |= {"w1": np.einsum("nhwo,nhwk->ok", d, c1), "b1": d.sum((0, 1, 2))}
            step += 1
            for k in p:
                m[k] = 0.9 * m[k] + 0.1 * g[k]
                v[k] = 0.999 * v[k] + 0.001 * g[k] ** 2
                p[k] -= 0.003 * (m[k] / (1 - 0.9 ** step)) / (np.sqrt(v[k] / (1 - 0.999 ** step)) + 1e-8)
    return {k: w.astype(np.float32) for k, w in p.items()}


def model(p):
    shaped = {
        "scale": np.array(1 / 16, dtype=np.float32),
        "conv1.weight": p["w1"].reshape(16, 1, 3, 3), "conv1.bias": p["b1"],
        "conv2.weight": p["w2"].reshape(32, 16, 3, 3), "conv2.bias": p["b2"],
        "fc.weight": p["w3"], "fc.bias": p["b3"],
    }
    conv = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    half = {"kernel_shape": [2, 2], "strides": [2, 2]}
    node = helper.make_node
    nodes = [
        node("Mul", ["image", "scale"], ["x"], "scale_pixels"),
        node("Conv", ["x", "conv1.weight", "conv1.bias"], ["c1"], "conv1", **conv),
        node("Relu", ["c1"], ["r1"], "relu1"),
        node("MaxPool", ["r1"], ["p1"], "pool1", **half),
        node("Conv", ["p1", "conv2.weight", "conv2.bias"], ["c2"], "conv2", **conv),
        node("Relu", ["c2"], ["r2"], "relu2"),
        node("MaxPool", ["r2"], ["p2"], "pool2", **half),
        node("Flatten", ["p2"], ["f"], "flatten"),
        node("Gemm", ["f", "fc.weight", "fc.bias"], ["z"], "fc", transB=1),
        node("Softmax", ["z"], ["probability"], "softmax", axis=1),
    ]
    graph = helper.make_graph(
        nodes, "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in shaped.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="tessera-sample", ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


def main():
    digits = load_digits()
    images = digits.images[:, None].astype(np.float32)
    labels = digits.target.astype(np.uint8)
    made = model(train(images[:TRAINED_ON] / 16, labels[:TRAINED_ON]))
    onnx.save(made, HERE / "digits.onnx")
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"image": images})[0]
    for name, array in {"digits": images, "labels": labels, "expected": expected}.items():
        np.save(HERE / f"{name}.npy", array)
    held_out = (expected.argmax(1) == labels)[TRAINED_ON:]
    print(f"accuracy on the {len(held_out)} digits it was not trained on: {held_out.mean():.4f}")


if __name__ == "__main__":
    main()
