"""Each framework's own layers, in every shape they have, captured and checked: the settings that
were recorded give the outputs.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.recorder.conftest import Captured, need, run

TORCH = """
import torch, torch.nn as nn, torch.nn.functional as F, convdiff
torch.manual_seed(0)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lazy = nn.LazyConv2d(8, 3, padding=1, padding_mode="reflect")
        self.spectral = nn.utils.parametrizations.spectral_norm(nn.Conv2d(8, 8, (3, 2), stride=2, padding="valid", groups=2))
        self.up = nn.ConvTranspose2d(8, 6, 3, stride=2, padding=1, groups=2)
        self.weight = nn.Parameter(torch.randn(4, 6, 3, 3))
        self.twice = nn.Conv2d(4, 4, 3, padding=(1, 2), dilation=2, bias=False)
        self.block = nn.Sequential(nn.ReLU(), nn.Conv2d(4, 5, 3, padding="same", padding_mode="circular"))
        conv, up = nn.Conv3d(5, 4, 2, padding_mode="replicate", padding=1), nn.ConvTranspose3d(4, 2, 3, dilation=2)
        self.deep = nn.ModuleDict({"conv": conv, "up": up})
        self.line, self.line_up = nn.Conv1d(2, 4, 3, stride=2), nn.ConvTranspose1d(4, 2, 4, stride=3)
    def forward(self, x):
        x = self.up(self.spectral(F.relu(self.lazy(input=x), inplace=True)), output_size=[18, 15])
        x = self.twice(self.twice(F.conv2d(x, self.weight, stride=2, padding=1)))
        x = self.deep["up"](self.deep["conv"](self.block(x).unsqueeze(2)))
        return self.line_up(self.line(x.flatten(2)))
net = Net().train()
x = torch.randn(2, 3, 19, 17)
with convdiff.capture(net, "dump"):
    net(x)


"""

KERAS = """
import numpy as np, keras, convdiff
from keras import layers as L
random = np.random.default_rng(0)
x = inputs = keras.Input((21, 18, 4))
x = L.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="first")(x)
x = L.DepthwiseConv2D(3, depth_multiplier=2, activation="relu")(x)
x = L.SeparableConv2D(6, 3, padding="same", activation="gelu")(x)
x = L.Conv2DTranspose(5, 3, strides=2, padding="same")(x)
x = L.Conv2DTranspose(5, 2, strides=3, padding="valid")(x)
x = L.Conv2DTranspose(6, 3, strides=2, padding="same", output_padding=1)(x)
x = L.Conv2D(6, 3, groups=2, use_bias=False, dilation_rate=2)(x)
x = L.Reshape((-1, 6))(x)
x = L.Conv1D(4, 3, padding="causal", dilation_rate=2)(x)
x = L.SeparableConv1D(4, 3, dilation_rate=2)(L.SeparableConv1D(4, 3, strides=2, padding="same", depth_multiplier=2)(x))
x = L.Conv1DTranspose(4, 3)(L.DepthwiseConv1D(3)(L.SeparableConv1D(4, 3)(x)))
model = keras.Model(inputs, x)
for weight in model.weights:
    weight.assign(random.standard_normal(weight.shape) * 0.3)
ones = np.ones((2, 21, 18, 4), "float32")
before = np.asarray(model(ones))
with convdiff.capture(model, "dump"):
    model(random.standard_normal((2, 21, 18, 4)).astype("float32"))
assert np.array_equal(before, np.asarray(model(ones))), "the model is as it was"
deep = keras.Sequential([L.Conv3D(3, 2), L.Conv3DTranspose(2, 3, strides=2)])
with convdiff.capture(deep, "deep"):
    deep(random.standard_normal((1, 5, 6, 7, 2)).astype("float32"))
"""

# Forwards of their own: what they do around the call is not the layer's.
SUBCLASSED = """
import torch, torch.nn as nn, torch.nn.functional as F, convdiff
class Same(nn.Conv2d):
    def forward(self, x):
        return F.conv2d(F.pad(x, (0, 1, 0, 1)), self.weight, self.bias, self.stride)
