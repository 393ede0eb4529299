"""A subclass of nnx.Conv, and nnx modules under jit, remat and vmap."""

import jax
from flax import nnx

import convdiff


class Twice(nnx.Conv):
    def __call__(self, x):
        return 2 * super().__call__(x)


class Net(nnx.Module):
    def __init__(self, rngs):
        self.a = nnx.Conv(3, 4, (3, 3), strides=2, rngs=rngs)
        self.b = Twice(4, 4, (3, 3), rngs=rngs)
        self.mapped = nnx.ConvTranspose(4, 3, (2, 3), rngs=rngs)

    def __call__(self, x):
        x = nnx.remat(lambda layer, x: layer(x))(self.a, x)
        return nnx.vmap(lambda layer, x: layer(x), in_axes=(None, 0))(self.mapped, self.b(x))


net, x = Net(nnx.Rngs(0)), jax.random.normal(jax.random.key(0), (2, 9, 8, 3))
with convdiff.capture(net, "dump"):
    nnx.jit(lambda net, x: net(x))(net, x)
