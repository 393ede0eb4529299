"""An ONNX model with two outputs."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import convdiff

kernel = np.random.default_rng(0).standard_normal((2, 3, 3, 3)).astype("float32")
x, y, z = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xyz")
graph = helper.make_graph(
    [helper.make_node("Conv", ["x", "w"], ["y"]), helper.make_node("Sigmoid", ["y"], ["z"])],
    "net",
    [x],
    [y, z],
    [numpy_helper.from_array(kernel, "w")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
with convdiff.capture(model, "dump") as session:
    outputs = session(np.ones((1, 3, 6, 5), "float32"))
np.savez("outputs.npz", *outputs.values())
