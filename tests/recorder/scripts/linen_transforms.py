"""Linen modules with a `__call__` of their own, and what JAX traces even where jit is disabled."""

import jax
import jax.numpy as jnp
from flax import linen

import convdiff


class Padded(linen.Conv):
    @linen.compact
    def __call__(self, x):
        padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return linen.relu(super().__call__(padded)) * 2


class Other(linen.Conv):
    @linen.compact
    def __call__(self, x):
        return x * self.param("kernel", linen.initializers.ones, (1, 1, 4, 4)).sum()


class Step(linen.Module):
    @linen.compact
    def __call__(self, x, _):
        return linen.Conv(4, (3, 3), padding="CIRCULAR")(x), None


def doubled(lhs, rhs, *args, **kwargs):
    return jax.lax.conv_general_dilated(lhs, 2 * rhs, *args, **kwargs)


class Net(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = Padded(4, (3, 3), strides=2, padding="VALID", name="padded")(x)
        x = Other(4, (1, 1), name="other")(x)
        x = linen.remat(Padded)(4, (3, 3), name="remat")(x)
        scan = linen.scan(
            linen.remat(Step), variable_axes={"params": 0}, split_rngs={"params": True}, length=2
        )
        x, _ = scan(name="scan")(x, None)
        x = linen.Conv(4, (1, 1), conv_general_dilated=doubled, name="doubled")(x)
        vmap = linen.vmap(
            linen.ConvTranspose, variable_axes={"params": None}, split_rngs={"params": False}
        )
        return vmap(3, (3, 2), name="vmap")(x)


net, x = Net(), jax.random.normal(jax.random.key(0), (2, 9, 8, 3))
parameters = net.init(jax.random.key(1), x)
with convdiff.capture(net, "dump"):
    net.apply(parameters, x)
with convdiff.capture(net, "grad"):
    jax.value_and_grad(lambda parameters: net.apply(parameters, x).sum())(parameters)
