"""Tables of all geometries with a number of edits, and of where their windows lie.

A problem has thousands of geometries a few edits away from the asked one, and the first sample
points dismiss nearly all of them.  They are therefore kept as arrays of numbers: a geometry is one
row of choices, one per axis (see `geometry_axis`), and the windows of all geometries are located
with a few array operations.  A `GeometryForm`, with its edits, is made only for a geometry that
survives.

What is combined is restricted to mistakes that people make: a changed stride, for instance, is the
same on all axes that changed.  In three dimensions, where two or more edits have too many
combinations, the paddings of the axes must be related too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.array_view import open_mesh
from convdiff.diagnose.core.forms import AxisGeometry, GeometryForm
from convdiff.diagnose.search.geometry_axis import AskedAxis, AxisChoices, axis_choices
from convdiff.diagnose.search.windows import ON_PADDING, PaddingTaps, WindowTable, tap_indices
from convdiff.records import Edit
from convdiff.spec.layout import Array
from convdiff.spec.pad_mode import (
    PadMode,
    joined_pad_modes,
    pad_mode_entry,
    pad_modes_of_axes,
)
from convdiff.spec.padding import Pair

# The modes in the order in which they are tried; `GeometryTable.pad_modes` are indices of it.
TRIED_PAD_MODES = ("constant", "reflect", "edge", "wrap", "symmetric")
# By how much modes that differ between the axes are odder than one mode for all.
UNEVEN_MODES_ODDNESS = 0.2
# The most edits of the geometry, the modes' among them, where the axes may have different modes.
MAX_EDITS_WITH_UNEVEN_MODES = 2
# The most that oddness adds to the cost of a geometry: less than one more edit.
MAX_ODDNESS = 0.9


class AskedGeometry(NamedTuple):
    """The geometry that was asked, as the numbers of one operation.

    `transposed` is that of the operation whose geometry is sought, which may be another one than
    was asked.  `pad_value` has what constant padding holds, for each input channel, where it is not
    zeros.
    """

    transposed: bool
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[Pair, ...]
    output_padding: tuple[int, ...]
    pad_mode: PadMode
    pad_value: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class GeometryTable:
    """Geometries as rows of numbers.

    Geometry g takes choice choices[g, a] of axes[a] along spatial axis a, where its padding is
    filled by TRIED_PAD_MODES[pad_modes[g, a]], and costs costs[g].  `choices` and `pad_modes` are
    (geometries, axes), `costs` is (geometries,).
    """

    asked: AskedGeometry
    axes: tuple[AxisChoices, ...]
    choices: Array
    pad_modes: Array
    costs: Array

    def __len__(self) -> int:
        return len(self.pad_modes)

    def select(self, which: slice | Array) -> GeometryTable:
        """A table of some of the geometries."""
        return replace(
            self,
            choices=self.choices[which],
            pad_modes=self.pad_modes[which],
            costs=self.costs[which],
        )

    def chunks(self, size: int) -> list[GeometryTable]:
        """The geometries in tables of at most `size`."""
        if len(self) <= size:
            return [self]
        return [self.select(slice(start, start + size)) for start in range(0, len(self), size)]

    def windows_at(
        self,
        positions: Sequence[tuple[int, ...]],
        kernel_size: tuple[int, ...],
        input_size: tuple[int, ...],
    ) -> WindowTable:
        """The windows of all geometries at some output positions.

        The table is (positions, geometries, *taps).
        """
        rank = len(kernel_size)
        position = np.array(positions)[:, :, None, None]
        read = []
        for axis in range(rank):
            indices = self._axis_windows(
                axis, position[:, axis], kernel_size[axis], input_size[axis]
            )
            taps = (kernel_size[axis] if a == axis else 1 for a in range(rank))
            read.append(indices.reshape(len(positions), len(self), *taps))
        return _window_table(read, self.asked.pad_value)

    def windows_by_row(
        self,
        numbers: Array,
        positions: Array,
        kernel_size: tuple[int, ...],
        input_size: tuple[int, ...],
    ) -> WindowTable:
        """The window of geometry numbers[r] at output position positions[r], for each row r.

        `numbers` is (rows,), `positions` (rows, axes); the table is (rows, *taps).
        """
        rank = len(kernel_size)
        pad_modes = self.pad_modes[numbers]
        read = []
        for axis in range(rank):
            correlation = self.axes[axis].correlation[:, self.choices[numbers, axis]]
            indices = np.empty((len(numbers), kernel_size[axis]), int)
            for mode in dict.fromkeys(pad_modes[:, axis].tolist()):
                rows = pad_modes[:, axis] == mode
                indices[rows] = tap_indices(
                    correlation[:, rows],
                    positions[rows, axis, None],
                    kernel_size[axis],
                    input_size[axis],
                    TRIED_PAD_MODES[mode],
                )
            taps = (kernel_size[axis] if a == axis else 1 for a in range(rank))
            read.append(indices.reshape(len(numbers), *taps))
        return _window_table(read, self.asked.pad_value)

    def form(self, number: int) -> GeometryForm:
        """One geometry as a form, with its edits."""
        axes = tuple(
            axis.axis_geometry(choice)
            for axis, choice in zip(self.axes, self.choices[number].tolist(), strict=True)
        )
        modes = tuple(TRIED_PAD_MODES[mode] for mode in self.pad_modes[number].tolist())
        return geometry_form(axes, self.asked, modes)

    def _axis_windows(self, axis: int, position: Array, taps: int, input_size: int) -> Array:
        """(positions, geometries, taps): the input indices along one axis, below 0 for zeros.

        `position` is (positions, 1, 1).
        """
        correlation = self.axes[axis].correlation
        if len(self) < correlation.shape[1]:
            # Fewer geometries than choices: work out theirs only.
            correlation = correlation[:, self.choices[:, axis]]
            column = np.arange(len(self))
        else:
            column = self.choices[:, axis]
        pad_modes = self.pad_modes[:, axis]
        modes = [*dict.fromkeys(pad_modes.tolist())]
        for mode in modes:
            by_choice = tap_indices(correlation, position, taps, input_size, TRIED_PAD_MODES[mode])
            if mode == modes[0]:
                indices = by_choice[:, column]
            else:
                in_mode = pad_modes == mode
                indices[:, in_mode] = by_choice[:, column[in_mode]]
        return indices


def _window_table(read: list[Array], pad_value: tuple[float, ...] | None) -> WindowTable:
    """The table for the indices that the taps read along each axis, below 0 for zeros.

    The arrays broadcast together.
    """
    inside = read[0] >= 0
    for indices in read[1:]:
        inside = inside & (indices >= 0)
    padding = None
    if pad_value is not None:
        where = np.logical_or.reduce(np.broadcast_arrays(*(each == ON_PADDING for each in read)))
        padding = PaddingTaps(where, np.array(pad_value))
    return WindowTable(tuple(np.maximum(indices, 0) for indices in read), inside, padding)


def geometry_form(
    axes: tuple[AxisGeometry, ...], asked: AskedGeometry, pad_modes: tuple[str, ...]
) -> GeometryForm:
    """The form of a geometry, with the edits that lead to it from what was asked."""
    edits: list[Edit] = []
    strides = tuple(axis.stated[0] for axis in axes)
    dilations = tuple(axis.dilation for axis in axes)
    paddings = tuple(axis.stated[1:3] for axis in axes)
    output_paddings = tuple(axis.stated[3] for axis in axes)
    if strides != asked.stride:
        edits.append(
            {"code": "wrong-stride", "asked": list(asked.stride), "obtained": list(strides)}
        )
    if dilations != asked.dilation:
        edits.append(
            {"code": "wrong-dilation", "asked": list(asked.dilation), "obtained": list(dilations)}
        )
    if paddings != asked.padding:
        edits.append(
            {
                "code": "wrong-padding",
                "asked": [list(pair) for pair in asked.padding],
                "obtained": [list(pair) for pair in paddings],
            }
        )
    if output_paddings != asked.output_padding and asked.transposed:
        edits.append(
            {
                "code": "wrong-output-padding",
                "asked": list(asked.output_padding),
                "obtained": list(output_paddings),
            }
        )
    pad_mode = joined_pad_modes(pad_modes)
    if pad_mode != asked.pad_mode and not asked.transposed:
        edits.append(
            {
                "code": "wrong-pad-mode",
                "asked": pad_mode_entry(asked.pad_mode),
                "obtained": pad_mode_entry(pad_mode),
            }
        )
    return GeometryForm(tuple(edits), float(len(edits)), axes, pad_mode, asked.pad_value or 0)


@lru_cache(maxsize=512)
def enumerate_geometries(
    asked: AskedGeometry,
    input_size: tuple[int, ...],
    kernel_size: tuple[int, ...],
    output_size: tuple[int, ...],
    input_dilation: tuple[int, ...],
    edits: int,
) -> GeometryTable:
    """Every geometry that is exactly `edits` edits away from the asked one and fits the sizes.

    It gives outputs of `output_size` from inputs and kernels of these sizes, all (axes,).
    """
    axes = tuple(
        axis_choices(
            AskedAxis(
                input_size[i],
                kernel_size[i],
                output_size[i],
                asked.stride[i],
                asked.dilation[i],
                asked.padding[i],
                asked.output_padding[i],
                input_dilation[i],
                asked.transposed,
                tuple(sorted({side for pair in asked.padding for side in pair})),
            )
        )
        for i in range(len(input_size))
    )
    kinds = (
        ("padding", "output_padding", "stride", "dilation")
        if asked.transposed
        else ("padding", "stride", "dilation", "pad_mode")
    )
    parts = [
        part
        for changed in itertools.combinations(kinds, edits)
        for part in _geometries_changing(frozenset(changed), asked, axes)
    ]
    if not parts:
        empty = np.zeros(0, int)
        none = empty.reshape(0, len(axes))
        return GeometryTable(asked, axes, none, none, empty.astype(float))
    choices, pad_modes, oddness = (np.concatenate(column) for column in zip(*parts, strict=True))
    return GeometryTable(asked, axes, choices, pad_modes, edits + np.minimum(oddness, MAX_ODDNESS))


def _geometries_changing(
    changed: frozenset[str], asked: AskedGeometry, axes: tuple[AxisChoices, ...]
) -> Iterator[tuple[Array, Array, Array]]:
    """Yields the geometries that change every kind of edit in `changed`, and nothing else.

    They come as (choices, pad modes, oddness): (n, axes), (n, axes) and (n,).
    """
    allowed = [axis.changing(changed) for axis in axes]
    if not all(map(len, allowed)):
        return
    choices = np.concatenate(
        [
            np.stack(np.broadcast_arrays(*open_mesh(numbers)), axis=-1).reshape(-1, len(axes))
            for numbers in _combined_choices(allowed, axes, changed)
        ]
    )
    choices, oddness = _with_usual_steps(choices, changed, asked, axes)
    paddings = _PaddingColumns.of(axes, choices)
    keep = np.ones(len(choices), bool)
    if "padding" in changed:
        keep &= paddings.differs.any(axis=0)
        oddness = oddness + paddings.oddness(axes, choices)
    if "output_padding" in changed:
        keep &= np.any(
            [axis.output_padding_differs[choices[:, a]] for a, axis in enumerate(axes)], axis=0
        )
    if len(axes) > 2 and len(changed) > 1:
        # Too many to try them all.
        keep &= paddings.related()
    rank, usual = len(axes), "constant" if asked.transposed else asked.pad_mode
    asked_modes = pad_modes_of_axes(usual, rank)
    pad_modes = [asked_modes]
    if "pad_mode" in changed or usual != "constant":
        # Negative padding crops, and it is not defined whether that happens before the border is
        # filled or after.
        keep &= ~((paddings.amounts < 0).any(axis=(0, 2)) & paddings.differs.any(axis=0))
    if "pad_mode" in changed:
        keep &= (paddings.amounts > 0).any(axis=(0, 2))
        pad_modes = [(mode,) * rank for mode in TRIED_PAD_MODES if mode != asked.pad_mode]
        oddness = oddness + 0.05
    if not keep.any():
        return
    choices, oddness = choices[keep], oddness[keep]
    yield from (_in_modes(choices, modes, oddness) for modes in pad_modes)
    if "pad_mode" in changed and len(changed) <= MAX_EDITS_WITH_UNEVEN_MODES:
        # Along an axis without padding the mode makes no difference.
        everywhere = (paddings.amounts[:, keep] > 0).any(axis=2).all(axis=0)
        choices, oddness = choices[everywhere], oddness[everywhere] + UNEVEN_MODES_ODDNESS
        yield from (_in_modes(choices, modes, oddness) for modes in _uneven_modes(asked_modes))


def _in_modes(choices: Array, modes: tuple[str, ...], oddness: Array) -> tuple[Array, Array, Array]:
    """Geometries with one pad mode for each axis, as `_geometries_changing` yields them."""
    numbers = [TRIED_PAD_MODES.index(mode) for mode in modes]
    return choices, np.tile(numbers, (len(choices), 1)), oddness


def _uneven_modes(asked: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Modes that differ between the axes, and from those that were asked, one for each axis.

    Two modes, such as wrap along W and zeros along H, where one axis has its own.  Where unequal
    ones were asked, also those with another mode along one axis, and those in another order.
    """
    rank = len(asked)
    uneven = [
        tuple(own if axis == at else others for axis in range(rank))
        for others, own in itertools.permutations(TRIED_PAD_MODES, 2)
        for at in range(rank)
    ]
    if len(set(asked)) > 1:
        uneven += itertools.permutations(asked)
        uneven += (
            (*asked[:at], mode, *asked[at + 1 :]) for at in range(rank) for mode in TRIED_PAD_MODES
        )
    return [modes for modes in dict.fromkeys(uneven) if len(set(modes)) > 1 and modes != asked]


