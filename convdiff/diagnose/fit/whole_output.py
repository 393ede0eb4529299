"""Outputs that are the input itself, or an output rolled along its axes.

Neither is a form that the search could combine: one needs no convolution, and of the other there
are as many as the output has positions.  A Fourier transform finds the shift at which one channel
is most like what was asked, or like what one edit makes of it; the search then runs on the output
rolled back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from convdiff.diagnose.core.forms import InputForm, KernelForm
from convdiff.diagnose.core.problem import Problem, in_narrower_type
from convdiff.diagnose.fit.restored_output import Restored
from convdiff.diagnose.hypotheses.output_part import OutputIsInput, OutputRolled
from convdiff.diagnose.search.engine import Search
from convdiff.numerics.reference import correlate
from convdiff.records import Edit
from convdiff.spec.canonical import normal_output, user_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array
from convdiff.spec.pad_value import parse_pad_value, values_of_channels

# The fewest elements that must be the input's.
MIN_COPIED = 2
# How like a channel must be to the expected one: their correlation coefficient at the best shift.
MIN_LIKENESS = 0.7
# Shifts that are equally likely, as in an output that repeats: of these the smallest is taken.
EQUAL_LIKENESS = 1e-6
# Multiplications that looking for the shift may take, and shifts that are then tried.
MAX_SHIFT_PRODUCTS, MAX_SHIFTS = 1 << 24, 3


def input_copy(problem: Problem) -> Edit | None:
    """The edit that the output is the input: all of it, or where the windows lie."""
    obtained = problem.obtained
    if obtained.size < MIN_COPIED:
        return None
    edit: Edit = {"code": OutputIsInput.code}
    if _equal(obtained, problem.input):
        return edit
    spec = problem.spec
    if obtained.ndim != len(spec.output_layout):
        return None
    y, x = normal_output(spec, obtained), problem.x
    if y.shape[:2] != x.shape[:2]:
        return None
    crops = [x] if spec.transposed else [x, *_at_windows(x, spec, y.shape[2:])]
    return edit if any(_equal(y, crop) for crop in crops) else None


def _at_windows(x: Array, spec: ConvSpec, size: tuple[int, ...]) -> Iterator[Array]:
    """The input's elements under the middle, the first and the last tap of every asked window."""
    for tap in (0.5, 0.0, 1.0):
        cropped = x
        for axis, length in enumerate(size):
            span = (spec.kernel_size[axis] - 1) * spec.dilation[axis]
            positions = np.arange(length) * spec.stride[axis]
            positions = positions - spec.padding[axis][0] + int(tap * span)
            if positions[0] < 0 or positions[-1] >= x.shape[axis + 2]:
                break
            cropped = np.take(cropped, positions, axis + 2)
        else:
            yield cropped


def _equal(obtained: Array, source: Array) -> bool:
    """Whether two arrays are the same numbers, as far as the narrower of their types holds them."""
    if obtained.shape != source.shape:
        return False
    return bool(np.array_equal(*in_narrower_type(obtained, source), equal_nan=True))


def rolled_back(search: Search, *, beside_edits: bool) -> Iterator[Restored]:
    """The output rolled back by the likely shifts; mostly none.

    They are those at which it is like the asked convolution, or, with `beside_edits`, like that of
    an input or a kernel with one edit.
    """
    problem, spec = search.problem, search.problem.spec
    if problem.obtained.shape != spec.shape("output"):
        return
    y = normal_output(spec, problem.obtained)
    space = tuple(range(2, y.ndim))
    for shift in _likely_shifts(search, y, beside_edits=beside_edits):
        back = np.roll(y, [-by for by in shift], space)
        edit: Edit = {"code": OutputRolled.code, "shift": list(shift)}
        yield Restored(replace(problem, obtained=user_output(spec, back)), (edit,))


def _likely_shifts(search: Search, y: Array, *, beside_edits: bool) -> list[tuple[int, ...]]:
    """The likely shifts, the likeliest first, found in one channel of the first item."""
    spec = search.problem.spec
    spread = np.std(y[0], axis=tuple(range(1, y.ndim - 1)))
    if not np.isfinite(spread).all() or not spread.any():
        return []
    channel = int(spread.argmax())
    obtained = _centered(y[0, channel])
    (plain_x,), (plain_w,) = search.forms.inputs(0, 0), search.forms.kernels(0, 0)
    pairs = [(plain_x, plain_w)]
    if beside_edits:
        pairs += [(x, plain_w) for x in search.forms.inputs(0, 1)]
        pairs += [(plain_x, w) for w in search.forms.kernels(0, 1)]
        terms = math.prod(plain_w.array.shape[1:])
        pairs = pairs[: max(1, MAX_SHIFT_PRODUCTS // (terms * obtained.size))]
    likeness: dict[tuple[int, ...], float] = {}
    for x, w in pairs:
        if x.array.shape == plain_x.array.shape and w.array.shape == plain_w.array.shape:
            expected = _centered(_one_channel(spec, x, w, channel))
            found = _best_shift(obtained, expected)
            if found is not None and any(found[0]):
                shift, like = found
                likeness[shift] = max(like, likeness.get(shift, 0.0))
    likely = [shift for shift, like in likeness.items() if like >= MIN_LIKENESS]
    return sorted(likely, key=lambda shift: -likeness[shift])[:MAX_SHIFTS]


def _one_channel(spec: ConvSpec, x: InputForm, w: KernelForm, channel: int) -> Array:
    """One output channel of the first item, *space, in the asked geometry."""
    outer, inner = spec.out_channels // spec.groups, spec.in_channels // spec.groups
    first = channel // outer * inner
    seen = x.array.select(0, slice(1)).select(1, slice(first, first + inner)).to_array()
    weights = w.array.select(0, slice(channel, channel + 1)).to_array()
    numbers = values_of_channels(spec.pad_value, spec.in_channels)[first : first + inner]
    geometry = spec.correlation()._replace(pad_value=parse_pad_value(numbers))
    sums = correlate(seen, weights, geometry, 1, spec.output_size)
    return np.asarray(sums[0, 0])


def _centered(values: Array) -> Array:
    """The values less their mean, of length 1; zeros where all are equal."""
    centered = values - values.astype(np.float64).mean()
    return np.asarray(centered / (np.linalg.norm(centered) or 1.0))


def _best_shift(obtained: Array, expected: Array) -> tuple[tuple[int, ...], float] | None:
    """The shift of `expected` that is most like `obtained`, and their correlation coefficient.

    Both are centered.
    """
    size = obtained.shape
    spectrum = np.fft.rfftn(obtained) * np.conj(np.fft.rfftn(expected))
    likeness = np.fft.irfftn(spectrum, size, axes=range(len(size)))
    best = float(likeness.max())
    if not best > 0:
        return None
    equal = np.argwhere(likeness >= best - EQUAL_LIKENESS)
    shifts = [
        tuple(at - n if 2 * at > n else at for at, n in zip(place, size, strict=True))
        for place in equal.tolist()
    ]
    return min(shifts, key=lambda shift: sum(map(abs, shift))), best
