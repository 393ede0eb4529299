"""The part of an output that was computed, where the rest holds one value, NaN or the input.

A loop over the inner pixels leaves the border of its output as it was allocated.  What it did
compute is an output too: that of the asked convolution with its padding cropped, of fewer batch
items or of fewer output channels.  So the mask is found first, from the values alone, and the
search then runs on a problem of the computed elements, as on any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convdiff.diagnose.core.problem import Problem, in_narrower_type
from convdiff.diagnose.hypotheses.base import Edits
from convdiff.diagnose.hypotheses.output_part import NotComputed
from convdiff.diagnose.hypotheses.registry import by_code
from convdiff.errors import SpecError
from convdiff.records import Edit
from convdiff.spec.canonical import normal_output, user_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array
from convdiff.spec.pad_value import parse_pad_value, values_of_channels
from convdiff.spec.padding import Pair

# The fewest elements that must hold the input, or a number other than zero, to be evidence: one or
# two are equal to it by chance.
MIN_ELEMENTS_OF_INPUT, MIN_ELEMENTS_OF_NUMBER = 2, 3
# The fewest elements that must have been computed.
MIN_COMPUTED = 4
# The most sides of a border that are named one by one.
MAX_NAMED_SIDES = 2
# Strides that may have been taken for the asked one.
OTHER_STRIDES = (1, 2, 3, 4)

# Whether the elements at an index of (N, O, *space) hold what was left in the part not computed.
Holds = Callable[[Any], Array]
# The fields of an edit that say what they hold.
Content = dict[str, str | float]


@dataclass(frozen=True)
class ComputedPart:
    """A problem of the elements that were computed, and the edits that say which were not.

    `cropped` is the width of the border by which the padding of the problem's spec is smaller than
    the asked one; zeros where it is not.
    """

    asked: ConvSpec
    problem: Problem
    edits: Edits
    cropped: tuple[Pair, ...]

    def full_edits(self, edits: Edits) -> Edits | None:
        """The edits of the whole output, given those of the computed part.

        None where they number channels or items of which the part has only some.
        """
        known, codes = by_code(), {edit["code"] for edit in edits}
        hypotheses = [known[code] for code in codes]
        asked, part = self.asked, self.problem.spec
        has_all_channels = part.out_channels == asked.out_channels
        if not has_all_channels and any(each.numbers_output_channels for each in hypotheses):
            return None
        if part.batch < asked.batch and any(each.numbers_items for each in hypotheses):
            return None
        stride: Sequence[int] = next(
            (edit["obtained"] for edit in edits if edit["code"] == "wrong-stride"),
            self.asked.stride,
        )
        transposed = asked.transposed != ("wrong-transposed" in codes)
        steps = [-1] * asked.rank if transposed else stride
        of_part: Sequence[Sequence[int]] = next(
            (edit["obtained"] for edit in edits if edit["code"] == "wrong-padding"), part.padding
        )
        # The padding beside the whole output: each of its elements takes a step of padding.
        obtained = [
            [lo + before * step, hi + after * step]
            for (lo, hi), (before, after), step in zip(of_part, self.cropped, steps, strict=True)
        ]
        padding = [list(pair) for pair in asked.padding]
        others = tuple(edit for edit in edits if edit["code"] != "wrong-padding")
        if obtained == padding:
            return (*others, *self.edits)
        moved: Edit = {"code": "wrong-padding", "asked": padding, "obtained": obtained}
        return (*others, moved, *self.edits)


def computed_parts(problem: Problem) -> Iterator[ComputedPart]:
    """The parts of the output that may be all that was computed; mostly none.

    Cheap where there is none: only the outermost elements are looked at.
    """
    spec = problem.spec
    if problem.obtained.ndim != len(spec.output_layout) or not problem.obtained.size:
        return
    y = normal_output(spec, problem.obtained)
    for content, holds, least in _possible_contents(problem, y):
        if not _outermost_hold(y.shape, holds):
            continue
        written = ~holds(...)
        items, channels = (_written_along(written, axis) for axis in (0, 1))
        widths = [_border(_written_along(written, axis)) for axis in range(2, y.ndim)]
        if not items.any():
            continue
        alone = bool(items.all() and channels.all())
        for border in _likely_borders(widths, alone=alone):
            kept = tuple(
                slice(lo, size - hi) for (lo, hi), size in zip(border, y.shape[2:], strict=True)
            )
            part = y[items][:, channels][(slice(None), slice(None), *kept)]
            if y.size - part.size < least or part.size < MIN_COMPUTED or not _varies(part):
                continue
            edits = tuple(_edits(content, spec, items, channels, border))
            for cropped, part_spec in _part_specs(spec, y.shape, border):
                made = _part_problem(problem, part_spec, part, items, channels)
                if made is not None:
                    yield ComputedPart(spec, made, edits, cropped)


def _possible_contents(problem: Problem, y: Array) -> Iterator[tuple[Content, Holds, int]]:
    """The edit's fields for what the rest holds, and the fewest elements that are evidence."""

    def equal_to(number: float) -> Holds:
        return lambda at: np.asarray(y[at] == number)

    yield {"left": "zero"}, equal_to(0.0), 1
    yield {"left": "nan"}, lambda at: np.isnan(y[at]), 1
    x = problem.x
    same_places = x.shape[0] == y.shape[0] and x.shape[2:] == y.shape[2:]
    if same_places and x.shape[1] in (1, y.shape[1]):
        narrow_y, narrow_x = in_narrower_type(y, x)
        copied = np.broadcast_to(narrow_x, y.shape)
        yield {"left": "input"}, lambda at: narrow_y[at] == copied[at], MIN_ELEMENTS_OF_INPUT
    bias = problem.channel_bias
    if bias.size == y.shape[1] and bias.any():
        narrow_y, narrow_bias = in_narrower_type(y, bias.astype(problem.input.dtype))
        added = np.broadcast_to(narrow_bias.reshape(1, -1, *(1,) * problem.spec.rank), y.shape)
        yield (
            {"left": "zero", "plus": "bias"},
            lambda at: narrow_y[at] == added[at],
            MIN_ELEMENTS_OF_NUMBER,
        )
    numbers = {float(y[(end,) * y.ndim]) for end in (0, -1)}
    for number in sorted(n for n in numbers if math.isfinite(n) and n != 0):
        yield {"left": number}, equal_to(number), MIN_ELEMENTS_OF_NUMBER


