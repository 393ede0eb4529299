"""The problem that a diagnosis solves: what was asked, the arrays, and what was obtained.

Derived arrays and statistics are computed when first needed and kept, since many hypotheses share
them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from convdiff.diagnose.core.activations import Activation, likely_activations
from convdiff.diagnose.core.array_view import MAX_COPIED_ELEMENTS, ArrayView
from convdiff.diagnose.core.integer_storage import NEAREST, integer_edit, largest_error
from convdiff.diagnose.core.layouts import mistaken_reshapes, to_layout
from convdiff.diagnose.core.output_grid import OutputGrid, output_grid
from convdiff.diagnose.core.precision_evidence import natural_decimals, suggested_models
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.precision import cast, significand_bits
from convdiff.numerics.reference import rounded_pad_value
from convdiff.spec.canonical import normal_input, normal_kernel
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array
from convdiff.spec.pad_value import PadValue

# About how many obtained values are sampled to tell what kind of numbers they are.
SAMPLED_VALUES = 4096
# Significand bits that are counted for each obtained value unless all are 16-bit floats: those of
# float32.
FLOAT32_SIGNIFICAND_BITS = 24


@dataclass(frozen=True)
class Problem:
    """The convolution that was asked, its arrays, and the output that was obtained instead.

    `input`, `kernel` and `bias` are in the layouts of `spec`.  `obtained` is in its output layout,
    if it has that many axes; its shape need not be the one that was asked.  `rounding` bounds what
    computing and storing the output may have changed.  `integer_type` is the integer type that the
    output was stored in, if it was; a float array of whole numbers counts as the integer type of
    the input.  `known_grid` is the grid that the output was rounded to, if its values do not tell.
    With `complex_parts` the channels are the real and imaginary parts of complex ones.
    """

    spec: ConvSpec
    input: Array
    kernel: Array
    bias: Array | None
    obtained: Array
    rounding: Rounding
    integer_type: str | None = None
    known_grid: OutputGrid | None = None
    complex_parts: bool = False

    @property
    def operands(self) -> tuple[Array, ...]:
        """Input, kernel and, if there is one, bias, in the layouts of `spec`."""
        arrays = (self.input, self.kernel, self.bias)
        return tuple(array for array in arrays if array is not None)

    @cached_property
    def suggested_models(self) -> tuple[PrecisionModel, ...]:
        """Models of reduced precision that the obtained values suggest, likeliest first."""
        models = list(
            suggested_models(self.obtained, self.rounding, self.operands, self.spec.pad_value)
        )
        if self.output_grid is not None:
            down = replace(self.output_grid, rounded_down=True)
            grids = [
                PrecisionModel(
                    grid.rounding(self.rounding), edits=(grid.edit,), could_hide_fault=True
                )
                for grid in (self.output_grid, down)
            ]
            return (*grids, *models)
        if self.integer_type is None:
            return tuple(models)
        # Whole numbers look as if they had been printed.
        others = tuple(model for model in models if not model.rounding.decimal_error)
        if not self.rounded_to_integers:
            return others
        rounding = replace(self.rounding, decimal_error=largest_error(self.integer_type))
        edits = (integer_edit(self.integer_type, NEAREST),)
        return (PrecisionModel(rounding, None, edits, could_hide_fault=True), *others)

    @cached_property
    def output_grid(self) -> OutputGrid | None:
        """The grid of a few bits that the obtained values lie on, if they do so on purpose."""
        if self.known_grid is not None:
            return self.known_grid
        if self.integer_type is not None or self.obtained.dtype.kind != "f":
            return None
        return output_grid(self.obtained, self.operands)

    @cached_property
    def rounded_to_integers(self) -> bool:
        """Whether the obtained values are whole numbers, although such sums have fractions."""
        natural = natural_decimals(self.operands, self.spec.pad_value)
        return self.obtained_integral and natural > 0

    @cached_property
    def pad_value(self) -> PadValue:
        """What constant padding holds, as an array of the asked type holds it."""
        return rounded_pad_value(self.spec.pad_value, self.spec.dtype)

    @cached_property
    def x(self) -> Array:
        """The input as (N, C, *space)."""
        return normal_input(self.spec, self.input)

    @cached_property
    def w(self) -> Array:
        """The kernel in normal form, (O, I per group, *space)."""
        return normal_kernel(self.spec, self.kernel)

    @cached_property
    def input_view(self) -> ArrayView:
        """A view of the input in the user's layout."""
        return _view(self.input)

    @cached_property
    def kernel_view(self) -> ArrayView:
        """A view of the kernel in the user's layout."""
        return _view(self.kernel)

    @cached_property
    def x_view(self) -> ArrayView:
        """A view of the input as (N, C, *space)."""
        return to_layout(self.input_view, self.spec.input_layout, "NC" + self.spec.axes)

    @cached_property
    def obtained_view(self) -> ArrayView:
        """A view of the obtained output in the user's layout."""
        return _view(self.obtained)

    @cached_property
    def reshaped_inputs(self) -> list[tuple[str, str, ArrayView]]:
        """The input under every common mistaken reshape.

        Each is (layout of the buffer, layout that it was reshaped to, view as (N, C, *space)).
        """
        return list(
            mistaken_reshapes(self.input_view, self.spec.input_layout, "NC" + self.spec.axes)
        )

    @cached_property
    def reshaped_outputs(self) -> list[tuple[str, str, ArrayView]]:
        """The obtained output under every common mistaken reshape, as `reshaped_inputs`."""
        return list(
            mistaken_reshapes(self.obtained_view, self.spec.output_layout, "NC" + self.spec.axes)
        )

    @cached_property
    def obtained_range(self) -> tuple[float, float]:
        """The smallest and the largest obtained value that is not NaN; NaN where all are."""
        # Unlike np.nanmin, this does not warn of an output that is all NaN.
        smallest, largest = (
            extreme.reduce(self.obtained, axis=None) for extreme in (np.fmin, np.fmax)
        )
        return float(smallest), float(largest)

    @cached_property
    def repeated_extremes(self) -> tuple[bool, bool]:
        """Whether the smallest and the largest obtained value occur more than once."""
        low, high = (int((self.obtained == end).sum()) > 1 for end in self.obtained_range)
        return low, high

    @cached_property
    def likely_activations(self) -> list[Activation]:
        """The activations that can give the obtained values: see `core.activations`."""
        return list(likely_activations(self.obtained, *self.obtained_range))

    @cached_property
    def obtained_integral(self) -> bool:
        """Whether the obtained values are whole numbers, judged by a sample."""
        sample = self._obtained_sample
        return bool(np.isfinite(sample).all() and (sample == np.rint(sample)).all())

    @cached_property
    def evidence_bits(self) -> float:
        """About how many bits of evidence the obtained values hold.

        Each value counts the significand bits of its type, or the bits of the range if all are
        whole numbers.  A constant output counts as a single value.
        """
        low, high = self.obtained_range
        if not low < high:
            integer_bits, values = float(np.log2(abs(low) + 1) + 1), 1
        else:
            integer_bits, values = float(np.log2(high - low + 1)), self.obtained.size
        bits = integer_bits if self.obtained_integral else self._significand_bits
        return float(bits * values)

    @property
    def _obtained_sample(self) -> Array:
        """`SAMPLED_VALUES` to twice as many of the obtained values, evenly spaced; all if fewer."""
        return self.obtained.reshape(-1)[:: max(1, self.obtained.size // SAMPLED_VALUES)]

    @property
    def _significand_bits(self) -> float:
        """The significand bits of the narrowest float type that holds the obtained values."""
        sample = self._obtained_sample
        for stored in ("bfloat16", "float16"):
            if np.array_equal(cast(sample, stored), sample, equal_nan=True):
                return float(significand_bits(stored))
        return float(FLOAT32_SIGNIFICAND_BITS)

    @cached_property
    def channel_bias(self) -> Array:
        """The bias of each output channel, (O,) in float64; zeros if none was asked."""
        if self.bias is None:
            return np.zeros(self.spec.out_channels)
        return np.asarray(self.bias, np.float64).reshape(-1)


def in_narrower_type(first: Array, second: Array) -> tuple[Array, Array]:
    """Both arrays in the narrower of their two types, in which copies of numbers are equal.

    The operands of a problem may be in a narrower type than the output that was saved.
    """
    dtype = min(first.dtype, second.dtype, key=lambda each: each.itemsize)
    return first.astype(dtype, copy=False), second.astype(dtype, copy=False)


def _view(array: Array) -> ArrayView:
    """A view of `array`; a small array is converted to float64 once instead of at every lookup."""
    return ArrayView.of(array.astype(np.float64) if array.size <= MAX_COPIED_ELEMENTS else array)
