"""Rounding to narrow floating-point types, and the constants of each type.

A unit roundoff is half the distance from 1 to the next number: 2^-p for p significand bits.  TF32
keeps the exponent and ten fraction bits of a float32; tensor cores either round float32 operands to
it or truncate them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convdiff.spec.layout import Array

UNIT_ROUNDOFF = {
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
    "float32": 2.0**-24,
    "float64": 2.0**-53,
}
# The smallest normal number: some hardware flushes smaller operands and results to zero.
MIN_NORMAL = {
    "float16": 2.0**-14,
    "bfloat16": 2.0**-126,
    "float32": 2.0**-126,
    "float64": 2.0**-1022,
}
# The smallest positive number, which is the spacing of subnormal numbers.
MIN_SUBNORMAL = {
    "float16": 2.0**-24,
    "bfloat16": 2.0**-133,
    "float32": 2.0**-149,
    "float64": 2.0**-1074,
}
MAX_FINITE = {
    "float16": 65504.0,
    "bfloat16": 3.3895313892515355e38,
    "float32": float(np.finfo(np.float32).max),
    "float64": float(np.finfo(np.float64).max),
}


def _round_significand(array: Array, dropped: int) -> Array:
    """float32 values without their lowest `dropped` significand bits, to nearest, ties to even."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    odd = (bits >> np.uint32(dropped)) & np.uint32(1)
    rounded = (bits + (np.uint32((1 << (dropped - 1)) - 1) + odd)) & np.uint32(
        ~((1 << dropped) - 1) & 0xFFFFFFFF
    )
    finite = (bits & np.uint32(0x7F800000)) != np.uint32(0x7F800000)
    return np.where(finite, rounded, bits).view(np.float32)


def to_bfloat16(array: Array) -> Array:
    """`array` rounded to bfloat16 (to nearest, ties to even), as float32."""
    return _round_significand(array, 16)


def to_tf32(array: Array) -> Array:
    """`array` rounded to TF32 (to nearest, ties to even), as float32."""
    return _round_significand(array, 13)


def to_tf32_truncated(array: Array) -> Array:
    """`array` truncated to TF32, as float32."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return (bits & np.uint32(0xFFFFE000)).view(np.float32)


def to_float16(array: Array) -> Array:
    """`array` rounded to float16, as float32."""
    with np.errstate(over="ignore"):
        return np.asarray(array).astype(np.float16).astype(np.float32)


def cast(array: Array, dtype: str) -> Array:
    """`array` rounded to `dtype`: bfloat16 and float16 values as float32, others in their type."""
    if dtype == "bfloat16":
        return to_bfloat16(array)
    if dtype == "float16":
        return to_float16(array)
    with np.errstate(over="ignore"):
        return np.asarray(array).astype(
            np.float32 if dtype == "float32" else np.float64, copy=False
        )


# Functions that round operands to the formats that hardware multiplies in.
ROUND_TO: dict[str, Callable[[Array], Array]] = {
    "tf32": to_tf32,
    "tf32 (truncated)": to_tf32_truncated,
    "bf16": to_bfloat16,
    "fp16": to_float16,
}


def half_ulp(values: Array, dtype: str) -> Array:
    """Half the spacing of the numbers of type `dtype` at each |value|; zeros for integer types."""
    if dtype == "bfloat16":
        return np.asarray(
            np.spacing(np.abs(values).astype(np.float32)).astype(np.float64) * 2.0**15
        )
    if dtype not in UNIT_ROUNDOFF:
        return np.zeros_like(values)
    # NumPy gives infinity for the largest number: no number follows it.
    below = np.nextafter(np.asarray(MAX_FINITE[dtype], dtype), np.asarray(0, dtype))
    with np.errstate(over="ignore", invalid="ignore"):
        spacing = np.spacing(np.minimum(np.abs(values), float(below)).astype(dtype))
    return np.asarray(spacing.astype(np.float64) / 2)


def significand_bits(dtype: str) -> int:
    """The significand bits of a floating-point type; integer types count as float64 does."""
    return {"bfloat16": 8, "float16": 11, "float32": 24}.get(dtype, 53)


def is_narrow(dtype: str) -> bool:
    """Whether `dtype` is a 16-bit floating-point type."""
    return significand_bits(dtype) < significand_bits("float32")
