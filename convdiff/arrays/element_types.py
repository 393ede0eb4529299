"""Which element types are accepted, and how the others are converted to native numpy types.

bfloat16 has no type in .npy: ml_dtypes saves it as two raw bytes ('<V2'), which are the upper half
of a float32.
"""

from __future__ import annotations

import re
import sys
import warnings
from typing import Any

import numpy as np

from convdiff.spec.layout import Array

DType = np.dtype[Any]

_EXPECTED = (
    "expected float16, float32, float64, bfloat16, complex64, complex128, an integer type or bool"
)
_ACCEPTED = {
    "bool",
    *(f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)),
    "complex64",
    "complex128",
} - {"float8"}
_SAVE_AS_FLOATS = "save it as numbers, e.g. np.save(file, array.astype(np.float32))"
_DESCR = re.compile(r"[<>|=]?(?:[?a-zA-Z]\d{0,9}|[mM]8(?:\[[0-9a-zA-Z/]{1,20}\])?)")


def from_descr(descr: object) -> DType | str:
    """The type that `descr` in a .npy header names, or a message about what is wrong with it."""
    if isinstance(descr, list | tuple):
        return (
            f"found structured elements (records), {_EXPECTED}; save one field of it: "
            "np.save(file, array['field'])"
        )
    if not isinstance(descr, str):
        return f"found the element type {abbreviate(descr)}, {_EXPECTED}; {_SAVE_AS_FLOATS}"
    if _DESCR.fullmatch(descr):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dtype = np.dtype(descr)
        except (TypeError, ValueError):
            pass
        else:
            return unsupported_reason(dtype, descr) or dtype
    return f"found the element type {abbreviate(descr)}, {_EXPECTED}; {_SAVE_AS_FLOATS}"


def unsupported_reason(dtype: DType, shown: str | None = None) -> str | None:
    """None for an accepted type, else a message: what was found and expected, and what to do.

    `shown` is the type's name in the message.
    """
    name = shown or str(dtype)
    if dtype.fields or dtype.subdtype:
        return (
            f"found structured elements (records), {_EXPECTED}; save one field of it: "
            "np.save(file, array['field'])"
        )
    if dtype.kind == "O":
        return (
            f"found Python objects, which are pickled and never loaded, {_EXPECTED}; "
            f"{_SAVE_AS_FLOATS}"
        )
    if dtype.kind in "SUT":
        return f"found strings ({name}), {_EXPECTED}; {_SAVE_AS_FLOATS}"
    if dtype.kind in "mM":
        return f"found dates or times ({name}), {_EXPECTED}; {_SAVE_AS_FLOATS}"
    if dtype.kind == "c" and dtype.itemsize > 16:
        return (
            f"found {dtype.name} (of long doubles), {_EXPECTED}; save it as "
            "array.astype(np.complex128)"
        )
    if dtype.kind == "f" and dtype.itemsize > 8:
        return f"found {dtype.name} (long double), {_EXPECTED}; save it as array.astype(np.float64)"
    if is_bfloat16(dtype) or dtype.name in _ACCEPTED:
        return None
    return (
        f"found elements of {dtype.itemsize} raw bytes ({name}: float8 or int4?), {_EXPECTED}; "
        f"{_SAVE_AS_FLOATS}"
    )


def is_bfloat16(dtype: DType) -> bool:
    """Whether the type is ml_dtypes' bfloat16, or the two raw bytes that stand for it in a .npy."""
    return dtype.name == "bfloat16" or (
        dtype.kind == "V" and dtype.itemsize == 2 and dtype.names is None
    )


def stored_name(dtype: DType) -> str:
    """The type's name, without its byte order."""
    return "bfloat16" if is_bfloat16(dtype) else str(dtype.name)


def to_native(array: Array, big_endian: bool = False) -> Array:
    """The array in a native type: bool as uint8, bfloat16 widened to float32.

    An array that is native already is returned itself.  `big_endian` is the byte order of raw
    bfloat16, which its numpy type does not carry.
    """
    if is_bfloat16(array.dtype):
        raw = array.view(">u2" if big_endian else "<u2")
        wide = np.empty_like(raw, np.uint32, subok=False)
        np.left_shift(raw, 16, out=wide, dtype=np.uint32)
        return wide.view(np.float32)
    if array.dtype == bool:
        return array.view(np.uint8)
    swapped = array.dtype.byteorder == (">" if sys.byteorder == "little" else "<")
    return array.astype(array.dtype.newbyteorder("=")) if swapped else array


def abbreviate(value: object) -> str:
    """The value's repr, without its middle where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:40]}...{text[-15:]}"
