"""A Keras model with two outputs."""

import keras
import numpy as np

import convdiff

inputs = keras.Input((6, 5, 3))
y = keras.layers.Conv2D(2, 3)(inputs)
net = keras.Model(inputs, [y, keras.activations.sigmoid(y)])
with convdiff.capture(net, "dump"):
    outputs = net(np.ones((1, 6, 5, 3), "float32"))
np.savez("outputs.npz", *map(np.asarray, outputs))
