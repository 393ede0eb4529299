"""What the diagnosis works on: the asked convolution, the arrays, the output obtained, and its
rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convdiff.diagnose.core.activations import likely
from convdiff.diagnose.core.array_view import MAX_COPIED_ELEMENTS, ArrayView
from convdiff.diagnose.core.layouts import mistaken_reshapes, to_layout
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.precision import cast, width
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

    @cached_property
    def x(self) -> Array:
        """The input, (N, C, *space)."""
        return normal_input(self.spec, self.input)

    @cached_property
    def w(self) -> Array:
        """The kernel in normal form, (O, I per group, *space)."""
        return normal_kernel(self.spec, self.kernel)

    @cached_property
    def input_view(self) -> ArrayView:
        """The input as the user has it."""
        return _placed(self.input)

    @cached_property
    def kernel_view(self) -> ArrayView:
        """The kernel as the user has it."""
        return _placed(self.kernel)

    @cached_property
    def x_view(self) -> ArrayView:
        """The input, (N, C, *space)."""
        return to_layout(self.input_view, self.spec.input_layout, "NC" + self.spec.axes)

    @cached_property
    def obtained_view(self) -> ArrayView:
        """The obtained output as the user has it."""
        return _placed(self.obtained)

    @cached_property
    def reshaped_inputs(self) -> list[tuple[str, str, ArrayView]]:
        """The input under every common mistaken reshape: buffer's order, order read, and what is
        read, (N, C, *space).
        """
        return list(
            mistaken_reshapes(self.input_view, self.spec.input_layout, "NC" + self.spec.axes)
        )

    @cached_property
    def reshaped_outputs(self) -> list[tuple[str, str, ArrayView]]:
        """The obtained output likewise."""
        return list(
            mistaken_reshapes(self.obtained_view, self.spec.output_layout, "NC" + self.spec.axes)
        )

    @cached_property
    def obtained_range(self) -> tuple[float, float]:
        """The least and the largest obtained value."""
        return float(np.min(self.obtained)), float(np.max(self.obtained))

    @cached_property
    def likely_activations(self) -> list[str]:
        """The activations that the look of the obtained values speaks for."""
        return list(likely(self.obtained, *self.obtained_range))

    @cached_property
    def obtained_integral(self) -> bool:
        """Whether all obtained values are whole numbers."""
        sample = self.obtained.reshape(-1)[:: max(1, self.obtained.size // 4096)]
        return bool(np.isfinite(sample).all() and (sample == np.rint(sample)).all())

    @cached_property
    def evidence_bits(self) -> float:
        """About how many bits of evidence the obtained values hold: those of its type for each
        number, few for small whole numbers.
        """
        low, high = self.obtained_range
        if not low < high:
            # One number, however often.
            return float(np.log2(abs(low) + 1) + 1) if self.obtained_integral else self._bits_each
        each = np.log2(high - low + 1) if self.obtained_integral else self._bits_each
        return float(each * self.obtained.size)

    @property
    def _bits_each(self) -> float:
        """The significand bits that each obtained number uses."""
        sample = self.obtained.reshape(-1)[:: max(1, self.obtained.size // 4096)]
        narrow = ((width(stored), cast(sample, stored)) for stored in ("bfloat16", "float16"))
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
    return ArrayView.of(array.astype(np.float64) if array.size <= MAX_COPIED_ELEMENTS else array)
