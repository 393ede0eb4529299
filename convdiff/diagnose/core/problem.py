"""What the diagnosis works on: the asked convolution, the arrays, the output obtained, and its
rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convdiff.diagnose.core.activations import likely
from convdiff.diagnose.core.array_view import SMALL, ArrayView
from convdiff.diagnose.core.layouts import placed_in_order, reshapes
from convdiff.diagnose.core.precision_evidence import suggested_models
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.precision import cast, significand_bits
from convdiff.spec.canonical import normal_input, normal_kernel
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array


@dataclass(frozen=True)
class Problem:
    """Arrays in the layouts of `spec`; `obtained` in its output layout, of any shape.

    `rounding` says what computing and storing may have cost.
    """

    spec: ConvSpec
    input: Array
    kernel: Array
    bias: Array | None
    obtained: Array
    rounding: Rounding

    @property
    def operands(self) -> tuple[Array, ...]:
        """Input, kernel and, if there is one, bias, in the layouts of `spec`."""
        arrays = (self.input, self.kernel, self.bias)
        return tuple(array for array in arrays if array is not None)

    @cached_property
    def suggested_models(self) -> tuple[PrecisionModel, ...]:
        """Models of reduced precision that the obtained values suggest, likeliest first."""
        return tuple(suggested_models(self.obtained, self.rounding, self.operands))

    @cached_property
    def x(self) -> Array:
        """The input, (N, C, *space)."""
        return normal_input(self.spec, self.input)

    @cached_property
    def w(self) -> Array:
        """The kernel in normal form, (O, I per group, *space)."""
        return normal_kernel(self.spec, self.kernel)

    @cached_property
    def placed_input(self) -> ArrayView:
        """The input as the user has it."""
        return _placed(self.input)

    @cached_property
    def placed_kernel(self) -> ArrayView:
        """The kernel as the user has it."""
        return _placed(self.kernel)

    @cached_property
    def placed_x(self) -> ArrayView:
        """The input, (N, C, *space)."""
        return placed_in_order(self.placed_input, self.spec.input_layout, "NC" + self.spec.axes)

    @cached_property
    def placed_obtained(self) -> ArrayView:
        """The obtained output as the user has it."""
        return _placed(self.obtained)

    @cached_property
    def reshaped_inputs(self) -> list[tuple[str, str, ArrayView]]:
        """The input under every common mistaken reshape: buffer's order, order read, and what is
        read, (N, C, *space).
        """
        return list(reshapes(self.placed_input, self.spec.input_layout, "NC" + self.spec.axes))

    @cached_property
    def reshaped_outputs(self) -> list[tuple[str, str, ArrayView]]:
        """The obtained output likewise."""
        return list(reshapes(self.placed_obtained, self.spec.output_layout, "NC" + self.spec.axes))

    @cached_property
    def obtained_range(self) -> tuple[float, float]:
        """The least and the largest obtained value."""
        return float(np.min(self.obtained)), float(np.max(self.obtained))

    @cached_property
    def likely_activations(self) -> list[str]:
        """The activations that the look of the obtained values speaks for."""
        return list(likely(self.obtained, *self.obtained_range))

    @cached_property
    def obtained_whole(self) -> bool:
        """Whether all obtained values are whole numbers."""
        sample = self.obtained.reshape(-1)[:: max(1, self.obtained.size // 4096)]
        return bool(np.isfinite(sample).all() and (sample == np.rint(sample)).all())

    @cached_property
    def bits(self) -> float:
        """About how many bits of evidence the obtained values hold: those of its type for each
        number, few for small whole numbers.
        """
        low, high = self.obtained_range
        if not low < high:
            # One number, however often.
            return float(np.log2(abs(low) + 1) + 1) if self.obtained_whole else self._bits_each
        each = np.log2(high - low + 1) if self.obtained_whole else self._bits_each
        return float(each * self.obtained.size)

    @property
    def _bits_each(self) -> float:
        """The significand bits that each obtained number uses."""
        sample = self.obtained.reshape(-1)[:: max(1, self.obtained.size // 4096)]
        narrow = (
            (significand_bits(stored), cast(sample, stored)) for stored in ("bfloat16", "float16")
        )
        return float(
            next(
                (
                    bits
                    for bits, rounded in narrow
                    if np.array_equal(rounded, sample, equal_nan=True)
                ),
                24,
            )
        )

    @cached_property
    def channel_bias(self) -> Array:
        """One value per output channel, float64; zeros where none was asked."""
        if self.bias is None:
            return np.zeros(self.spec.out_channels)
        return np.asarray(self.bias, np.float64).reshape(-1)


def _placed(array: Array) -> ArrayView:
    """`array`; of a small one a copy in float64, which it would become at every look."""
    return ArrayView.of(array.astype(np.float64) if array.size <= SMALL else array)
