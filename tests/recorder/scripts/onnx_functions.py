"""Convolutions in functions that an ONNX model brings along, and in branches.

A function is called twice and calls another; the branches' convolutions are not recorded.
"""

import numpy as np
from onnx import TensorProto, numpy_helper
from onnx.helper import (
    make_function,
    make_graph,
    make_model,
    make_node,
    make_opsetid,
    make_tensor_value_info,
)

import convdiff


def value(name, kind=TensorProto.FLOAT, shape=None):
    return make_tensor_value_info(name, kind, shape)


def branch(operator, *inputs, domain=""):
    node = make_node(operator, list(inputs), ["z"], domain=domain)
    return make_graph([node], "branch", [], [value("z")])


random = np.random.default_rng(0)
own, opset = make_opsetid("own", 1), make_opsetid("", 17)
strided = make_node("Conv", ["x", "w"], ["y"], strides=[2, 1], name="c")
inner = make_function("own", "Inner", ["x", "w"], ["y"], [strided], [opset])
outer = make_function(
    "own",
    "Outer",
    ["x", "w"],
    ["y"],
    [
        make_node("Inner", ["x", "w"], ["a"], domain="own"),
        make_node("Relu", ["a"], ["b"]),
        make_node("Conv", ["b", "w"], ["y"], name="c"),
    ],
    [opset, own],
)


def model(*nodes, outputs):
    graph = make_graph(
        nodes,
        "g",
        [value("x", shape=(1, 4, 30, 12)), value("yes", TensorProto.BOOL, ())],
        [value(name) for name in outputs],
        [numpy_helper.from_array(random.standard_normal((4, 4, 3, 3)).astype("float32"), "w")],
    )
    return make_model(graph, opset_imports=[opset, own], functions=[inner, outer], ir_version=9)


first = make_node("Outer", ["x", "w"], ["p"], domain="own")
second = make_node("Outer", ["p", "w"], ["q"], domain="own")
with_convolution = make_node(
    "If",
    ["yes"],
    ["r"],
    name="held",
    then_branch=branch("Inner", "x", "w", domain="own"),
    else_branch=branch("Identity", "x"),
)
without_convolution = make_node(
    "If",
    ["yes"],
    ["s"],
    name="free",
    then_branch=branch("Relu", "x"),
    else_branch=branch("Identity", "x"),
)
x = random.standard_normal((1, 4, 30, 12)).astype("float32")

whole = model(first, second, with_convolution, without_convolution, outputs=["q", "r", "s"])
with convdiff.capture(whole, "dump") as session:
    outputs = session(x, np.array(True))
assert list(outputs) == ["q", "r", "s"]

try:
    with convdiff.capture(model(with_convolution, outputs=["r"]), "none") as session:
        session(x, np.array(True))
except convdiff.errors.ConvdiffError as error:
    message = "(held: not recorded, convolutions inside a node of If are not looked at)"
    assert message in str(error), error
else:
    raise SystemExit("recorded")
