"""Functions to probe, called by path as a user's port would be; each does what its name says."""

import numpy as np


def windows(x, k, stride=1):
    view = np.lib.stride_tricks.sliding_window_view(x, k, (2, 3))
    return view[:, :, ::stride, ::stride]


def conv(x, w, stride=1):
    return np.einsum("nchwij,ocij->nohw", windows(x, w.shape[2:], stride), w)


def padded(x, w, mode="constant", **options):
    return conv(np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)), mode=mode, **options), w)


def plain(x, w):
    return conv(x, w)


def biased(x, w, b):
    return conv(x, w) + b[:, None, None]


def own_bias(x, w):
    return conv(x, w) + 2.5


def halved(x, w):
    return conv(x, w) / 2


def relu(x, w):
    return np.maximum(conv(x, w), 0)


def leaky_relu(x, w):
    y = conv(x, w)
    return np.where(y < 0, 0.125 * y, y)


def tanh(x, w):
    return np.tanh(conv(x, w))


def rounded(x, w):
    return np.round(conv(x, w))


def kernel_ignored(x, w):
    return conv(x, np.arange(6.0 * x.shape[1] * 9).reshape(6, x.shape[1], 3, 3))


def kernel_normalized(x, w):
    return conv(x, w / np.abs(w).sum() if w.any() else w)


def panorama(x, w):
    return conv(
        np.pad(np.pad(x, [(0, 0)] * 2 + [(2, 2), (0, 0)]), [(0, 0)] * 3 + [(2, 2)], "wrap"), w
    )


def padded_with_fives(x, w):
    return padded(x, w, constant_values=5)


def padded_with_positions(x, w):
    padding = np.arange(1.0, x.size * 16 + 1).reshape(*x.shape[:2], 4 * x.shape[2], -1)
    padding = padding[:, :, : x.shape[2] + 4, : x.shape[3] + 4].copy()
    padding[:, :, 2:-2, 2:-2] = x
    return conv(padding, w)


def padded_with_edges(x, w):
    return padded(x, w, "edge")


def kernels_of_3x3_only(x, w):
    if w.shape[2:] != (3, 3):
        raise ValueError("kernels of 3x3 only")
    return conv(x, w)


def images_of_8x8_only(x, w):
    if x.shape != (1, 1, 8, 8):
        raise ValueError("images of 8x8 only")
    return conv(x, w)


def interleaved_groups(x, w):
    size = [n - k + 1 for n, k in zip(x.shape[2:], w.shape[2:], strict=True)]
    y = np.empty((x.shape[0], w.shape[0], *size))
    for g in range(2):
        y[:, g::2] = conv(x[:, g::2], w[g::2])
    return y


def random_output(x, w):
    return conv(x, w) + np.random.standard_normal()


def undefined_name(x, w):
    return undefined(x)  # noqa: F821


def unbatched(x, w):
    return conv(x[None], w)[0]


def cuda_convnet_layout(x, w):
    y = conv(x.transpose(3, 0, 1, 2), w.transpose(3, 0, 1, 2))
    return y.transpose(1, 2, 3, 0)


def float16_output(x, w):
    return conv(x, w).astype(np.float16)
