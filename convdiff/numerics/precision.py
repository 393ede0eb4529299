"""Rounding to narrow types, and what each type's rounding costs.

Unit roundoffs are half the distance from 1 to the next number: 2^-p for a significand of p bits.
TF32 keeps ten fraction bits of a float32; tensor cores take it from float32 operands either rounded
or cut off.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convdiff.spec.layout import Array

UNIT = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}
# The smallest normal numbers: some hardware takes anything smaller for zero, in operands and
# results.
NORMAL = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}
# The spacing of the numbers below that: what rounding among them may cost in one operation.
SUBNORMAL = {
    "float16": 2.0**-24,
    "bfloat16": 2.0**-133,
    "float32": 2.0**-149,
    "float64": 2.0**-1074,
}
LARGEST = {
    "float16": 65504.0,
    "bfloat16": 3.3895313892515355e38,
    "float32": float(np.finfo(np.float32).max),
    "float64": float(np.finfo(np.float64).max),
}


def _keep_bits(array: Array, dropped: int) -> Array:
    """float32 values with their lowest `dropped` significand bits rounded to nearest even."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    odd = (bits >> np.uint32(dropped)) & np.uint32(1)
    rounded = (bits + (np.uint32((1 << (dropped - 1)) - 1) + odd)) & np.uint32(
        ~((1 << dropped) - 1) & 0xFFFFFFFF
    )
    finite = (bits & np.uint32(0x7F800000)) != np.uint32(0x7F800000)
    return np.where(finite, rounded, bits).view(np.float32)


def to_bfloat16(array: Array) -> Array:
    """Rounded to bfloat16 (to nearest, ties to even), as float32."""
    return _keep_bits(array, 16)


def to_tf32(array: Array) -> Array:
    """Rounded to TF32 (to nearest, ties to even), as float32."""
    return _keep_bits(array, 13)


def to_tf32_cut(array: Array) -> Array:
    """Cut off to TF32, as float32."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return (bits & np.uint32(0xFFFFE000)).view(np.float32)


def to_float16(array: Array) -> Array:
    """Rounded to float16, as float32."""
    with np.errstate(over="ignore"):
        return np.asarray(array).astype(np.float16).astype(np.float32)


def cast(array: Array, dtype: str) -> Array:
    """`array` with its values rounded to `dtype`, in a numpy type that holds them (bfloat16 and
    float16 in float32).
    """
    if dtype == "bfloat16":
        return to_bfloat16(array)
    if dtype == "float16":
        return to_float16(array)
    with np.errstate(over="ignore"):
        return np.asarray(array).astype(
            np.float32 if dtype == "float32" else np.float64, copy=False
        )


ROUNDINGS: dict[str, Callable[[Array], Array]] = {
    "tf32": to_tf32,
    "tf32 (cut off)": to_tf32_cut,
    "bf16": to_bfloat16,
    "fp16": to_float16,
}


def half_ulp(values: Array, stored: str) -> Array:
    """Half the spacing of the numbers of type `stored` around |values|; zero for integer types."""
    if stored == "bfloat16":
        return np.asarray(
            np.spacing(np.abs(values).astype(np.float32)).astype(np.float64) * 2.0**15
        )
    if stored not in UNIT:
        return np.zeros_like(values)
    with np.errstate(over="ignore", invalid="ignore"):
        spacing = np.spacing(np.minimum(np.abs(values), LARGEST[stored]).astype(stored)).astype(
            np.float64
        )
    return np.asarray(spacing / 2)


def width(stored: str) -> int:
    """Significand bits of a floating type; integers count as wide as float64."""
    return {"bfloat16": 8, "float16": 11, "float32": 24}.get(stored, 53)