class Activated(nn.Conv2d):
    def forward(self, x):
        return F.relu(super().forward(x))
class Twice(nn.Conv2d):
    def forward(self, x):
        return super().forward(super().forward(x))
net = nn.Sequential(Same(3, 4, 3, stride=2), Activated(4, 4, 3, padding=1), Twice(4, 4, 1), nn.Conv2d(4, 2, 2))
with convdiff.capture(net, "dump"):
    net(torch.randn(2, 3, 12, 12))
"""

# What others have put around torch's own code, and layers whose arrays have no values.
PATCHED = """
import threading, types
import torch, torch.nn as nn, torch.nn.functional as F, convdiff
class Tiled(nn.Conv2d):
    def _conv_forward(self, x, weight, bias):
        return 2 * F.conv2d(F.pad(x, (1, 1, 1, 1), "circular"), weight, bias, self.stride, 0)
def tiled(self, x, weight, bias):
    return F.conv2d(F.pad(x, (1, 1, 1, 1), "circular"), weight, bias, self.stride, 0)
seamless, called = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
seamless._conv_forward = types.MethodType(tiled, seamless)
forward = called.forward
called.forward = lambda x: F.relu(forward(F.pad(x, (1, 0, 1, 0))))
hooked, before = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular")
hooked.register_forward_hook(lambda module, args, output: output.mul_(3))
before.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(Tiled(4, 4, 3, padding=1), seamless, called, hooked, before)
        self.scripted = torch.jit.script(nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()))
        self.traced = torch.jit.trace(nn.ConvTranspose2d(4, 4, 1), torch.ones(1, 4, 9, 9))
        self.aside = nn.Conv2d(4, 4, 1)
        self.plain, self.mapped = torch.jit.script(nn.ReLU()), nn.Conv2d(4, 4, 3, padding_mode="reflect", padding=1)
    def forward(self, x):
        thread = threading.Thread(target=self.aside, args=(x,))
        thread.start()
        thread.join()
        return torch.vmap(self.mapped)(self.plain(self.traced(self.scripted(self.layers(x)))))
net = Net()
with torch.no_grad(), convdiff.capture(net, "dump"):
    net(torch.randn(2, 4, 9, 8))
"""

# As with torch; and layers of no convolution's class that call keras.ops.
KERAS_SUBCLASSED = """
import numpy as np, keras, convdiff
from keras import layers as L, ops
class Padded(L.Conv2D):
    def call(self, x):
        return ops.relu(super().call(ops.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]])))
class Standardised(L.Conv2D):
    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, kernel - ops.mean(kernel, axis=(0, 1, 2)))
class Free(L.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, 2, 4), initializer="normal")
        self.up = self.add_weight(shape=(3, 3, 5, 4), initializer="normal")
        self.inner = L.Conv2D(5, 1, activation="relu", name="inner")
    def call(self, x):
        y = ops.conv(x, self.kernel, 2, padding="SAME")
        y = ops.depthwise_conv(y, ops.ones((2, 2, 4, 1)))
        y = ops.separable_conv(y, ops.ones((2, 2, 4, 1)), ops.ones((1, 1, 4, 4)), padding="same")
        return self.inner(ops.conv_transpose(y, self.up, strides=2, padding="same", output_padding=1))
patched = L.Conv2D(3, 1, name="patched")
own = patched.call
patched.call = lambda x: own(x) * 2
inputs = keras.Input((12, 12, 3))
made = Free(name="free")(Standardised(4, 3, name="standard")(Padded(4, 3, strides=2, name="padded")(patched(inputs))))
model = keras.Model(inputs, made)
x = np.random.default_rng(0).standard_normal((2, 12, 12, 3)).astype("float32")
before = np.asarray(model(x))
with convdiff.capture(model, "dump"):
    model(x)
