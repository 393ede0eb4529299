"""Flax linen's convolution modules with every kind of option, called under jit."""

import jax
from flax import linen

import convdiff


class Net(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(8, (3, 3), strides=2, name="first")(x))
        x = linen.Conv(8, (3, 2), padding="CIRCULAR", feature_group_count=4)(x)
        x = linen.Conv(6, (3, 3), padding="REFLECT", kernel_dilation=2, use_bias=False)(x)
        x = linen.Conv(6, (3, 3), padding=((1, 2), (0, 1)), input_dilation=2)(x)
        x = linen.ConvTranspose(5, (3, 4), strides=(2, 2))(x)
        x = linen.ConvTranspose(5, (2, 2), strides=(3, 3), padding="VALID", transpose_kernel=True)(
            x
        )
        x = linen.ConvTranspose(4, (3, 3), padding=((1, 2), (0, 1)))(x)
        x = linen.Conv(4, (1, 1), padding=2)(x)
        return linen.Conv(3, (3,), padding="CAUSAL")(x.reshape(x.shape[0], -1, 4))


net, x = Net(), jax.random.normal(jax.random.key(0), (2, 17, 14, 3))
parameters = jax.tree.map(lambda a: a + 0.1, net.init(jax.random.key(1), x))
with convdiff.capture(net, "dump"):
    jax.jit(net.apply)(parameters, x)
