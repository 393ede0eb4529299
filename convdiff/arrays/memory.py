"""Arrays given in Python: numpy's, and what other frameworks can hand over, none of which is
imported here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convdiff.arrays import elements
from convdiff.arrays.npy import check_shape
from convdiff.errors import ConvdiffError
from convdiff.records import Stored
from convdiff.spec.layout import Array


def from_memory(value: Any, role: str, *, any_shape: bool = False) -> Stored:
    """`value` as a native array: a numpy array, nested lists, a torch, TensorFlow or JAX tensor on
    any device.

    What is already native is not copied.  Raises ConvdiffError, opened by `role`, for masked arrays
    and everything that `read` refuses in a file; 0-d and empty arrays pass with `any_shape`.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise ConvdiffError(
            f"{role}: found a masked array, expected a plain one; fill it first: array.filled(0)"
        )
    array, stored = _array(value, role)
    wrong = elements.problem(array.dtype)
    if wrong:
        raise ConvdiffError(f"{role}: {wrong}")
    check_shape(array.shape, role, any_shape)
    return Stored(elements.native(array), stored or elements.stored_name(array.dtype))


def _array(value: Any, role: str) -> tuple[Array, str | None]:
    """The value as numpy has it; and the name of its type where numpy has none for it."""
    stored = None
    try:
        # torch refuses to convert what is on another device, needs a gradient, or is bfloat16.
        if hasattr(value, "detach") and hasattr(value, "cpu"):
            value = value.detach().cpu()
            if str(value.dtype) == "torch.bfloat16":
                value, stored = value.float(), "bfloat16"
        if not hasattr(value, "__array__") and hasattr(value, "__dlpack__"):
            return np.from_dlpack(value), stored
        return np.asarray(value), stored
    except Exception as error:  # whatever a stranger's __array__ raises
        what = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConvdiffError(
            f"{role}: found a {type(value).__name__} that numpy cannot take ({what}), expected "
            "numbers; make a numpy array of it"
        ) from None