def _outermost_hold(shape: tuple[int, ...], holds: Holds) -> bool:
    """Whether a first or last row, say, all holds it, or the corners of an item or a channel."""
    every: tuple[Any, ...] = (slice(None),) * len(shape)
    for axis in range(2, len(shape)):
        for end in (0, -1):
            if holds((*every[:axis], end, *every[axis + 1 :])).all():
                return True
    corners = [holds((*every[:2], *(end,) * (len(shape) - 2))) for end in (0, -1)]
    both = corners[0] & corners[1]
    return bool(both.all(axis=0).any() or both.all(axis=1).any())


def _written_along(written: Array, axis: int) -> Array:
    """For each index along an axis, whether anything there was written."""
    return np.asarray(written.any(axis=tuple(a for a in range(written.ndim) if a != axis)))


def _border(written: Array) -> Pair:
    """How many at either end of an axis were not written."""
    return int(written.argmax()), int(written[::-1].argmax())


def _likely_borders(widths: list[Pair], *, alone: bool) -> Iterator[tuple[Pair, ...]]:
    """No border, unless it is `alone`; the widest that is the same on all sides; the widest.

    A border is found wider than it is where the right value is what was left there, as on a part of
    a picture that is black.
    """
    widest = tuple(widths)
    none = ((0, 0),) * len(widths)
    least = min(min(pair) for pair in widths)
    uniform = ((least, least),) * len(widths)
    candidates = [*([] if alone else [none]), *([uniform] if least else []), widest]
    return iter(dict.fromkeys(candidates))


def _varies(part: Array) -> bool:
    """Whether the elements differ: equal ones are no evidence of a convolution."""
    return bool(np.fmax.reduce(part, axis=None) > np.fmin.reduce(part, axis=None))


def _edits(
    content: Content, spec: ConvSpec, items: Array, channels: Array, border: tuple[Pair, ...]
) -> Iterator[Edit]:
    """An edit for the border, one for the items and one for the channels that were left out."""
    for name, kept in (("item", items), ("channel", channels)):
        missing = np.flatnonzero(~kept).tolist()
        if missing:
            numbers = f"{name}{'s' if len(missing) > 1 else ''} {', '.join(map(str, missing))}"
            yield {"code": NotComputed.code, **content, "where": numbers}
    if any(map(any, border)):
        width = [list(pair) for pair in border]
        edit: Edit = {"code": NotComputed.code, **content, "width": width}
        where = _ends(spec.axes, border)
        yield edit if where is None else {**edit, "where": where}


