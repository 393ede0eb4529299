"""A Keras model that is not built before it runs.

Keras finds out the shapes first, on some backends by running the model with arrays of ones.
"""

import keras
import numpy as np
from keras import layers, ops

import convdiff


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = layers.Conv2D(4, 3, name="first")
        self.last = layers.SeparableConv2D(3, 3, strides=2, name="last")

    def call(self, x):
        return self.last(ops.conv(self.first(x), ops.ones((2, 2, 4, 4))))


model = Net()
with convdiff.capture(model, "dump"):
    model(np.random.default_rng(0).standard_normal((2, 12, 12, 3)).astype("float32"))
