"""The hand-written convolution of the question: a length-1 kernel slid along axis 1."""

import numpy as np


def convolve(x, y):
    """x (batch, time, channels), y (1, channels, out): (batch, time, out)."""
    out = np.zeros(x.shape[:2] + y.shape[2:])
    for i in range(1, x.shape[1] - 1):
        out[:, i - 1 : i + 2, :] += x[:, i - 1 : i + 2, :] @ y
    return out
