"""The taps of one form: asked, decoded, and read as axes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from convdiff.probe.caller import FunctionCaller
from convdiff.probe.gather import NEAR, Gather, decode
from convdiff.probe.geometry import Axis, axis
from convdiff.probe.probe_arrays import places, tap
from convdiff.probe.roles import Roles, Unclear, roles
from convdiff.probe.shapes import ShapeForm
from convdiff.spec.layout import Array


@dataclass
class Taps:
    """What the function does in this form, given what it answers to nothing but zeros: `still`.

    `factor` is what a 1 in the kernel multiplies by; `coarse` that values lose digits on the way.
    """

    asker: FunctionCaller
    form: ShapeForm
    bias: Array | None
    still: Array
    factor: float = 1.0
    coarse: bool = False
    _known: dict[tuple[int, ...], Gather] = field(default_factory=dict)

    def read(self) -> tuple[Roles, tuple[Axis, ...]]:
        """The roles of all axes, and the numbers of the spatial ones.  Raises Unclear where the
        answers are no convolution's.
        """
        shape = self.form.kernel_shape
        first = (0,) * len(shape)
        ones = Counter(self._answer(np.ones(self.form.input_shape), first).ravel().tolist())
        self.factor = next((value for value, _ in ones.most_common() if abs(value) > 1e-6), 1.0)
        if abs(self.factor - round(self.factor)) < 1e-4 and round(self.factor):
            self.factor = float(round(self.factor))
        self.coarse = not self._keeps_digits(first)
        base = self._gather(first)
        steps = {at: self._gather(_at(first, {at: 1})) for at, size in enumerate(shape) if size > 1}
        found = roles(self.form, base, steps, self.still.shape)
        last = self._gather(
            _at(first, {space.kernel: shape[space.kernel] - 1 for space in found.space})
        )
        axes = []
        for space in found.space:
            tables = [
                gather.along(space.output, space.input)
                for gather in (base, steps.get(space.kernel, base), last)
            ]
            if None in tables:
                raise Unclear("elements of the kernel do not move along one axis each")
            k = shape[space.kernel]
            t0, t1, t2 = (table or {} for table in tables)
            axes.append(
                axis(
                    self.form.input_shape[space.input],
                    k,
                    self.still.shape[space.output],
                    t0,
                    t1 if k > 1 else None,
                    t2,
                )
            )
        return found, tuple(axes)

    def _answer(self, input: Array, at: tuple[int, ...]) -> Array:
        reply = self.asker.ask(input, tap(self.form.kernel_shape, at), self.bias)
        if reply.output is None:
            raise Unclear(f"with a kernel of one 1 it fails: {reply.message}")
        if reply.output.shape != self.still.shape:
            raise Unclear("the shape of its output depends on the arrays' values")
        return np.asarray(reply.output, np.float64) - self.still

    def _gather(self, at: tuple[int, ...]) -> Gather:
        if at not in self._known:
            shape = self.form.input_shape
            found = (
                None
                if self.coarse
                else decode(at, self._answer(places(shape), at), shape, self.factor)
            )
            found = found or self._by_axis(at)
            if found is None:
                raise Unclear(
                    "under a kernel of one 1 its output is not made of single elements of the input"
                )
            self._known[at] = found
        return self._known[at]

    def _keeps_digits(self, at: tuple[int, ...]) -> bool:
        """Whether place values arrive whole: counted from the other end they must tell the same
        places.
        """
        marks = places(self.form.input_shape)
        there, back = self._answer(marks, at), self._answer(marks.size + 1 - marks, at)
        both = (there != 0) & (back != 0)
        return bool(np.all(np.abs((there + back)[both] / self.factor - marks.size - 1) < NEAR))

    def _by_axis(self, at: tuple[int, ...]) -> Gather | None:
        """The same from one call an axis, whose small numbers survive types of few digits."""
        shape = self.form.input_shape
        columns: list[Gather] = []
        for along, size in enumerate(shape):
            marked = np.broadcast_to(
                np.arange(1, size + 1).reshape(
                    [-1 if a == along else 1 for a in range(len(shape))]
                ),
                shape,
            )
            column = decode(at, self._answer(marked, at), (size,), self.factor)
            if column is None or (
                columns and not np.array_equal(column.outputs, columns[0].outputs)
            ):
                return None
            columns.append(column)
        return Gather(
            at, columns[0].outputs, np.concatenate([column.inputs for column in columns], axis=1)
        )


def _at(first: tuple[int, ...], moved: dict[int, int]) -> tuple[int, ...]:
    return tuple(moved.get(axis, at) for axis, at in enumerate(first))
