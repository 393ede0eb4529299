"""Fresh calls that the settings found must reproduce: random integers, also in other sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from convdiff.probe.function_caller import FunctionCaller
from convdiff.probe.probe_arrays import random_integers
from convdiff.probe.zero_padded_caller import ZeroPaddedCaller
from convdiff.spec.layout import SPATIAL, Array, axis_sizes

# What a trial has that the calls before it had not: other data only, another input size, or another
# kernel size.
TrialKind = Literal["data", "sizes", "kernel"]
SEED = 20_240_917


@dataclass(frozen=True)
class Trial:
    """A call that was answered, with random arrays."""

    kind: TrialKind
    input: Array
    kernel: Array
    bias: Array | None
    output: Array
    stored: str
    deterministic: bool


@dataclass(frozen=True)
class TrialShapes:
    """The sizes of a trial by axis letter, and the layouts of its arrays.

    `bias_size` is None for a function that is given no bias.
    """

    input_layout: str
    kernel_layout: str
    input_sizes: dict[str, int]
    kernel_sizes: dict[str, int]
    bias_size: int | None

    @staticmethod
    def of(
        input_layout: str,
        kernel_layout: str,
        input_shape: tuple[int, ...],
        kernel_shape: tuple[int, ...],
        bias: Array | None,
    ) -> TrialShapes:
        """The sizes of arrays of these layouts and shapes."""
        return TrialShapes(
            input_layout,
            kernel_layout,
            axis_sizes(input_layout, input_shape),
            axis_sizes(kernel_layout, kernel_shape),
            None if bias is None else len(bias),
        )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of the input in its layout."""
        return tuple(self.input_sizes[letter] for letter in self.input_layout)

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """The shape of the kernel in its layout."""
        return tuple(self.kernel_sizes[letter] for letter in self.kernel_layout)

    def enlarged(self, *, batch: int, space: int, kernel: int) -> TrialShapes:
        """These with that much more batch, input space and kernel space along every axis."""
        more = {"N": batch, **dict.fromkeys(SPATIAL, space)}
        return TrialShapes(
            self.input_layout,
            self.kernel_layout,
            {letter: size + more.get(letter, 0) for letter, size in self.input_sizes.items()},
            {
                letter: size + (kernel if letter in SPATIAL else 0)
                for letter, size in self.kernel_sizes.items()
            },
            self.bias_size,
        )

    def with_twice_the_groups(self) -> TrialShapes:
        """These with twice as many groups, each with as many channels as before."""
        return TrialShapes(
            self.input_layout,
            self.kernel_layout,
            {
                letter: size * (2 if letter == "C" else 1)
                for letter, size in self.input_sizes.items()
            },
            {
                letter: size * (2 if letter == "O" else 1)
                for letter, size in self.kernel_sizes.items()
            },
            None if self.bias_size is None else 2 * self.bias_size,
        )


class TrialRunner:
    """Runs trials, each with random data of its own; the seed is fixed."""

    def __init__(self, caller: FunctionCaller | ZeroPaddedCaller) -> None:
        self._caller = caller
        self._random = np.random.default_rng(SEED)

    def integers(self, kind: TrialKind, shapes: TrialShapes, *, repeat: int = 1) -> Trial | None:
        """A trial with integers up to 4 (kernel 3, bias 5); None where the function refuses it."""
        x, w = (
            random_integers(shape, self._random, largest)
            for shape, largest in ((shapes.input_shape, 4), (shapes.kernel_shape, 3))
        )
        size = shapes.bias_size
        bias = None if size is None else random_integers((size,), self._random, 5)
        return self._trial(kind, x, w, bias, repeat)

    def fractions(self, shapes: TrialShapes, scale: float) -> Trial | None:
        """A trial with normally distributed values; None where the function refuses it."""
        x, w = (self._normal(shape, scale) for shape in (shapes.input_shape, shapes.kernel_shape))
        bias = None if shapes.bias_size is None else self._normal((shapes.bias_size,), scale)
        return self._trial("data", x, w, bias, 1)

    def all(self, shapes: TrialShapes, stride: int) -> list[Trial]:
        """The trials that the function answers, in these and in other sizes.

        Two in these sizes, then with as many larger inputs as the stride needs to tell paddings
        apart, then with larger kernels.
        """
        plans: list[tuple[TrialKind, TrialShapes, int]] = [("data", shapes, 2), ("data", shapes, 1)]
        plans += [
            ("sizes", shapes.enlarged(batch=1, space=space, kernel=0), 1)
            for space in range(1, max(2, stride) + 1)
        ]
        plans += [
            ("kernel", shapes.enlarged(batch=0, space=3, kernel=1), 1),
            ("kernel", shapes.enlarged(batch=1, space=4, kernel=2), 1),
        ]
        trials = [self.integers(kind, other, repeat=repeat) for kind, other, repeat in plans]
        return [trial for trial in trials if trial is not None]

    def _trial(
        self, kind: TrialKind, x: Array, w: Array, bias: Array | None, repeat: int
    ) -> Trial | None:
        reply = self._caller.call(x, w, bias, repeat=repeat)
        if reply.output is None:
            return None
        return Trial(kind, x, w, bias, reply.output, reply.stored, reply.deterministic)

    def _normal(self, shape: tuple[int, ...], scale: float) -> Array:
        values = scale * self._random.standard_normal(shape)
        # Rounded to the type computed in, so that the function is called with these very values.
        return values.astype(self._caller.dtype).astype(np.float64)
