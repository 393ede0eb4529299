"""An nnx module that returns two arrays, under jit."""

import numpy as np
from flax import nnx

import convdiff


class Net(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 2, (3, 3), rngs=rngs)

    def __call__(self, x):
        y = self.conv(x)
        return y, nnx.sigmoid(y)


net = Net(nnx.Rngs(0))
with convdiff.capture(net, "dump"):
    outputs = nnx.jit(lambda net, x: net(x))(net, np.ones((1, 6, 5, 3), "float32"))
np.savez("outputs.npz", *map(np.asarray, outputs))