assert np.array_equal(before, np.asarray(model(x))) and ops.conv is keras.src.ops.nn.conv, "all is as it was"
"""

# Not built before it runs: Keras finds out the shapes first, on some backends by running it with
# arrays of ones.
KERAS_UNBUILT = """
import numpy as np, keras, convdiff
from keras import layers as L, ops
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.last = L.Conv2D(4, 3, name="first"), L.SeparableConv2D(3, 3, strides=2, name="last")
    def call(self, x):
        return self.last(ops.conv(self.first(x), ops.ones((2, 2, 4, 4))))
model = Net()
with convdiff.capture(model, "dump"):
    model(np.random.default_rng(0).standard_normal((2, 12, 12, 3)).astype("float32"))
"""

LINEN = """
import jax, flax.linen as nn, convdiff
class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(8, (3, 3), strides=2, name="first")(x))
        x = nn.Conv(8, (3, 2), padding="CIRCULAR", feature_group_count=4)(x)
        x = nn.Conv(6, (3, 3), padding="REFLECT", kernel_dilation=2, use_bias=False)(x)
        x = nn.Conv(6, (3, 3), padding=((1, 2), (0, 1)), input_dilation=2)(x)
        x = nn.ConvTranspose(5, (3, 4), strides=(2, 2))(x)
        x = nn.ConvTranspose(5, (2, 2), strides=(3, 3), padding="VALID", transpose_kernel=True)(x)
        x = nn.ConvTranspose(4, (3, 3), padding=((1, 2), (0, 1)))(x)
        x = nn.Conv(4, (1, 1), padding=2)(x)
        return nn.Conv(3, (3,), padding="CAUSAL")(x.reshape(x.shape[0], -1, 4))
net, x = Net(), jax.random.normal(jax.random.key(0), (2, 17, 14, 3))
parameters = jax.tree.map(lambda a: a + 0.1, net.init(jax.random.key(1), x))
with convdiff.capture(net, "dump"):
    jax.jit(net.apply)(parameters, x)
"""

# Calls of their own, and what JAX traces even where nothing is compiled.
LINEN_TRANSFORMED = """
import jax, jax.numpy as jnp, flax.linen as nn, convdiff
class Padded(nn.Conv):
    @nn.compact
    def __call__(self, x):
        return nn.relu(super().__call__(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))) * 2
class Other(nn.Conv):
    @nn.compact
    def __call__(self, x):
        return x * self.param("kernel", nn.initializers.ones, (1, 1, 4, 4)).sum()
class Step(nn.Module):
    @nn.compact
    def __call__(self, x, _):
        return nn.Conv(4, (3, 3), padding="CIRCULAR")(x), None
def doubled(lhs, rhs, *args, **kwargs):
    return jax.lax.conv_general_dilated(lhs, 2 * rhs, *args, **kwargs)
class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = Other(4, (1, 1), name="other")(Padded(4, (3, 3), strides=2, padding="VALID", name="padded")(x))
        x = nn.remat(Padded)(4, (3, 3), name="remat")(x)
        x = nn.scan(nn.remat(Step), variable_axes={"params": 0}, split_rngs={"params": True}, length=2)(name="scan")(x, None)[0]
        x = nn.Conv(4, (1, 1), conv_general_dilated=doubled, name="doubled")(x)
        return nn.vmap(nn.ConvTranspose, variable_axes={"params": None}, split_rngs={"params": False})(3, (3, 2), name="vmap")(x)
net, x = Net(), jax.random.normal(jax.random.key(0), (2, 9, 8, 3))
parameters = net.init(jax.random.key(1), x)
with convdiff.capture(net, "dump"):
    net.apply(parameters, x)
with convdiff.capture(net, "grad"):
    jax.value_and_grad(lambda parameters: net.apply(parameters, x).sum())(parameters)
"""

NNX = """
import jax
from flax import nnx
import convdiff
class Net(nnx.Module):
    def __init__(self, rngs):
        self.a = nnx.Conv(3, 8, (3, 3), strides=2, rngs=rngs)
        self.layers = nnx.List([nnx.Conv(8, 8, (2, 3), padding="CIRCULAR", feature_group_count=2, rngs=rngs)])
        self.up, self.line = nnx.ConvTranspose(8, 4, (3, 3), strides=(2, 2), rngs=rngs), nnx.Conv(4, 4, 3, use_bias=False, rngs=rngs)
    def __call__(self, x):
        x = self.up(self.layers[0](nnx.relu(self.a(x))))
        return self.line(x.reshape(x.shape[0], -1, 4))
