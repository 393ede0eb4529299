"""Fresh calls that whatever is said of the function must reproduce: random whole numbers, also in
other sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from convdiff.probe.caller import FunctionCaller
from convdiff.probe.probe_arrays import whole
from convdiff.spec.layout import SPATIAL, Array

Kind = Literal["data", "sizes", "kernel"]
Sizes = dict[str, int]
SEED = 20_240_917


@dataclass(frozen=True)
class Trial:
    """A call that was answered.  `kind` says what is new: the data alone, the input's sizes too, or
    the kernel's sizes too.
    """

    kind: Kind
    input: Array
    kernel: Array
    bias: Array | None
    output: Array
    stored: str
    steady: bool


@dataclass(frozen=True)
class Plan:
    """Sizes by letter, and how arrays of them are laid out."""

    input_layout: str
    kernel_layout: str
    input: Sizes
    kernel: Sizes
    out: int | None

    def grown(self, batch: int, space: int, kernel: int) -> Plan:
        """The same with more of each."""
        more = {"N": batch, **dict.fromkeys(SPATIAL, space)}
        x = {letter: size + more.get(letter, 0) for letter, size in self.input.items()}
        w = {
            letter: size + (kernel if letter in SPATIAL else 0)
            for letter, size in self.kernel.items()
        }
        return Plan(self.input_layout, self.kernel_layout, x, w, self.out)

    def doubled(self) -> Plan:
        """Twice the groups: as many channels in each."""
        x = {letter: size * (2 if letter == "C" else 1) for letter, size in self.input.items()}
        w = {letter: size * (2 if letter == "O" else 1) for letter, size in self.kernel.items()}
        return Plan(
            self.input_layout, self.kernel_layout, x, w, None if self.out is None else 2 * self.out
        )


class Trials:
    """Makes them; each plan is asked once, with data of its own."""

    def __init__(self, asker: FunctionCaller) -> None:
        self._asker = asker
        self._random = np.random.default_rng(SEED)

    def ask(self, kind: Kind, plan: Plan, *, scale: float = 1.0, repeat: int = 1) -> Trial | None:
        """One trial, or None where the function refuses.

        Values of `scale` 1 are whole numbers from -4 to 4 (kernel -3 to 3); any other scale is of
        normal numbers.
        """
        shapes = (
            tuple(plan.input[a] for a in plan.input_layout),
            tuple(plan.kernel[a] for a in plan.kernel_layout),
        )
        x, w = (self._data(shape, most, scale) for shape, most in zip(shapes, (4, 3), strict=True))
        b = None if plan.out is None else self._data((plan.out,), 5, scale)
        reply = self._asker.ask(x, w, b, repeat=repeat)
        if reply.output is None:
            return None
        return Trial(kind, x, w, b, reply.output, reply.stored, reply.steady)

    def all(self, plan: Plan, stride: int) -> list[Trial]:
        """Two in the plan's own sizes, then as many other inputs as a stride can tell apart, then
        other kernels.
        """
        asked: list[tuple[Kind, Plan]] = [("data", plan), ("data", plan)]
        asked += [("sizes", plan.grown(1, more, 0)) for more in range(1, max(2, stride) + 1)]
        asked += [("kernel", plan.grown(0, 3, 1)), ("kernel", plan.grown(1, 4, 2))]
        made = [
            self.ask(kind, one, repeat=2 if at == 0 else 1) for at, (kind, one) in enumerate(asked)
        ]
        return [trial for trial in made if trial is not None]

    def _data(self, shape: tuple[int, ...], most: int, scale: float) -> Array:
        if scale == 1.0:
            return whole(shape, self._random, most)
        # As the type that is computed in has them, so that nothing is lost on the way.
        return (
            (scale * self._random.standard_normal(shape))
            .astype(self._asker.dtype)
            .astype(np.float64)
        )