class _PaddingColumns(NamedTuple):
    """The paddings of some geometries.

    `amounts` is (axes, geometries, 2), lo and hi; `differs` (axes, geometries) says whether they
    are other than asked; `equal` (pairs of axes, geometries) whether two axes have the same padding
    and output padding; `one_convention` (geometries,) whether one convention gives the paddings of
    all axes.
    """

    amounts: Array
    differs: Array
    equal: Array
    one_convention: Array

    @classmethod
    def of(cls, axes: tuple[AxisChoices, ...], choices: Array) -> _PaddingColumns:
        """The paddings of geometries with these choices, (geometries, axes)."""
        amounts = np.stack(
            [
                np.stack((axis.lo, axis.hi, axis.output_padding), axis=-1)[choices[:, a]]
                for a, axis in enumerate(axes)
            ]
        )
        equal = [
            (amounts[a] == amounts[b]).all(axis=1)
            for a, b in itertools.combinations(range(len(axes)), 2)
        ]
        shared = np.bitwise_and.reduce(
            [axis.conventions[choices[:, a]] for a, axis in enumerate(axes)]
        )
        return cls(
            amounts[:, :, :2],
            np.stack([axis.padding_differs[choices[:, a]] for a, axis in enumerate(axes)]),
            np.array(equal, bool).reshape(len(equal), len(choices)),
            shared != 0,
        )

    def related(self) -> Array:
        """(geometries,): whether the paddings of the axes are related.

        Two axes have the same, one convention gives all, or one axis at most differs from what was
        asked.
        """
        return np.asarray(
            self.equal.any(axis=0) | self.one_convention | (self.differs.sum(axis=0) <= 1)
        )

    def oddness(self, axes: tuple[AxisChoices, ...], choices: Array) -> Array:
        """(geometries,): that of the oddest axis, and a little more if the axes are unrelated."""
        oddest: Array = np.max([axis.oddness[choices[:, a]] for a, axis in enumerate(axes)], axis=0)
        uneven = ~(self.equal.all(axis=0) | self.one_convention)
        return np.asarray(np.where(self.differs.any(axis=0), oddest + 0.05 * uneven, 0.0))


