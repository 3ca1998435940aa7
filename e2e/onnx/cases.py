"""Writes ONNX's own backend node cases into a folder: a folder a case, with `model.onnx` and its data sets.

    python3 cases.py FOLDER

The cases are those that the PyPI package `onnx` carries as code. Where users expect something else of them, their
answers are onnxruntime's; edge-api/docs/guides/run-a-model.md says which and why.
"""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases


AS_ONNXRUNTIME = {
    "test_resize_downsample_scales_linear_align_corners",
    "test_resize_downsample_scales_cubic_align_corners",
}


def by_onnxruntime(model, inputs):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {info.name: np.asarray(value) for info, value in zip(model.graph.input, inputs)})


def write(path, value, info):
    if isinstance(value, onnx.TensorProto):
        proto = value
    elif info.type.HasField("sequence_type"):
        proto = numpy_helper.from_list(value, info.name)
    elif info.type.HasField("optional_type"):
        proto = numpy_helper.from_optional(value, info.name)
    elif info.type.HasField("map_type"):
        proto = numpy_helper.from_dict(value, info.name)
    else:
        proto = numpy_helper.from_array(value, info.name)
    path.write_bytes(proto.SerializeToString())


def main():
    folder = pathlib.Path(sys.argv[1])
    for case in collect_testcases(None):
        if case.model is None or case.data_sets is None:
            continue
        at = folder / case.name
        at.mkdir(parents=True, exist_ok=True)
        (at / "model.onnx").write_bytes(case.model.SerializeToString())
        # What ought to be zero after a transform is as large as the rounding of whoever transformed it.
        atol = max(case.atol, 1e-6) if "_dft" in case.name else case.atol
        (at / "tolerance").write_text(f"{case.rtol} {atol}")
        for index, (inputs, outputs) in enumerate(case.data_sets):
            if case.name in AS_ONNXRUNTIME:
                outputs = by_onnxruntime(case.model, inputs)
            data = at / f"test_data_set_{index}"
            data.mkdir(exist_ok=True)
            for kind, values, infos in (
                ("input", inputs, case.model.graph.input),
                ("output", outputs, case.model.graph.output),
            ):
                for place, (value, info) in enumerate(zip(values, infos)):
                    write(data / f"{kind}_{place}.pb", value, info)
    (folder / "VERSION").write_text(onnx.__version__)


main()
