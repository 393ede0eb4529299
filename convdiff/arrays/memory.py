"""Arrays that are passed in Python: numpy's, and tensors of frameworks without importing those."""

from __future__ import annotations

from typing import Any

import numpy as np

from convdiff.arrays import element_types
from convdiff.arrays.npy import check_shape
from convdiff.errors import ConvdiffError
from convdiff.records import Stored
from convdiff.spec.layout import Array


def from_memory(value: Any, role: str, *, any_shape: bool = False) -> Stored:
    """`value` as a native array; it is not copied where it is native already.

    It may be a numpy array, nested lists, or a torch, TensorFlow or JAX tensor on any device.
    Raises ConvdiffError, which begins with `role`, for a masked array and for everything that
    `read` rejects in a file; 0-d and empty arrays are accepted with `any_shape`.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise ConvdiffError(
            f"{role}: found a masked array, expected a plain one; fill it first: array.filled(0)"
        )
    array, stored = _array(value, role)
    reason = element_types.unsupported_reason(array.dtype)
    if reason:
        raise ConvdiffError(f"{role}: {reason}")
    check_shape(array.shape, role, any_shape)
    return Stored(element_types.to_native(array), stored or element_types.stored_name(array.dtype))


def _array(value: Any, role: str) -> tuple[Array, str | None]:
    """The value as a numpy array, and the name of its original type where numpy lacks that type."""
    stored = None
    try:
        # torch itself does not convert a tensor on another device, with a gradient, or of bfloat16.
        if hasattr(value, "detach") and hasattr(value, "cpu"):
            value = value.detach().cpu()
            if str(value.dtype) == "torch.bfloat16":
                value, stored = value.float(), "bfloat16"
        if not hasattr(value, "__array__") and hasattr(value, "__dlpack__"):
            return np.from_dlpack(value), stored
        return np.asarray(value), stored
    except Exception as error:  # another package's __array__ may raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConvdiffError(
            f"{role}: found a {type(value).__name__} that numpy cannot convert ({reason}), "
            "expected numbers; convert it to a numpy array first"
        ) from None
