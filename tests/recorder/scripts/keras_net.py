"""Keras' convolution layers with every kind of option, in two models."""

import keras
import numpy as np
from keras import layers

import convdiff

random = np.random.default_rng(0)

inputs = keras.Input((21, 18, 4))
x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="first")(inputs)
x = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu")(x)
x = layers.SeparableConv2D(6, 3, padding="same", activation="gelu")(x)
x = layers.Conv2DTranspose(5, 3, strides=2, padding="same")(x)
x = layers.Conv2DTranspose(5, 2, strides=3, padding="valid")(x)
x = layers.Conv2DTranspose(6, 3, strides=2, padding="same", output_padding=1)(x)
x = layers.Conv2D(6, 3, groups=2, use_bias=False, dilation_rate=2)(x)
x = layers.Reshape((-1, 6))(x)
x = layers.Conv1D(4, 3, padding="causal", dilation_rate=2)(x)
x = layers.SeparableConv1D(
    4, 3, strides=2, padding="same", depth_multiplier=2, name="separable_strided"
)(x)
x = layers.SeparableConv1D(4, 3, dilation_rate=2, name="separable_dilated")(x)
x = layers.SeparableConv1D(4, 3, name="separable_plain")(x)
x = layers.DepthwiseConv1D(3)(x)
x = layers.Conv1DTranspose(4, 3)(x)
model = keras.Model(inputs, x)
for weight in model.weights:
    weight.assign(random.standard_normal(weight.shape) * 0.3)

ones = np.ones((2, 21, 18, 4), "float32")
before = np.asarray(model(ones))
with convdiff.capture(model, "dump"):
    model(random.standard_normal((2, 21, 18, 4)).astype("float32"))
assert np.array_equal(before, np.asarray(model(ones))), "the model is as it was"

deep = keras.Sequential([layers.Conv3D(3, 2), layers.Conv3DTranspose(2, 3, strides=2)])
with convdiff.capture(deep, "deep"):
    deep(random.standard_normal((1, 5, 6, 7, 2)).astype("float32"))
