"""A port with one wrong layer: the time to find it, against loading the two frameworks twice.

The source is a ResNet-18 in PyTorch; in its port to Keras the kernel of the seventh convolution is
flipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.timing import alternate, command_seconds

SOURCE = """
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F, convdiff
torch.manual_seed(0)
class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.down = nn.Identity()
        if stride > 1 or i != o:
            conv = nn.Conv2d(i, o, 1, stride, bias=False)
            self.down = nn.Sequential(conv, nn.BatchNorm2d(o))
    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.down(x))
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        inner, blocks = 64, []
        for outer, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            blocks += [Block(inner, outer, stride), Block(outer, outer, 1)]
            inner = outer
        self.blocks = nn.Sequential(*blocks)
    def forward(self, x):
        return self.blocks(F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1))
net, x = Net().eval(), torch.randn(1, 3, 224, 224)
weights = {name: value.numpy() for name, value in net.state_dict().items()}
np.savez("weights.npz", x=x.numpy(), **weights)
with convdiff.capture(net, "source"), torch.no_grad():
    net(x)
"""
PORT = """
import numpy as np, keras, convdiff
from keras import layers as L
weights, todo, count = np.load("weights.npz"), [], 0
def conv(x, name, outer, k, stride):
    global count
    count += 1
    w = weights[name + ".weight"].transpose(2, 3, 1, 0)
    w = w[::-1, ::-1] if count == 7 else w
    layer = L.Conv2D(outer, k, strides=stride, use_bias=False)
    todo.append((layer, [w]))
    return layer(L.ZeroPadding2D(k // 2)(x) if k > 1 else x)
def norm(x, name):
    layer = L.BatchNormalization(epsilon=1e-5)
    keys = ("weight", "bias", "running_mean", "running_var")
    todo.append((layer, [weights[f"{name}.{key}"] for key in keys]))
    return layer(x)
inputs = keras.Input((224, 224, 3))
x = L.ReLU()(norm(conv(inputs, "conv1", 64, 7, 2), "bn1"))
x = L.MaxPooling2D(3, 2)(L.ZeroPadding2D(1)(x))
inner = 64
blocks = [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]
for at, (outer, stride) in enumerate(blocks):
    name = f"blocks.{at}"
    y = L.ReLU()(norm(conv(x, name + ".conv1", outer, 3, stride), name + ".bn1"))
    y = norm(conv(y, name + ".conv2", outer, 3, 1), name + ".bn2")
    if stride > 1 or inner != outer:
        x = norm(conv(x, name + ".down.0", outer, 1, stride), name + ".down.1")
    x, inner = L.ReLU()(L.Add()([y, x])), outer
port = keras.Model(inputs, x)
for layer, values in todo:
    layer.set_weights(values)
with convdiff.capture(port, "port"):
    port(weights["x"].transpose(0, 2, 3, 1))
"""
LOAD = "import torch, keras"
# The note in which `convdiff check` names the fault.
EXPECTED_NOTE = (
    "the first layer that diverges is blocks.2.conv2, convolution 7 of 20: the kernel was flipped "
    "along H and W"
)


def measure(runs: int = 2) -> str:
    """One line: both times and their ratio, which should be at most 1.

    Raises RuntimeError if the fault is not found.
    """
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory() as folder:
        for script in (SOURCE, PORT):
            subprocess.run(
                [sys.executable, "-c", script],
                cwd=folder,
                check=True,
                capture_output=True,
                env=quiet,
            )
        check = [
            sys.executable,
            "-m",
            "convdiff",
            "check",
            "--source",
            "source",
            "--port",
            "port",
            "--json",
            "found.json",
        ]
        load = [sys.executable, "-c", LOAD]
        seconds, load_seconds, ratio = alternate(
            lambda: command_seconds(check, cwd=folder),
            lambda: sum(command_seconds(load, cwd=folder, env=quiet) for _ in range(2)),
            runs,
        )
        note = json.loads(Path(folder, "found.json").read_text())["notes"][0]
    if note != EXPECTED_NOTE:
        raise RuntimeError(f"found {note!r}, expected {EXPECTED_NOTE!r}")
    return (
        f"the wrong layer of a port, of 20      {seconds:6.2f} s   torch + keras twice "
        f"{load_seconds:6.2f} s   ratio {ratio:.2f} (at most 1)"
    )
