"""Which element types are taken, and how the odd ones become native numpy types.

bfloat16 has no .npy type: ml_dtypes saves it as two raw bytes ('<V2'), the upper half of a float32.
"""

from __future__ import annotations

import re
import sys
import warnings
from typing import Any

import numpy as np

from convdiff.spec.layout import Array

DType = np.dtype[Any]

EXPECTED = "expected float16, float32, float64, bfloat16, an integer type or bool"
_NATIVE = {
    "bool",
    *(f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)),
} - {"float8"}
_AS_FLOATS = "save it as numbers, e.g. np.save(file, array.astype(np.float32))"
_DESCR = re.compile(r"[<>|=]?(?:[?a-zA-Z]\d{0,9}|[mM]8(?:\[[0-9a-zA-Z/]{1,20}\])?)")


def from_descr(descr: object) -> DType | str:
    """The type that a .npy header's `descr` names, or, as a sentence's end, what is wrong with it."""
    if isinstance(descr, list | tuple):
        return (
            f"found structured elements (records), {EXPECTED}; save one field of it: "
            "np.save(file, array['field'])"
        )
    if not isinstance(descr, str):
        return f"found the element type {short(descr)}, {EXPECTED}; {_AS_FLOATS}"
    if _DESCR.fullmatch(descr):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dtype = np.dtype(descr)
        except (TypeError, ValueError):
            pass
        else:
            return problem(dtype, descr) or dtype
    return f"found the element type {short(descr)}, {EXPECTED}; {_AS_FLOATS}"


def problem(dtype: DType, shown: str | None = None) -> str | None:
    """None for a type that is taken, else what was found, what was expected and what to do; `shown`
    is its name there.
    """
    name = shown or str(dtype)
    if dtype.fields or dtype.subdtype:
        return (
            f"found structured elements (records), {EXPECTED}; save one field of it: "
            "np.save(file, array['field'])"
        )
    if dtype.kind == "O":
        return f"found Python objects, which are pickled and never loaded, {EXPECTED}; {_AS_FLOATS}"
    if dtype.kind in "SUT":
        return f"found strings ({name}), {EXPECTED}; {_AS_FLOATS}"
    if dtype.kind in "mM":
        return f"found dates or times ({name}), {EXPECTED}; {_AS_FLOATS}"
    if dtype.kind == "c":
        return (
            f"found {dtype.name}, {EXPECTED}; complex arrays are not supported yet: save the "
            "real and imaginary parts separately"
        )
    if dtype.kind == "f" and dtype.itemsize > 8:
        return f"found {dtype.name} (long double), {EXPECTED}; save it as array.astype(np.float64)"
    if bfloat16(dtype) or dtype.name in _NATIVE:
        return None
    return (
        f"found elements of {dtype.itemsize} raw bytes ({name}: float8 or int4?), {EXPECTED}; "
        f"{_AS_FLOATS}"
    )


def bfloat16(dtype: DType) -> bool:
    """Whether it is ml_dtypes' bfloat16, or the two raw bytes that this is in a .npy."""
    return dtype.name == "bfloat16" or (
        dtype.kind == "V" and dtype.itemsize == 2 and dtype.names is None
    )


def stored_name(dtype: DType) -> str:
    """The type's name whatever its byte order."""
    return "bfloat16" if bfloat16(dtype) else str(dtype.name)


def native(array: Array, big_endian: bool = False) -> Array:
    """The array in a native type: itself where it is so already, bool as uint8, bfloat16 widened to
    float32.

    `big_endian` is the byte order of raw bfloat16, which its own type does not tell.
    """
    if bfloat16(array.dtype):
        raw = array.view(">u2" if big_endian else "<u2")
        wide = np.empty_like(raw, np.uint32, subok=False)
        np.left_shift(raw, 16, out=wide, dtype=np.uint32)
        return wide.view(np.float32)
    if array.dtype == bool:
        return array.view(np.uint8)
    swapped = array.dtype.byteorder == (">" if sys.byteorder == "little" else "<")
    return array.astype(array.dtype.newbyteorder("=")) if swapped else array


def short(value: object) -> str:
    """The value's repr without its middle where that is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:40]}...{text[-15:]}"
