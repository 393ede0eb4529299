"""The JAX half of the question, and its accepted answer: the same call with other names for the
kernel's axes.
"""

import numpy as np
from jax import lax


def asked(x, filters):
    """x (N, W, C), filters as tf.nn.conv1d_transpose takes them, (W, O, I): (N, W, C)."""
    return _convolve(x, filters, "WIO")


def answered(x, filters):
    """What the accepted answer does."""
    return _convolve(x, filters, "WOI")


def equal(x, filters):
    """What equals TensorFlow: the kernel reversed along W alone, and read as WOI."""
    numbers = lax.conv_dimension_numbers(x.shape, filters.shape, ("NWC", "WOI", "NWC"))
    return lax.conv_general_dilated(x, filters[::-1], (1,), "SAME", (1,), (1,), numbers)


def _convolve(x, filters, layout):
    rotated = np.rot90(np.rot90(filters))
    numbers = lax.conv_dimension_numbers(x.shape, filters.shape, ("NWC", layout, "NWC"))
    return lax.conv_general_dilated(x, rotated, (1,), "SAME", (1,), (1,), numbers)