def _combined_choices(
    allowed: list[Array], axes: tuple[AxisChoices, ...], changed: frozenset[str]
) -> Iterator[list[Array]]:
    """Yields lists with one array of choices per axis, whose combinations are to be tried.

    `allowed` has the choices of each axis.  Small strides and dilations are combined with each
    other.  A wide one is taken on all axes where it fits, beside small ones on the others.
    """
    if not changed & {"stride", "dilation"}:
        yield allowed
        return
    small = [numbers[~axis.is_wide[numbers]] for numbers, axis in zip(allowed, axes, strict=True)]
    yield small
    steps = [
        np.stack([axis.stride[numbers], axis.dilation[numbers]])
        for numbers, axis in zip(allowed, axes, strict=True)
    ]
    wide_steps = {
        step
        for numbers, axis in zip(allowed, axes, strict=True)
        for step in axis.wide_steps(numbers)
    }
    for step in sorted(wide_steps):
        with_step = [
            numbers[(axis_steps == np.array(step)[:, None]).all(axis=0)]
            for numbers, axis_steps in zip(allowed, steps, strict=True)
        ]
        yield [wide if wide.size else others for wide, others in zip(with_step, small, strict=True)]


def _with_usual_steps(
    choices: Array, changed: frozenset[str], asked: AskedGeometry, axes: tuple[AxisChoices, ...]
) -> tuple[Array, Array]:
    """The choices whose changed strides and dilations are usual, and their oddness so far.

    `choices` is (geometries, axes).
    """
    oddness = np.zeros(len(choices))
    for kind, asked_values in (("stride", asked.stride), ("dilation", asked.dilation)):
        if kind not in changed:
            continue
        values = np.stack(
            [getattr(axis, kind)[choices[:, a]] for a, axis in enumerate(axes)], axis=-1
        )
        usual = _usual_changes(values, np.array(asked_values))
        choices, oddness, values = choices[usual], oddness[usual], values[usual]
        oddness = oddness + np.where((values == values[:, :1]).all(axis=1), 0.05, 0.15)
    return choices, oddness


def _usual_changes(values: Array, asked: Array) -> Array:
    """(rows,): which rows of strides, or dilations, are a change that people make by mistake.

    `values` is (rows, axes), `asked` (axes,).  A usual change has one number on all axes, one
    number on all axes that changed, or the asked numbers in another order.
    """
    changed = values != asked
    largest = np.where(changed, values, 0).max(axis=1)
    smallest = np.where(changed, values, np.iinfo(int).max).min(axis=1)
    exchanged = (np.sort(values, axis=1) == np.sort(asked)).all(axis=1)
    uniform = (values == values[:, :1]).all(axis=1)
    return np.asarray(changed.any(axis=1) & (uniform | (largest == smallest) | exchanged))
