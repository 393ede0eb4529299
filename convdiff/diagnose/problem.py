"""What the diagnosis works on: the asked convolution, the arrays, the output obtained, and its rounding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convdiff.compare import Rounding
from convdiff.layout import Array
from convdiff.normal import normal_input, normal_kernel
from convdiff.spec import ConvSpec


@dataclass(frozen=True)
class Problem:
    """Arrays in the layouts of `spec`; `obtained` in its output layout, of any shape.

    `rounding` says what computing and storing may have cost; `rounded` names the type the operands were rounded to
    before (a key of `convdiff.precision.ROUNDINGS`), or is None.
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
    def channel_bias(self) -> Array:
        """One value per output channel, float64; zeros where none was asked."""
        if self.bias is None:
            return np.zeros(self.spec.out_channels)
        return np.asarray(self.bias, np.float64).reshape(-1)

    @cached_property
    def operand_reach(self) -> float:
        """1 + the largest magnitudes of input and kernel."""
        return self.rounding.reach
