"""The calls with one-hot kernels that a shape guess needs, read as axis roles and geometry."""

from __future__ import annotations

from collections import Counter

import numpy as np

from convdiff.probe.axis_geometry import MeasuredAxis, measured_axis
from convdiff.probe.axis_roles import AxisRoles, axis_roles
from convdiff.probe.errors import NotUnderstood
from convdiff.probe.function_caller import FunctionCaller
from convdiff.probe.probe_arrays import one_hot, place_values
from convdiff.probe.read_map import MAX_ROUNDING, ReadMap, decode
from convdiff.probe.shape_guesses import ShapeGuess
from convdiff.probe.zero_padded_caller import ZeroPaddedCaller
from convdiff.spec.layout import Array

Position = tuple[int, ...]


class OneHotCalls:
    """The function called with one-hot kernels in the shapes of one guess.

    `zero_output` is what it gives for arrays of zeros and is subtracted from every output. `factor`
    is the output for an input of 1 under a kernel of 1; the constructor makes the calls that
    measure it.
    """

    def __init__(
        self,
        caller: FunctionCaller | ZeroPaddedCaller,
        guess: ShapeGuess,
        bias: Array | None,
        zero_output: Array,
    ) -> None:
        self._caller, self._guess, self._bias = caller, guess, bias
        self._zero_output = zero_output
        self._origin: Position = (0,) * len(guess.kernel_shape)
        self._read_maps: dict[Position, ReadMap] = {}
        self.factor = self._measured_factor()
        self._exact = self._keeps_place_values()

    def read(self) -> tuple[AxisRoles, tuple[MeasuredAxis, ...]]:
        """The roles of all axes, and the geometry of the spatial ones.

        Raises NotUnderstood where the outputs are not those of a convolution.
        """
        shape = self._guess.kernel_shape
        origin = self._read_map(self._origin)
        steps = {
            axis: self._read_map(self._from_origin({axis: 1}))
            for axis, length in enumerate(shape)
            if length > 1
        }
        roles = axis_roles(self._guess, origin, steps, self._zero_output.shape)
        last = self._read_map(
            self._from_origin({axis.kernel: shape[axis.kernel] - 1 for axis in roles.space})
        )
        geometries = []
        for axis in roles.space:
            maps = [
                read_map.along(axis.output, axis.input)
                for read_map in (origin, steps.get(axis.kernel, origin), last)
            ]
            if None in maps:
                raise NotUnderstood("elements of the kernel do not move along one axis each")
            first_map, second_map, last_map = (positions or {} for positions in maps)
            geometries.append(
                measured_axis(
                    self._guess.input_shape[axis.input],
                    shape[axis.kernel],
                    self._zero_output.shape[axis.output],
                    first_map,
                    second_map if shape[axis.kernel] > 1 else None,
                    last_map,
                )
            )
        return roles, tuple(geometries)

    def _from_origin(self, moved: dict[int, int]) -> Position:
        return tuple(moved.get(axis, index) for axis, index in enumerate(self._origin))

    def _output(self, input: Array, position: Position) -> Array:
        """The output, less that of zeros, under a kernel with a single 1 at `position`."""
        kernel = one_hot(self._guess.kernel_shape, position)
        reply = self._caller.call(input, kernel, self._bias)
        if reply.output is None:
            raise NotUnderstood(f"with a one-hot kernel it fails: {reply.message}")
        if reply.output.shape != self._zero_output.shape:
            raise NotUnderstood("the shape of its output depends on the arrays' values")
        return np.asarray(reply.output, np.float64) - self._zero_output

    def _measured_factor(self) -> float:
        """The most common nonzero output for an input of ones; an integer if it is near one."""
        ones = np.ones(self._guess.input_shape)
        values = Counter(self._output(ones, self._origin).ravel().tolist())
        factor = next((value for value, _ in values.most_common() if abs(value) > 1e-6), 1.0)
        integer = float(round(factor))
        return integer if integer and abs(factor - integer) < 1e-4 else factor

    def _keeps_place_values(self) -> bool:
        """Whether place values come back exactly, or lose digits in a narrow type.

        Counted from the other end, they must add up to the same sum at every position.
        """
        values = place_values(self._guess.input_shape)
        forward = self._output(values, self._origin)
        backward = self._output(values.size + 1 - values, self._origin)
        both = (forward != 0) & (backward != 0)
        errors = (forward + backward)[both] / self.factor - values.size - 1
        return bool(np.all(np.abs(errors) < MAX_ROUNDING))

    def _read_map(self, position: Position) -> ReadMap:
        """What the kernel element at `position` reads; called for once."""
        if position not in self._read_maps:
            shape = self._guess.input_shape
            read_map = None
            if self._exact:
                output = self._output(place_values(shape), position)
                read_map = decode(position, output, shape, self.factor)
            read_map = read_map or self._read_map_by_axis(position)
            if read_map is None:
                raise NotUnderstood(
                    "under a one-hot kernel its output is not made of single input elements"
                )
            self._read_maps[position] = read_map
        return self._read_maps[position]

    def _read_map_by_axis(self, position: Position) -> ReadMap | None:
        """The read map from one call per input axis, whose small numbers a narrow type keeps."""
        shape = self._guess.input_shape
        per_axis: list[ReadMap] = []
        for axis, length in enumerate(shape):
            column = np.arange(1, length + 1).reshape(
                [-1 if other == axis else 1 for other in range(len(shape))]
            )
            output = self._output(np.broadcast_to(column, shape), position)
            read_map = decode(position, output, (length,), self.factor)
            if read_map is None or (
                per_axis and not np.array_equal(read_map.outputs, per_axis[0].outputs)
            ):
                return None
            per_axis.append(read_map)
        inputs = np.concatenate([read_map.inputs for read_map in per_axis], axis=1)
        return ReadMap(position, per_axis[0].outputs, inputs)
