"""A linen module that returns two arrays, under jit."""

import jax
import numpy as np
from flax import linen

import convdiff


class Net(linen.Module):
    @linen.compact
    def __call__(self, x):
        y = linen.Conv(2, (3, 3))(x)
        return y, linen.sigmoid(y)


net, x = Net(), np.ones((1, 6, 5, 3), "float32")
parameters = net.init(jax.random.key(0), x)
with convdiff.capture(net, "dump"):
    outputs = jax.jit(net.apply)(parameters, x)
np.savez("outputs.npz", *map(np.asarray, outputs))
