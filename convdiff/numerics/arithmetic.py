"""The arithmetic that an output may have been computed in: the operands' type and the rounding.

All `Rounding`s of obtained outputs are derived here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from convdiff.numerics.complex_parts import part_dtype
from convdiff.numerics.error_bound import MAX_TO_MEDIAN, Rounding
from convdiff.numerics.precision import cast, is_narrow, significand_bits
from convdiff.records import Case
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array


@dataclass(frozen=True)
class Operands:
    """A case's arrays, cast to one type."""

    dtype: str
    input: Array
    kernel: Array
    bias: Array | None

    @classmethod
    def of(cls, case: Case, dtype: str) -> Operands:
        """The arrays of `case`, cast to `dtype`."""
        return cls(
            dtype,
            cast(case.input.array, dtype),
            cast(case.kernel.array, dtype),
            None if case.bias is None else cast(case.bias.array, dtype),
        )

    @cached_property
    def reach(self) -> float:
        """1 + the largest finite magnitudes of input and kernel."""
        return 1.0 + sum(_largest_finite(array) for array in (self.input, self.kernel))

    @cached_property
    def bias_size(self) -> float:
        """The largest |bias|, but no more than `MAX_TO_MEDIAN` times the median; 0 without a bias.

        One channel with a far larger bias says nothing about the others.
        """
        if self.bias is None:
            return 0.0
        sizes = np.abs(self.bias[np.isfinite(self.bias) & (self.bias != 0)]).astype(np.float64)
        return float(min(sizes.max(), MAX_TO_MEDIAN * np.median(sizes))) if sizes.size else 0.0


def _largest_finite(array: Array) -> float:
    """The largest finite magnitude; 0 if there is none."""
    if not array.size:
        return 0.0
    largest = max(abs(float(array.max())), abs(float(array.min())))
    if np.isfinite(largest):
        return largest
    return float(np.abs(array[np.isfinite(array)]).max(initial=0.0))


class Arithmetic(NamedTuple):
    """One way that an output may have been computed: from these operands, with this rounding."""

    operands: Operands
    rounding: Rounding


def stored_dtype(output: Array, declared: str | None = None) -> str:
    """The type that an output was stored in, that of its parts if complex; integers as float64.

    `declared` is what a file or a framework says.  It matters for bfloat16, which NumPy lacks:
    such an output is held in a wider type.
    """
    if declared == "bfloat16":
        return declared
    if output.dtype.kind == "c":
        return part_dtype(output.dtype.name)
    return output.dtype.name if output.dtype.kind == "f" else "float64"


def rounding_as_asked(spec: ConvSpec, stored: str, operands: Operands | None = None) -> Rounding:
    """The rounding of an output computed in the type of `spec` and stored once, as `stored`.

    Without `operands`, their magnitudes are taken to be about 1.
    """
    rounding = Rounding(spec.dtype, stored, spec.terms)
    return rounding if operands is None else replace(rounding, operand_reach=operands.reach)


def possible_arithmetics(
    spec: ConvSpec, stored: str, from_backend: bool, operands: Callable[[str], Operands]
) -> Iterator[Arithmetic]:
    """Yields what an output may have been computed in, from the tightest error bound to the widest.

    16-bit arrays are usually summed in float32, and in their own type at worst.  float64 arrays may
    have been cast to float32 first, except by a backend whose output is not float32.
    `operands` returns the case's arrays cast to a type; it is called only for the types yielded.
    """
    dtypes = [spec.dtype]
    if spec.dtype == "float64" and (not from_backend or stored == "float32"):
        dtypes.append("float32")
    for dtype in dtypes:
        cast_to = operands(dtype)
        # A 16-bit result held in a wider array was stored in 16 bits all the same.
        is_wider = is_narrow(dtype) and significand_bits(stored) > significand_bits(dtype)
        for compute_dtype in ("float32", dtype) if is_narrow(dtype) else (dtype,):
            yield Arithmetic(
                cast_to,
                Rounding(
                    compute_dtype,
                    dtype if is_wider else stored,
                    spec.terms,
                    cast_to.reach,
                    bias_size=cast_to.bias_size,
                ),
            )