def _ends(axes: str, border: tuple[Pair, ...]) -> str | None:
    """The border in words if it has one or two sides: "the last row"; None otherwise."""
    sides = [(axis, end) for axis, pair in enumerate(border) for end in (0, 1) if pair[end]]
    if len(sides) > MAX_NAMED_SIDES or all(map(all, border)):
        return None
    names = []
    for axis, end in sides:
        count = border[axis][end]
        name = {"H": "row", "W": "column" if "H" in axes else "position"}.get(axes[axis], "slice")
        number = "" if count == 1 else f" {count}"
        names.append(f"the {('first', 'last')[end]}{number} {name}{'s' if count > 1 else ''}")
    return " and ".join(names)


def _part_specs(
    spec: ConvSpec, shape: tuple[int, ...], border: tuple[Pair, ...]
) -> Iterator[tuple[tuple[Pair, ...], ConvSpec]]:
    """The convolution that gives the part, and by which border its padding is cropped."""
    inner = tuple(size - lo - hi for (lo, hi), size in zip(border, shape[2:], strict=True))
    uncropped = ((0, 0),) * spec.rank
    if inner == spec.output_size:
        # The output has a border around what was asked.
        yield uncropped, spec
    if not any(map(any, border)):
        if inner != spec.output_size:
            yield uncropped, spec
        return
    for steps in dict.fromkeys(_padding_steps(spec, shape[2:])):
        padding = tuple(
            (lo - before * step, hi - after * step)
            for (lo, hi), (before, after), step in zip(spec.padding, border, steps, strict=True)
        )
        try:
            yield border, replace(spec, padding=padding)
        except SpecError:
            continue


def _padding_steps(spec: ConvSpec, size: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """How much padding an output element may take along each axis.

    It is the stride, or -1 where the padding of a transposed convolution crops.  An output of
    another size may have been made with another stride, or by the other kind of convolution.
    """
    cropped = (-1,) * spec.rank
    yield cropped if spec.transposed else spec.stride
    if size == spec.output_size:
        return
    if spec.transposed:
        yield spec.stride
        return
    yield cropped
    strides = [
        next((s for s in OTHER_STRIDES if _output_size(spec, axis, s) == n), spec.stride[axis])
        for axis, n in enumerate(size)
    ]
    yield tuple(strides)


def _output_size(spec: ConvSpec, axis: int, stride: int) -> int:
    """The size of a direct convolution's output along an axis, with another stride."""
    span = (spec.kernel_size[axis] - 1) * spec.dilation[axis] + 1
    dilated = (spec.input_size[axis] - 1) * spec.input_dilation[axis] + 1
    return (dilated + sum(spec.padding[axis]) - span) // stride + 1


def _part_problem(
    problem: Problem, spec: ConvSpec, part: Array, items: Array, channels: Array
) -> Problem | None:
    """The problem of the computed part, (N, O, *space).

    None where other channels, or other items, than the asked convolution has were obtained, or
    where channels of a group are missing.
    """
    x, w, bias = problem.input, problem.kernel, problem.bias
    if not items.all():
        if len(items) != spec.batch:
            return None
        x = np.compress(items, x, axis=spec.input_layout.index("N"))
        spec = replace(spec, batch=int(items.sum()))
    if not channels.all():
        if len(channels) != spec.out_channels or "O" not in spec.kernel_layout:
            return None
        groups = spec.groups
        if groups > 1:
            per_group = channels.reshape(groups, -1)
            whole = per_group.all(axis=1)
            if spec.transposed or (whole != per_group.any(axis=1)).any():
                return None
            inputs = np.repeat(whole, spec.in_channels // groups)
            x = np.compress(inputs, x, axis=spec.input_layout.index("C"))
            numbers = np.array(values_of_channels(spec.pad_value, spec.in_channels))[inputs]
            pad_value = parse_pad_value(numbers)
            spec = replace(spec, groups=1, in_channels=int(inputs.sum()), pad_value=pad_value)
            groups = int(whole.sum())
        w = np.compress(channels, w, axis=spec.kernel_layout.index("O"))
        spec = replace(spec, out_channels=int(channels.sum()), groups=groups)
        bias = None if bias is None else np.compress(channels, bias.reshape(-1))
    obtained = user_output(spec, part)
    return replace(problem, spec=spec, input=x, kernel=w, bias=bias, obtained=obtained)
