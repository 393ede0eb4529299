"""Subclasses and patches of Keras' layers, and a layer of the user's that calls keras.ops."""

import keras
import numpy as np
from keras import layers, ops

import convdiff


class Padded(layers.Conv2D):
    def call(self, x):
        return ops.relu(super().call(ops.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]])))


class Standardized(layers.Conv2D):
    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, kernel - ops.mean(kernel, axis=(0, 1, 2)))


class Free(layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, 2, 4), initializer="normal")
        self.up = self.add_weight(shape=(3, 3, 5, 4), initializer="normal")
        self.inner = layers.Conv2D(5, 1, activation="relu", name="inner")

    def call(self, x):
        y = ops.conv(x, self.kernel, 2, padding="SAME")
        y = ops.depthwise_conv(y, ops.ones((2, 2, 4, 1)))
        y = ops.separable_conv(y, ops.ones((2, 2, 4, 1)), ops.ones((1, 1, 4, 4)), padding="same")
        y = ops.conv_transpose(y, self.up, strides=2, padding="same", output_padding=1)
        return self.inner(y)


patched = layers.Conv2D(3, 1, name="patched")
original_call = patched.call
patched.call = lambda x: original_call(x) * 2

inputs = keras.Input((12, 12, 3))
x = Padded(4, 3, strides=2, name="padded")(patched(inputs))
x = Free(name="free")(Standardized(4, 3, name="standard")(x))
model = keras.Model(inputs, x)

x = np.random.default_rng(0).standard_normal((2, 12, 12, 3)).astype("float32")
before = np.asarray(model(x))
with convdiff.capture(model, "dump"):
    model(x)
assert np.array_equal(before, np.asarray(model(x))), "the model is as it was"
assert ops.conv is keras.src.ops.nn.conv, "keras.ops is as it was"
