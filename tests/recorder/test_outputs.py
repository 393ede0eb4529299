"""What the model itself gave is recorded beside its layers, whatever its shape, and is named in the
manifest.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convdiff.errors import ConvdiffError
from convdiff.manifest import load
from tests.recorder.conftest import need, run

# Each gives two arrays, the second after an activation: what no layer's output is.
SCRIPTS = {
    "torch": """
import numpy as np, torch, convdiff
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 2, 3)
    def forward(self, x):
        y = self.conv(x)
        return {"y": y, "more": [torch.sigmoid(y), None]}
net = Net()
with convdiff.capture(net, "dump"):
    made = net(torch.randn(1, 3, 6, 5))
arrays = [made["y"].detach().numpy(), made["more"][0].detach().numpy()]
""",
    "keras": """
import numpy as np, keras, convdiff
inputs = keras.Input((6, 5, 3))
y = keras.layers.Conv2D(2, 3)(inputs)
net = keras.Model(inputs, [y, keras.activations.sigmoid(y)])
with convdiff.capture(net, "dump"):
    arrays = [np.asarray(part) for part in net(np.ones((1, 6, 5, 3), "float32"))]
""",
    "linen": """
import numpy as np, jax, convdiff
from flax import linen as nn
class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        y = nn.Conv(2, (3, 3))(x)
        return y, nn.sigmoid(y)
net, x = Net(), np.ones((1, 6, 5, 3), "float32")
parameters = net.init(jax.random.key(0), x)
with convdiff.capture(net, "dump"):
    arrays = jax.jit(net.apply)(parameters, x)
""",
    "nnx": """
import numpy as np, jax, convdiff
from flax import nnx
class Net(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 2, (3, 3), rngs=rngs)
    def __call__(self, x):
        y = self.conv(x)
        return y, nnx.sigmoid(y)
net = Net(nnx.Rngs(0))
with convdiff.capture(net, "dump"):
    arrays = nnx.jit(lambda net, x: net(x))(net, np.ones((1, 6, 5, 3), "float32"))
""",
    "onnx": """
import numpy as np, onnx, convdiff
from onnx import TensorProto, helper, numpy_helper
w = numpy_helper.from_array(np.random.default_rng(0).standard_normal((2, 3, 3, 3)).astype("float32"), "w")
nodes = [helper.make_node("Conv", ["x", "w"], ["y"]), helper.make_node("Sigmoid", ["y"], ["z"])]
x, y, z = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xyz")
graph = helper.make_graph(nodes, "net", [x], [y, z], [w])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
with convdiff.capture(model, "dump") as session:
    arrays = list(session(np.ones((1, 3, 6, 5), "float32")).values())
""",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_models_own_outputs_are_recorded(name: str, tmp_path: Path) -> None:
    need(
        {"linen": "flax", "nnx": "flax"}.get(name, name),
        {"linen": "flax", "nnx": "flax", "keras": "tensorflow"}.get(name, name),
    )
    done = run(SCRIPTS[name] + "\nnp.savez('made.npz', *map(np.asarray, arrays))", tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    made = np.load(tmp_path / "made.npz")
    outputs = load(tmp_path / "dump").outputs
    assert outputs == tuple(
        str(tmp_path / "dump" / file) for file in ("output.npy", "output-2.npy")
    )
    for file, key in zip(outputs, ("arr_0", "arr_1"), strict=True):
        assert np.array_equal(np.load(file), made[key])


def test_outputs_are_a_list_of_files(tmp_path: Path) -> None:
    (tmp_path / "manifest.toml").write_text(
        'outputs = "y.npy"\n[[case]]\ninput = "x.npy"\nkernel = "w.npy"\n'
    )
    with pytest.raises(
        ConvdiffError, match=r"manifest\.toml:1: outputs: found 'y\.npy', expected a list of files"
    ):
        load(tmp_path)


def test_a_model_that_fails_leaves_nothing(tmp_path: Path) -> None:
    need("torch", "torch")
    done = run(
        "import torch, convdiff\nnet = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 1), "
        "torch.nn.Linear(9, 1))\n"
        "with convdiff.capture(net, 'dump'): net(torch.ones(1, 1, 3))",
        tmp_path,
    )
    assert "shapes cannot be multiplied" in done.stderr
    assert list(tmp_path.iterdir()) == []
