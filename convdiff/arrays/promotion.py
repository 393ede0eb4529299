"""Type promotion: the type that a convolution of two stored arrays is computed in."""

from __future__ import annotations

import math

import numpy as np

from convdiff.errors import ConvdiffError
from convdiff.records import Stored
from convdiff.spec.layout import Array

# float32 represents every integer up to this one.
MAX_INTEGER_IN_FLOAT32 = 2**24


def compute_dtype(
    input: Stored, kernel: Stored, asked: str | None, bias: Stored | None = None
) -> str:
    """The name of the type to compute in: `asked`, or else the floats' common type.

    Two 16-bit floats of one kind stay so.  Of two kinds, or with integers, they give float32.
    Integers alone give float32, or float64 where one of them is beyond 2**24.  Where an array is
    complex, it is the complex type of these.  Raises ConvdiffError where a real type is `asked` of
    complex arrays.
    """
    for name, stored in (("input", input), ("kernel", kernel), ("bias", bias)):
        if stored is not None and stored.array.dtype.kind == "c":
            if asked is None:
                return _complex_dtype(input, kernel)
            if not asked.startswith("complex"):
                raise ConvdiffError(
                    f"--dtype {asked}: found a complex {name} ({stored.stored}), expected "
                    "complex64 or complex128; save the real parts for a real convolution"
                )
    if asked is not None:
        return asked
    both = (input, kernel)
    if input.stored == kernel.stored and input.stored in ("bfloat16", "float16"):
        return input.stored
    floats = [stored.array.dtype for stored in both if stored.array.dtype.kind == "f"]
    if not floats:
        return (
            "float64"
            if any(_max_magnitude(stored.array) > MAX_INTEGER_IN_FLOAT32 for stored in both)
            else "float32"
        )
    least = [np.dtype(np.float32)] if len(floats) < 2 else []
    return str(np.result_type(*floats, *least).name)


def _complex_dtype(input: Stored, kernel: Stored) -> str:
    """The complex type that holds the floats and complex numbers of both; complex64 at least."""
    inexact = [each.array.dtype for each in (input, kernel) if each.array.dtype.kind in "fc"]
    return str(np.result_type(*inexact, np.complex64).name)


def _max_magnitude(array: Array) -> int:
    """The largest |value| of an integer array; 0 for a type whose values are all within 2**24."""
    if array.dtype.itemsize < 4:
        return 0
    return max(abs(int(array.max())), abs(int(array.min()))) if math.prod(array.shape) else 0
