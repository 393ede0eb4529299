"""Flax nnx's convolution modules."""

import jax
from flax import nnx

import convdiff


class Net(nnx.Module):
    def __init__(self, rngs):
        self.a = nnx.Conv(3, 8, (3, 3), strides=2, rngs=rngs)
        grouped = nnx.Conv(8, 8, (2, 3), padding="CIRCULAR", feature_group_count=2, rngs=rngs)
        self.layers = nnx.List([grouped])
        self.up = nnx.ConvTranspose(8, 4, (3, 3), strides=(2, 2), rngs=rngs)
        self.line = nnx.Conv(4, 4, 3, use_bias=False, rngs=rngs)

    def __call__(self, x):
        x = self.up(self.layers[0](nnx.relu(self.a(x))))
        return self.line(x.reshape(x.shape[0], -1, 4))


net = Net(nnx.Rngs(0))
call = nnx.Conv.__call__
with convdiff.capture(net, "dump"):
    net(jax.random.normal(jax.random.key(0), (2, 17, 14, 3)))
assert nnx.Conv.__call__ is call, "the class is as it was"
