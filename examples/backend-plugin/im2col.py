"""The library to be added: a 2-D cross-correlation as a matrix product, channels first."""

import numpy as np

__version__ = "1.0"
ORDER = "rows first"


def conv2d(x, w, stride=1):
    """x (N, C, H, W) and w (O, C, R, S) give (N, O, P, Q); there is no padding."""
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))[
        :, :, ::stride, ::stride
    ]
    n, c, p, q, r, s = windows.shape
    axes = (0, 2, 3, 1, 4, 5) if ORDER == "rows first" else (0, 2, 3, 4, 5, 1)
    columns = windows.transpose(axes).reshape(n * p * q, c * r * s)
    matrix = (w if ORDER == "rows first" else w.transpose(0, 2, 3, 1)).reshape(len(w), -1)
    return (columns @ matrix.T).reshape(n, p, q, len(w)).transpose(0, 3, 1, 2)
