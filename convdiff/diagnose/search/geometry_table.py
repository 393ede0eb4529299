"""All geometries with a number of edits, as tables: a `GeometryForm` is made only for one that
survives.

The choices of each axis (`axes.py`) are combined into rows of numbers; where the windows of all of
them lie at one output position is worked out at once.
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
from convdiff.diagnose.search.windows import WindowTable, tap_indices
from convdiff.records import Edit
from convdiff.spec.layout import Array
from convdiff.spec.padding import Pair

PAD_MODES = ("constant", "reflect", "edge", "wrap", "symmetric")


class AskedGeometry(NamedTuple):
    """The numbers that were wanted, those of the operation whose geometry is sought: `transposed`
    is that operation's.
    """

    transposed: bool
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[Pair, ...]
    output_padding: tuple[int, ...]
    pad_mode: str


@dataclass(frozen=True, eq=False)
class GeometryTable:
    """Geometry g goes along axis a as choice combined[g, a] of axes[a], its padding filled by
    PAD_MODES[modes[g]], and costs costs[g].
    """

    asked: AskedGeometry
    axes: tuple[AxisChoices, ...]
    choices: Array
    pad_modes: Array
    costs: Array

    def __len__(self) -> int:
        return len(self.pad_modes)

    def select(self, which: slice | Array) -> GeometryTable:
        """Some of them."""
        return replace(
            self,
            choices=self.choices[which],
            pad_modes=self.pad_modes[which],
            costs=self.costs[which],
        )

    def chunks(self, size: int) -> list[GeometryTable]:
        """The same in pieces of at most `size`."""
        return (
            [self]
            if len(self) <= size
            else [self.select(slice(start, start + size)) for start in range(0, len(self), size)]
        )

    def windows_at(
        self, places: Sequence[tuple[int, ...]], taps: tuple[int, ...], n: tuple[int, ...]
    ) -> WindowTable:
        """Where each geometry's windows lie at each of these output positions, for inputs of n
        positions.
        """
        count, rank = len(self), len(taps)
        inside: Array | None = None
        indices = []
        used = [*dict.fromkeys(self.pad_modes.tolist())]
        at_places = np.array(places)[:, :, None, None]
        for axis in range(rank):
            numbers = self.axes[axis].run
            if count < numbers.shape[1]:
                numbers, which = numbers[:, self.choices[:, axis]], np.arange(count)
            else:
                which = self.choices[:, axis]
            stride, lo, dilation, input_dilation = numbers
            for mode in used:
                made = tap_indices(
                    stride,
                    lo,
                    dilation,
                    input_dilation,
                    at_places[:, axis],
                    taps[axis],
                    n[axis],
                    PAD_MODES[mode],
                )
                if mode == used[0]:
                    rows = made[:, which]
                else:
                    at = self.pad_modes == mode
                    rows[:, at] = made[:, which[at]]
            rows = rows.reshape(
                len(places), count, *(taps[axis] if a == axis else 1 for a in range(rank))
            )
            inside = rows >= 0 if inside is None else inside & (rows >= 0)
            indices.append(np.maximum(rows, 0))
        assert inside is not None
        return WindowTable(tuple(indices), inside)

    def windows_by_row(
        self, numbers: Array, places: Array, taps: tuple[int, ...], n: tuple[int, ...]
    ) -> WindowTable:
        """Where the window of geometry numbers[r] lies at output position places[r], for each row
        r.
        """
        inside = np.ones((len(numbers), *taps), bool)
        indices = []
        modes = self.pad_modes[numbers]
        for axis in range(len(taps)):
            stride, lo, dilation, input_dilation = self.axes[axis].run[
                :, self.choices[numbers, axis]
            ]
            rows = np.empty((len(numbers), taps[axis]), int)
            for mode in dict.fromkeys(modes.tolist()):
                at = modes == mode
                rows[at] = tap_indices(
                    stride[at],
                    lo[at],
                    dilation[at],
                    input_dilation[at],
                    places[at, axis, None],
                    taps[axis],
                    n[axis],
                    PAD_MODES[mode],
                )
            rows = rows.reshape(
                len(numbers), *(taps[axis] if a == axis else 1 for a in range(len(taps)))
            )
            inside &= rows >= 0
            indices.append(np.maximum(rows, 0))
        return WindowTable(tuple(indices), inside)

    def form(self, number: int) -> GeometryForm:
        """One of them, with its edits."""
        axes = tuple(
            choices.geometry(at)
            for choices, at in zip(self.axes, self.choices[number].tolist(), strict=True)
        )
        return described(axes, self.asked, PAD_MODES[self.pad_modes[number]])


def described(axes: tuple[AxisGeometry, ...], asked: AskedGeometry, mode: str) -> GeometryForm:
    """The form with the edits that lead to these axes from what was asked."""
    edits: list[Edit] = []
    strides, dilations = tuple(axis.said[0] for axis in axes), tuple(axis.dilation for axis in axes)
    pads, extras = tuple(axis.said[1:3] for axis in axes), tuple(axis.said[3] for axis in axes)
    if strides != asked.stride:
        edits.append(
            {"code": "wrong-stride", "asked": list(asked.stride), "obtained": list(strides)}
        )
    if dilations != asked.dilation:
        edits.append(
            {"code": "wrong-dilation", "asked": list(asked.dilation), "obtained": list(dilations)}
        )
    if pads != asked.padding:
        edits.append(
            {
                "code": "wrong-padding",
                "asked": [list(p) for p in asked.padding],
                "obtained": [list(p) for p in pads],
            }
        )
    if extras != asked.output_padding and asked.transposed:
        edits.append(
            {
                "code": "wrong-output-padding",
                "asked": list(asked.output_padding),
                "obtained": list(extras),
            }
        )
    if mode != asked.pad_mode and not asked.transposed:
        edits.append({"code": "wrong-pad-mode", "asked": asked.pad_mode, "obtained": mode})
    return GeometryForm(tuple(edits), float(len(edits)), axes, mode)


@lru_cache(maxsize=512)
def enumerate_geometries(
    asked: AskedGeometry,
    n: tuple[int, ...],
    k: tuple[int, ...],
    m: tuple[int, ...],
    input_dilation: tuple[int, ...],
    edits: int,
) -> GeometryTable:
    """Every geometry with exactly this many edits from what was asked that makes m outputs of n
    inputs and k taps.
    """
    axes = tuple(
        axis_choices(
            AskedAxis(
                n[i],
                k[i],
                m[i],
                asked.stride[i],
                asked.dilation[i],
                asked.padding[i],
                asked.output_padding[i],
                input_dilation[i],
                asked.transposed,
                tuple(sorted({side for pair in asked.padding for side in pair})),
            )
        )
        for i in range(len(n))
    )
    kinds = (
        ("padding", "output_padding", "stride", "dilation")
        if asked.transposed
        else ("padding", "stride", "dilation", "pad_mode")
    )
    parts = [
        part
        for changed in itertools.combinations(kinds, edits)
        for part in _changing(frozenset(changed), asked, axes)
    ]
    if not parts:
        none = np.zeros(0, int)
        return GeometryTable(asked, axes, none.reshape(0, len(axes)), none, none.astype(float))
    combined, filled, odd = (np.concatenate(each) for each in zip(*parts, strict=True))
    return GeometryTable(asked, axes, combined, filled, edits + np.minimum(odd, 0.9))


def _changing(
    changed: frozenset[str], asked: AskedGeometry, axes: tuple[AxisChoices, ...]
) -> Iterator[tuple[Array, Array, Array]]:
    """(choices, mode, oddness) of the geometries that change all of these kinds and nothing else.

    In large spaces only those alike on all axes but one, or with one word for the padding of all
    axes.
    """
    numbers = [axis.changing(changed) for axis in axes]
    if not all(map(len, numbers)):
        return
    combined = np.concatenate(
        [
            np.stack(np.broadcast_arrays(*open_mesh(part)), axis=-1).reshape(-1, len(axes))
            for part in _together(numbers, axes, changed)
        ]
    )
    oddness = np.zeros(len(combined))
    for kind, wanted in (("stride", asked.stride), ("dilation", asked.dilation)):
        if kind in changed:
            values = np.stack(
                [getattr(axis, kind)[combined[:, at]] for at, axis in enumerate(axes)], axis=-1
            )
            usual = _usual(values, np.array(wanted))
            combined, oddness, values = combined[usual], oddness[usual], values[usual]
            oddness = oddness + np.where((values == values[:, :1]).all(axis=1), 0.05, 0.15)
    said = np.stack(
        [
            np.stack((axis.lo, axis.hi, axis.output_padding), axis=-1)[combined[:, at]]
            for at, axis in enumerate(axes)
        ]
    )
    different = np.stack([axis.padded_otherwise[combined[:, at]] for at, axis in enumerate(axes)])
    keep = np.ones(len(combined), bool)
    if "padding" in changed:
        keep &= different.any(axis=0)
    if "output_padding" in changed:
        keep &= np.any(
            [axis.extended_otherwise[combined[:, at]] for at, axis in enumerate(axes)], axis=0
        )
    alike = np.array(
        [
            (said[one] == said[other]).all(axis=1)
            for one, other in itertools.combinations(range(len(axes)), 2)
        ]
    )
    one_word = (
        np.bitwise_and.reduce([axis.words[combined[:, at]] for at, axis in enumerate(axes)]) != 0
    )
    if len(axes) > 2 and len(changed) > 1:
        keep &= alike.any(axis=0) | one_word | (different.sum(axis=0) <= 1)
    if "padding" in changed:
        worst = np.max([axis.oddness[combined[:, at]] for at, axis in enumerate(axes)], axis=0)
        uneven = ~(alike.all(axis=0) | one_word) if len(axes) > 1 else np.zeros(len(combined), bool)
        oddness = oddness + np.where(different.any(axis=0), worst + 0.05 * uneven, 0.0)
    modes = ["constant" if asked.transposed else asked.pad_mode]
    if "pad_mode" in changed or modes != ["constant"]:
        # Whether the border is cropped before it is filled, or after, nobody says: not both.
        keep &= ~((said[:, :, :2] < 0).any(axis=(0, 2)) & different.any(axis=0))
    if "pad_mode" in changed:
        keep &= (said[:, :, :2] > 0).any(axis=(0, 2))
        modes = [mode for mode in PAD_MODES if mode != asked.pad_mode]
        oddness = oddness + 0.05
    if keep.any():
        yield from (
            (combined[keep], np.full(int(keep.sum()), PAD_MODES.index(mode)), oddness[keep])
            for mode in modes
        )


def _together(
    numbers: list[Array], axes: tuple[AxisChoices, ...], changed: frozenset[str]
) -> Iterator[list[Array]]:
    """What is combined: small strides and dilations with each other, a wide one with itself on all
    axes that it fits.
    """
    if not changed & {"stride", "dilation"}:
        yield numbers
        return
    small = [of[~axis.wide[of]] for of, axis in zip(numbers, axes, strict=True)]
    yield small
    pairs = [
        np.stack([axis.stride[of], axis.dilation[of]])
        for of, axis in zip(numbers, axes, strict=True)
    ]
    for pair in sorted(
        {(s, d) for of, axis in zip(numbers, axes, strict=True) for s, d in axis.wide_pairs(of)}
    ):
        same = [
            of[(each == np.array(pair)[:, None]).all(axis=0)]
            for of, each in zip(numbers, pairs, strict=True)
        ]
        yield [of if of.size else others for of, others in zip(same, small, strict=True)]


def _usual(values: Array, asked: Array) -> Array:
    """Which rows of numbers, one for each axis, are others than asked and such as people take.

    One for all axes, one for those that changed, or the asked ones exchanged.
    """
    changed = values != asked
    one = np.where(changed, values, 0).max(axis=1) == np.where(
        changed, values, np.iinfo(int).max
    ).min(axis=1)
    exchanged = (np.sort(values, axis=1) == np.sort(asked)).all(axis=1)
    return np.asarray(
        changed.any(axis=1) & ((values == values[:, :1]).all(axis=1) | one | exchanged)
    )