net = Net(nnx.Rngs(0))
call = nnx.Conv.__call__
with convdiff.capture(net, "dump"):
    net(jax.random.normal(jax.random.key(0), (2, 17, 14, 3)))
assert nnx.Conv.__call__ is call, "the class is as it was"
"""

NNX_TRANSFORMED = """
import jax
from flax import nnx
import convdiff
class Twice(nnx.Conv):
    def __call__(self, x):
        return 2 * super().__call__(x)
class Net(nnx.Module):
    def __init__(self, rngs):
        self.a, self.b = nnx.Conv(3, 4, (3, 3), strides=2, rngs=rngs), Twice(4, 4, (3, 3), rngs=rngs)
        self.mapped = nnx.ConvTranspose(4, 3, (2, 3), rngs=rngs)
    def __call__(self, x):
        x = nnx.remat(lambda layer, x: layer(x))(self.a, x)
        return nnx.vmap(lambda layer, x: layer(x), in_axes=(None, 0))(self.mapped, self.b(x))
net, x = Net(nnx.Rngs(0)), jax.random.normal(jax.random.key(0), (2, 9, 8, 3))
with convdiff.capture(net, "dump"):
    nnx.jit(lambda net, x: net(x))(net, x)
"""

ONNX = """
import sys, warnings
warnings.simplefilter("ignore")
import onnx.backend.test.case.node as node
import convdiff
count = 0
for case in node.collect_testcases(sys.argv[1]):
    if any(one.op_type == sys.argv[1] for one in case.model.graph.node) and case.model.graph.node[0].op_type == sys.argv[1]:
        with convdiff.capture(case.model, "dump/" + case.name) as session:
            for inputs, _ in case.data_sets:
                session(*inputs)
        count += 1
assert count >= 5, count
"""

# A function that the model brings along, called twice, one in it; and what a branch holds, which is
# not recorded.
ONNX_FUNCTIONS = """
import numpy as np, convdiff
from onnx import TensorProto as T, helper as h, numpy_helper as nh
def shaped(name, kind=T.FLOAT, shape=None):
    return h.make_tensor_value_info(name, kind, shape)
def branch(*nodes):
    return h.make_graph(nodes, "branch", [], [shaped("z")])
random = np.random.default_rng(0)
opset = [h.make_opsetid("", 17)]
inner = h.make_function("own", "Inner", ["x", "w"], ["y"], [h.make_node("Conv", ["x", "w"], ["y"], strides=[2, 1], name="c")], opset)
outer = h.make_function("own", "Outer", ["x", "w"], ["y"], [
    h.make_node("Inner", ["x", "w"], ["a"], domain="own"), h.make_node("Relu", ["a"], ["b"]),
    h.make_node("Conv", ["b", "w"], ["y"], name="c")], [*opset, h.make_opsetid("own", 1)])
def model(*nodes, outputs):
    graph = h.make_graph(nodes, "g", [shaped("x", shape=(1, 4, 30, 12)), shaped("yes", T.BOOL, ())], [shaped(name) for name in outputs],
                         [nh.from_array(random.standard_normal((4, 4, 3, 3)).astype("float32"), "w")])
    return h.make_model(graph, opset_imports=[*opset, h.make_opsetid("own", 1)], functions=[inner, outer], ir_version=9)
here = h.make_node("Outer", ["x", "w"], ["p"], domain="own"), h.make_node("Outer", ["p", "w"], ["q"], domain="own")
held = h.make_node("If", ["yes"], ["r"], name="held", then_branch=branch(h.make_node("Inner", ["x", "w"], ["z"], domain="own")),
                   else_branch=branch(h.make_node("Identity", ["x"], ["z"])))
