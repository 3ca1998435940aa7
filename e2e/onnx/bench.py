"""Writes the models that the kernels' benchmark times, and times onnxruntime on them.

    python3 bench.py FOLDER THREADS

Prints a JSON object a model: its name and the seconds of onnxruntime's fastest run.
"""

import json
import pathlib
import sys
import time

import numpy as np
import onnx
import onnxruntime

from models import Model, head, images


def matmul(m, folder):
    x = images(m, 1024, 1024)
    m.write(folder, "matmul", [("x", x, ["batch", 1024])], [m.node("MatMul", "x", m.weight(1024, 1024))])


def conv(m, folder):
    x = images(m, 8, 64, 56, 56)
    m.write(folder, "conv", [("x", x, ["batch", 64, 56, 56])], [m.conv("x", 64, 64)])


def resnet(m, folder):
    x = m.node("Relu", m.norm(m.conv("x", 3, 64, 7, 2), 64))
    x = m.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        y = m.node("Relu", m.norm(m.conv(x, channels, width, 3, stride), width))
        y = m.norm(m.conv(y, width, width), width)
        short = m.norm(m.conv(x, channels, width, 1, stride), width) if channels != width else x
        x, channels = m.node("Relu", m.node("Add", y, short)), width
    m.write(folder, "resnet", [("x", images(m, 4, 3, 112, 112), ["batch", 3, 112, 112])], [head(m, x, channels, 100)])


def mobilenet(m, folder):
    x, channels = m.node("Clip", m.conv("x", 3, 32, 3, 2), m.constant(np.float32(0)), m.constant(np.float32(6))), 32
    for width, stride in ((16, 1), (24, 2), (32, 2), (64, 2), (96, 1)):
        inner = 6 * channels
        y = m.node("Relu", m.norm(m.conv(x, channels, inner, 1), inner))
        y = m.node("Relu", m.norm(m.conv(y, inner, inner, 3, stride, groups=inner), inner))
        x, channels = m.norm(m.conv(y, inner, width, 1), width), width
    m.write(folder, "mobilenet", [("x", images(m, 4, 3, 112, 112), ["batch", 3, 112, 112])],
            [head(m, x, channels, 100)])


def encoder(m, folder):
    x = "x"
    for _ in range(2):
        x = m.block(x, 256, 8)
    m.write(folder, "encoder", [("x", images(m, 8, 128, 256), ["batch", "length", 256])], [x])


def main():
    folder, threads = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    for family in (matmul, conv, resnet, mobilenet, encoder):
        family(Model(np.random.default_rng(7)), folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    for at in sorted(folder.iterdir()):
        session = onnxruntime.InferenceSession(
            str(at / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        fed = onnx.numpy_helper.to_array(onnx.load_tensor(str(at / "test_data_set_0" / "input_0.pb")))
        best = float("inf")
        for _ in range(12):
            begun = time.perf_counter()
            session.run(None, {session.get_inputs()[0].name: fed})
            best = min(best, time.perf_counter() - begun)
        print(json.dumps({"model": at.name, "seconds": best}), flush=True)


main()
