"""Makes relu.onnx: the smallest model there is, for jobs of very many tiles. Needs onnx."""

import onnx
from onnx import TensorProto, helper

x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1])
y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], name="relu")], "relu", [x], [y])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, "relu.onnx")