free = h.make_node("If", ["yes"], ["s"], name="free", then_branch=branch(h.make_node("Relu", ["x"], ["z"])),
                   else_branch=branch(h.make_node("Identity", ["x"], ["z"])))
x = random.standard_normal((1, 4, 30, 12)).astype("float32")
with convdiff.capture(model(*here, held, free, outputs=["q", "r", "s"]), "dump") as session:
    found = session(x, np.array(True))
assert list(found) == ["q", "r", "s"]
try:
    with convdiff.capture(model(held, outputs=["r"]), "none") as session:
        session(x, np.array(True))
    raise SystemExit("recorded")
except convdiff.errors.ConvdiffError as error:
    assert "(held: not recorded, convolutions inside a node of If are not looked at)" in str(error), error
"""

# what to import, what CONVDIFF_REQUIRE calls it, the script, the names of the layers in their
# order.
FRAMEWORKS: dict[str, tuple[str, str, str, list[str]]] = {
    "torch": (
        "torch",
        "torch",
        TORCH,
        [
            "lazy",
            "spectral",
            "up",
            "conv2d",
            "twice",
            "twice#2",
            "block.1",
            "deep.conv",
            "deep.up",
            "line",
            "line_up",
        ],
    ),
    "torch, subclassed": (
        "torch",
        "torch",
        SUBCLASSED,
        ["0.conv2d", "1.conv2d", "2.conv2d", "2.conv2d#2", "3"],
    ),
    "torch, patched": (
        "torch",
        "torch",
        PATCHED,
        ["layers.0.conv2d", "layers.1.conv2d", "layers.2.conv2d", "layers.3", "layers.4"],
    ),
    "keras": (
        "keras",
        "tensorflow",
        KERAS,
        [
            "first",
            "depthwise_conv2d",
            "separable_conv2d/depthwise",
            "separable_conv2d/pointwise",
            "conv2d_transpose",
            "conv2d_transpose_1",
            "conv2d_transpose_2",
            "conv2d",
            "conv1d",
            "separable_conv1d_1/depthwise",
            "separable_conv1d_1/pointwise",
            "separable_conv1d/depthwise",
            "separable_conv1d/pointwise",
            "separable_conv1d_2/depthwise",
            "separable_conv1d_2/pointwise",
            "depthwise_conv1d",
            "conv1d_transpose",
        ],
    ),
    "keras, subclassed": (
        "keras",
        "tensorflow",
        KERAS_SUBCLASSED,
        [
            "patched/conv",
            "padded/conv",
            "standard/conv",
            "free/conv",
            "free/depthwise_conv",
            "free/separable_conv/depthwise",
            "free/separable_conv/pointwise",
            "free/conv_transpose",
            "free/inner",
        ],
    ),
    "flax linen": (
        "flax",
        "flax",
        LINEN,
        [
            "first",
            "Conv_0",
            "Conv_1",
            "Conv_2",
            "ConvTranspose_0",
            "ConvTranspose_1",
            "ConvTranspose_2",
            "Conv_3",
            "Conv_4",
        ],
    ),
    "flax linen, transformed": (
        "flax",
        "flax",
        LINEN_TRANSFORMED,
        ["padded", "remat", "scan/Conv_0", "scan/Conv_0#2", "vmap", "vmap#2"],
    ),
    "flax nnx": ("flax", "flax", NNX, ["a", "layers.0", "up", "line"]),
    "onnx, functions": ("onnxruntime", "onnx", ONNX_FUNCTIONS, ["c__2", "c__1", "c__4", "c__3"]),
    "flax nnx, transformed": ("flax", "flax", NNX_TRANSFORMED, ["Conv", "b", "mapped", "mapped#2"]),
}


# Of those, what their manifests say is not recorded.
NOTED: dict[str, list[str]] = {
    "torch, patched": [
        "scripted: not recorded, it is scripted",
        "traced: not recorded, it is scripted",
        "aside: not recorded, no call of torch.conv* was seen in it",
        "mapped: not recorded, its tensors have no values of their own, as inside torch.vmap (",
    ],
    "onnx, functions": ["held: not recorded, convolutions inside a node of If are not looked at"],
    "flax linen, transformed": [
        "other: not recorded, its __call__ is its own",
        "doubled: not recorded, its conv_general_dilated is",
    ],
}


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_what_is_captured_checks_out(name: str, captured: Captured, tmp_path: Path) -> None:
    module, required, script, layers = FRAMEWORKS[name]
    need(module, required)
    assert list(captured(script)) == layers
    notes = [
        line
        for line in (tmp_path / "dump" / "manifest.toml").read_text().splitlines()
        if "not recorded" in line
    ]
    assert len(notes) == len(NOTED.get(name, [])), notes
    assert all(said in note for said, note in zip(NOTED.get(name, []), notes, strict=True)), notes


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_keras_on_its_backends(backend: str, captured: Captured, tmp_path: Path) -> None:
    need("keras", "tensorflow")
    need(backend, backend)
    found = captured(f"import os; os.environ['KERAS_BACKEND'] = {backend!r}\n{KERAS_UNBUILT}")
    assert list(found) == ["first", "net/conv", "last/depthwise", "last/pointwise"]
    written = (tmp_path / "dump" / "manifest.toml").read_text()
    assert written.count(f"saved = {{ {backend} = ") == 4, (
        "the saved output is that of what Keras runs on"
    )
    assert "not recorded" not in written


@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose"])
def test_onnx_node_tests_through_onnx_runtime_all_agree(
    operator: str, captured: Captured, tmp_path: Path
) -> None:
    need("onnx", "onnx")
    need("onnxruntime", "onnx")
    (tmp_path / "dump").mkdir()
    done = run(f"import sys; sys.argv = ['', {operator!r}]\n{ONNX}", tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    folders = [str(path.relative_to(tmp_path)) for path in sorted((tmp_path / "dump").iterdir())]
    captured("", *folders)


def test_a_setting_that_is_wrong_would_be_seen(captured: Captured, tmp_path: Path) -> None:
    """The tests above can fail: with one setting of one layer changed, that layer differs."""
    need("torch", "torch")
    done = run(FRAMEWORKS["torch"][2], tmp_path)
    assert done.returncode == 0, done.stderr
    manifest = tmp_path / "dump" / "manifest.toml"
    manifest.write_text(
        manifest.read_text().replace('pad_mode = "reflect"', 'pad_mode = "symmetric"')
    )
    with pytest.raises(AssertionError, match="lazy"):
        captured("")


BAD: dict[str, tuple[str, str]] = {
    "no model": (
        "import convdiff\nwith convdiff.capture({}, 'dump'): pass",
        "capture: found an object of type builtins.dict, expected",
    ),
    "another file": (
        "import convdiff\nwith convdiff.capture('net.pt', 'dump'): pass",
        "capture net.pt: found a file of unknown kind",
    ),
    "nothing ran": (
        "import torch, convdiff\nwith convdiff.capture(torch.nn.Conv2d(1, 1, 1), 'dump'): pass",
        "no convolution ran inside",
    ),
    "a manifest is there": (
        "import torch, convdiff\nopen('manifest.toml', 'w')\nwith "
        "convdiff.capture(torch.nn.ReLU(), '.'): pass",
        "found a manifest already",
    ),
    "scripted": (
        "import torch, convdiff\nmodel = torch.jit.script(torch.nn.Conv1d(1, 1, 1))\n"
        "with convdiff.capture(model, 'dump'): model(torch.ones(1, 1, 1))",
        "(Conv1d: not recorded, it is scripted)",
    ),
    "on the meta device": (
        "import torch, convdiff\nmodel = torch.nn.Conv1d(1, 1, 1, device='meta')\n"
        "with convdiff.capture(model, 'dump'): model(torch.ones(1, 1, 1, device='meta'))",
        "(conv1d: not recorded, it is on the meta device",
    ),
    "a traced graph": (
        "import keras, numpy, convdiff\nmodel = keras.Sequential([keras.layers.Conv1D(1, "
        "1)])\nmodel.build((1, 4, 1))\n"
        "with convdiff.capture(model, 'dump'): model.predict(numpy.ones((1, 4, 1)), verbose=0)",
        "(sequential/conv1d: not recorded, it runs in a graph being traced, where nothing has "
        "values; call model(x)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_captured_is_told(name: str, tmp_path: Path) -> None:
    script, said = BAD[name]
    for framework in ("torch", "keras"):
        if framework in script:
            need(framework, "tensorflow" if framework == "keras" else framework)
    done = run(script, tmp_path)
    assert done.returncode == 1
    assert "ConvdiffError" in done.stderr
    assert said in done.stderr


def test_the_command_runs_a_function_that_gives_model_and_input(tmp_path: Path) -> None:
    need("torch", "torch")
    (tmp_path / "net.py").write_text(
        "import torch\nfrom neighbour import CHANNELS\n\n\n"
        "def make():\n    return torch.nn.Conv2d(CHANNELS, 2, 3), torch.ones(1, CHANNELS, 5, 5)\n"
    )
    (tmp_path / "neighbour.py").write_text("CHANNELS = 3\n")
    done = run(
        "import sys; sys.argv = ['convdiff', 'capture', 'net.py:make', '--folder', "
        "'dump']\nimport convdiff.__main__ as m; m.main()",
        tmp_path,
    )
    assert done.stdout == "dump/manifest.toml: 1 convolution; convdiff check dump\n", done.stderr
    case: dict[str, Any] = tomllib.loads((tmp_path / "dump" / "manifest.toml").read_text())["case"][
        0
    ]
    assert case["kernel_layout"] == "OIHW"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["net.onnx"], "capture net.onnx: found no such file (net.onnx), expected an ONNX model"),
        (["net"], "MODEL: found 'net', expected model.onnx or path.py:function"),
        (["net.py:make"], "MODEL net.py: found no such file"),
        (["net.py:make", "--input", "x.npy"], "--input x.npy: found it beside"),
    ],
)
def test_a_bad_target_is_one_line(args: list[str], said: str, tmp_path: Path) -> None:
    if "onnx" in args[0]:
        need("onnxruntime", "onnx")
    done = run(
        f"import sys; sys.argv = ['convdiff', 'capture', *{args!r}]\nimport convdiff.__main__ as "
        "m; m.main()",
        tmp_path,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"convdiff: {said}"), done.stderr
    assert done.stderr.count("\n") == 1


def test_the_reason_of_an_error_of_keras_is_told_without_colours(tmp_path: Path) -> None:
    need("keras", "tensorflow")
    (tmp_path / "net.py").write_text(
        "import keras, numpy\ndef make():\n    model = keras.Sequential([keras.Input((8, 8, 3)), "
        "keras.layers.Conv2D(4, 3)])\n"
        "    return model, numpy.ones((1, 8, 8, 4), 'float32')\n"
    )
    done = run(
        "import sys; sys.argv[1:] = ['capture', 'net.py:make']\nfrom convdiff.__main__ import "
        "main\nmain()",
        tmp_path,
    )
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert (
        "it raised ValueError: Exception encountered when calling Sequential.call(). Input 0 "
        in line
    )
    assert "\x1b" not in line


@pytest.mark.parametrize(
    ("name", "said"), [("boom", "it raised RuntimeError"), ("worse", "it raised KeyError (")]
)
def test_a_model_that_raises_is_one_line_and_trouble(name: str, said: str, tmp_path: Path) -> None:
    need("torch", "torch")
    (tmp_path / "model.py").write_text(
        "import torch\ndef boom():\n    return torch.nn.Conv2d(3, 4, 3), torch.randn(1, 5, 8, 8)\n"
        "def worse():\n    raise KeyError('no weights')\n"
    )
    done = run(
        f"import sys; sys.argv[1:] = ['capture', 'model.py:{name}']\nfrom convdiff.__main__ "
        "import main\nmain()",
        tmp_path,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
