"""Outputs that a loop wrote into the array that it was still reading.

Each output element is then the sum over taps of output values, where the loop had been before, and
of input values elsewhere.  Which taps those are is the same for all elements of a channel, since a
loop that sweeps along an axis is before or behind an element by the sign of the tap's offset.  So
with the saved output as further channels of the input, and the kernel divided between them, the
output is a plain convolution: of that problem the search asks what it asks of any other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from convdiff.diagnose.core.problem import Problem, in_narrower_type
from convdiff.diagnose.fit.restored_output import Restored
from convdiff.diagnose.hypotheses.base import Edits
from convdiff.diagnose.hypotheses.kernel import KernelFlipped, KernelNotFlipped
from convdiff.diagnose.hypotheses.output_part import NotComputed, UpdatedInPlace
from convdiff.diagnose.hypotheses.registry import changes_single_values
from convdiff.numerics.reference import pad
from convdiff.records import Edit
from convdiff.spec.canonical import normal_output
from convdiff.spec.layout import Array
from convdiff.spec.padding import Pair

# Output elements along each axis of the block in which the order of the loop is looked for.
BLOCK_SIZE = {1: 128, 2: 12, 3: 6}
# The median residual of a loop's order in that block, as a share of S; of whole numbers what comes
# on top, absolute.
MAX_RESIDUAL, MAX_INTEGER_RESIDUAL = 1e-3, 1.0
# Stands for an S of zero.
TINY = 1e-300
# Orders that are proven, at most.
MAX_ORDERS = 2
# Elements of an input or a kernel that are copied, at most.
MAX_COPIED = 1 << 24


@dataclass(frozen=True)
class Sweep:
    """The order of a loop: its axes, the outermost first, "C" for channels; those swept backward.

    Along the axes that it leaves out, all elements are written at once.
    """

    axes: tuple[str, ...]
    backward: frozenset[str] = frozenset()

    def edit(self) -> Edit:
        """As an edit."""
        backward = [axis for axis in self.axes if axis in self.backward]
        return {"code": UpdatedInPlace.code, "order": list(self.axes), "backward": backward}

    def is_earlier(self, offsets: dict[str, Array]) -> Array:
        """Whether the loop was at these offsets from an element before it was at the element."""
        shape = np.broadcast_shapes(*(offset.shape for offset in offsets.values()))
        earlier, same = np.zeros(shape, bool), np.ones(shape, bool)
        for axis in self.axes:
            offset = -offsets[axis] if axis in self.backward else offsets[axis]
            earlier |= same & (offset < 0)
            same &= offset == 0
        return earlier


@dataclass(frozen=True)
class Overwritten:
    """The input with its padding, (N, C, *space), and where in it the output was written.

    `written` is that place, and `output` (N, O, *space) what was written there.  `border` is how
    much of the output around it was not computed.
    """

    padded: Array
    output: Array
    start: tuple[int, ...]
    border: tuple[Pair, ...]

    @property
    def after(self) -> Array:
        """The padded input with the output written into it."""
        after = self.padded.astype(np.result_type(self.padded, self.output))
        place = (slice(at, at + n) for at, n in zip(self.start, self.output.shape[2:], strict=True))
        after[(slice(None), slice(None), *place)] = self.output
        return after


@dataclass(frozen=True)
class InPlace(Restored):
    """The problem in which the saved output is a part of the input."""

    sweep: Sweep = Sweep(())
    flip_asked: bool = False

    def full_edits(self, edits: Edits) -> Edits | None:
        """The edits of the update in place; None where they say something that it excludes."""
        # A flip turns the loop; what happens to a single element happens before it is written.
        if not all(
            changes_single_values(edit) or edit["code"] == KernelFlipped.code for edit in edits
        ):
            return None
        sweep, others = self.sweep, []
        for edit in edits:
            if edit["code"] == KernelFlipped.code:
                # The whole kernel was flipped, and with it which taps come earlier.
                turned = frozenset(edit["axes"]) & frozenset(sweep.axes)
                sweep = replace(sweep, backward=sweep.backward ^ turned)
                code = KernelNotFlipped.code if self.flip_asked else KernelFlipped.code
                edit = {**edit, "code": code}
            others.append(edit)
        return (*others, sweep.edit(), *self.edits[1:])


def updates_in_place(problem: Problem) -> Iterator[Restored]:
    """The problems of the loops' orders under which the output may have been updated in place.

    Mostly none.  Cheap: the orders are compared in a block of one channel.
    """
    spec = problem.spec
    y = normal_output(spec, problem.obtained)
    group_inputs, group_outputs = problem.w.shape[1], spec.out_channels // spec.groups
    if (
        group_inputs != group_outputs
        or spec.transposed
        or max(spec.stride + spec.input_dilation) > 1
        or y.shape != (spec.batch, spec.out_channels, *spec.output_size)
        or problem.x.size + problem.w.size > MAX_COPIED
        or max(spec.kernel_size) == 1
        or not np.isfinite(y).all()
    ):
        return
    for overwritten, middle in _places(problem, y):
        for sweep, tap in _likely_sweeps(problem, overwritten, middle)[:MAX_ORDERS]:
            yield _with_output_as_input(problem, overwritten, tap, sweep)


def _places(problem: Problem, y: Array) -> Iterator[tuple[Overwritten, tuple[int, ...]]]:
    """Yields where the output may have been written, and the tap that lies over it.

    The whole output, then its inner part where the rest is the input.
    """
    spec = problem.spec
    spans = [(k - 1) * d for k, d in zip(spec.kernel_size, spec.dilation, strict=True)]
    whole = ((0, 0),) * spec.rank
    padded = _padded(problem)
    for round_up in (True, False):
        middle = tuple((k - 1 + round_up) // 2 for k in spec.kernel_size)
        if not round_up and middle == tuple(k // 2 for k in spec.kernel_size):
            return
        start = tuple(m * d for m, d in zip(middle, spec.dilation, strict=True))
        yield Overwritten(padded, y, start, whole), middle
        border = tuple(
            (at, span - at) if span else (0, 0) for at, span in zip(start, spans, strict=True)
        )
        place = tuple(slice(at, at + n) for at, n in zip(start, y.shape[2:], strict=True))
        inner = tuple(slice(lo, n - hi) for (lo, hi), n in zip(border, y.shape[2:], strict=True))
        if any(n <= lo + hi + 1 for (lo, hi), n in zip(border, y.shape[2:], strict=True)):
            continue
        original, kept = in_narrower_type(padded[(slice(None), slice(None), *place)], y)
        left = original == kept
        left[(slice(None), slice(None), *inner)] = True
        if left.all():
            part = y[(slice(None), slice(None), *inner)]
            around = tuple(
                slice(lo, n - hi) for (lo, hi), n in zip(border, padded.shape[2:], strict=True)
            )
            read = padded[(slice(None), slice(None), *around)]
            yield Overwritten(read, part, start, border), middle


def _padded(problem: Problem) -> Array:
    """The input with its padding, as if the loop ran over a padded copy."""
    spec, x = problem.spec, problem.x
    crops = tuple(
        slice(max(-lo, 0), n - max(-hi, 0))
        for n, (lo, hi) in zip(x.shape[2:], spec.padding, strict=True)
    )
    widths = [(max(lo, 0), max(hi, 0)) for lo, hi in spec.padding]
    return pad(x[(slice(None), slice(None), *crops)], widths, spec.pad_mode)


def _sweeps(axes: str, *, channels: bool) -> Iterator[Sweep]:
    """The orders of a loop, the commonest first; with `channels` also those over channels."""
    letters = axes + ("C" if channels else "")
    for count in range(len(letters), 0, -1):
        for chosen in itertools.permutations(letters, count):
            space = [axis for axis in chosen if axis != "C"]
            for turned in range(len(space) + 1):
                for backward in itertools.combinations(space, turned):
                    yield Sweep(chosen, frozenset(backward))


def _earlier(problem: Problem, middle: tuple[int, ...], sweep: Sweep) -> Array:
    """Whether the loop had been at each tap before: the shape of the kernel, (O, I, *taps)."""
    spec, outputs, inputs = problem.spec, *problem.w.shape[:2]
    rank = spec.rank
    offsets: dict[str, Array] = {
        axis: (np.arange(k) - at).reshape(-1, *(1,) * (rank - 1 - number))
        for number, (axis, k, at) in enumerate(
            zip(spec.axes, spec.kernel_size, middle, strict=True)
        )
    }
    own = np.arange(outputs)[:, None] % inputs
    offsets["C"] = (np.arange(inputs) - own).reshape(outputs, inputs, *(1,) * rank)
    return np.broadcast_to(sweep.is_earlier(offsets), problem.w.shape)


def _likely_sweeps(
    problem: Problem, overwritten: Overwritten, middle: tuple[int, ...]
) -> list[tuple[Sweep, tuple[int, ...]]]:
    """The orders under which most of a block of one channel is right, the best first.

    With each the tap over the element that is written.  A flipped kernel counts too; order and tap
    are then those of the kernel before it was flipped.
    """
    spec, y = problem.spec, overwritten.output
    space = tuple(range(2, y.ndim))
    # The last channel of each group: orders over the channels differ there.
    inputs = problem.w.shape[1]
    last = y.std(axis=space)[:, inputs - 1 :: inputs]
    item, group = divmod(int(last.argmax()), last.shape[1])
    channel = (group + 1) * inputs - 1
    block = tuple(slice(min(n, BLOCK_SIZE[spec.rank])) for n in y.shape[2:])
    values = y[(item, channel, *block)].astype(np.float64).reshape(-1)
    members = slice(group * inputs, (group + 1) * inputs)
    before, after = (
        _windows(array[item, members], problem, [s.stop for s in block])
        for array in (overwritten.padded, overwritten.after)
    )
    if not float(values.std()) > 0:
        return []
    weights = problem.w[channel].astype(np.float64)
    long_axes = [axis for axis, k in enumerate(spec.kernel_size) if k > 1]
    kernels = [
        (flipped, np.flip(weights, tuple(1 + axis for axis in flipped)).reshape(-1))
        for count in (0, *range(len(long_axes), 0, -1))
        for flipped in itertools.combinations(long_axes, count)
    ]
    seen: set[bytes] = set()
    sweeps: list[Sweep] = []
    masks: list[Array] = []
    for sweep in _sweeps(spec.axes, channels=inputs > 1):
        mask = _earlier(problem, middle, sweep)[channel]
        if mask.tobytes() in seen or not (mask & (weights != 0)).any():
            continue
        seen.add(mask.tobytes())
        sweeps.append(sweep)
        masks.append(mask.reshape(-1))
    if not sweeps:
        return []
    pairs = [*itertools.product(zip(sweeps, masks, strict=True), kernels)]
    # (terms, pairs): the weights by which what was there before, and after, is multiplied.
    used = np.stack([kernel for _, (_, kernel) in pairs], axis=1)
    is_after = np.stack([mask for (_, mask), _ in pairs], axis=1)
    residuals, scales = (
        left @ np.where(is_after, 0, weight) + right @ np.where(is_after, weight, 0)
        for left, right, weight in (
            (before, after, used),
            (np.abs(before), np.abs(after), np.abs(used)),
        )
    )
    residuals = values[:, None] - residuals
    exact = _median_residuals(residuals, scales, 0.0)
    allowed = MAX_INTEGER_RESIDUAL if problem.obtained_integral else 0.0
    rough = _median_residuals(residuals, scales, allowed) if allowed else exact
    fits: list[tuple[float, Sweep, tuple[int, ...]]] = []
    for number in np.flatnonzero(rough <= MAX_RESIDUAL).tolist():
        (sweep, _), (flipped, _) = pairs[number]
        turned = frozenset(spec.axes[axis] for axis in flipped) & {*sweep.axes}
        tap = tuple(
            k - 1 - at if axis in flipped else at
            for axis, (k, at) in enumerate(zip(spec.kernel_size, middle, strict=True))
        )
        turned_sweep = replace(sweep, backward=sweep.backward ^ turned)
        fits.append((float(exact[number]), turned_sweep, tap))
    # Of equal fits the commoner order comes first, as sorting is stable.
    return [(sweep, tap) for _, sweep, tap in sorted(fits, key=lambda fit: fit[0])]


def _median_residuals(residuals: Array, scales: Array, allowed: float) -> Array:
    """(pairs,): the median residual of the sums, relative to S, with the constant that suits best.

    `residuals` and `scales` are (positions, pairs); `allowed` is what rounding to whole numbers may
    have added.
    """
    scales = np.maximum(scales, TINY)
    medians = [
        np.median(np.maximum(np.abs(residuals - constant) - allowed, 0) / scales, axis=0)
        for constant in (0.0, np.median(residuals, axis=0))
    ]
    return np.asarray(np.minimum(*medians))


def _windows(array: Array, problem: Problem, size: list[int]) -> Array:
    """(positions, terms): the windows at the first `size` positions of `array` (C, *space)."""
    spec = problem.spec
    spans = [(k - 1) * d + 1 for k, d in zip(spec.kernel_size, spec.dilation, strict=True)]
    views = np.lib.stride_tricks.sliding_window_view(array, spans, tuple(range(1, array.ndim)))
    taken = tuple(slice(n) for n in size)
    taps = tuple(slice(None, None, d) for d in spec.dilation)
    windows = views[(slice(None), *taken, *taps)]
    return np.moveaxis(windows, 0, spec.rank).reshape(int(np.prod(size)), -1).astype(np.float64)


def _with_output_as_input(
    problem: Problem, overwritten: Overwritten, tap: tuple[int, ...], sweep: Sweep
) -> InPlace:
    """The problem with the saved output as further channels of the input of each group."""
    spec, w = problem.spec, problem.w
    earlier = _earlier(problem, tap, sweep)
    kernel = np.concatenate([np.where(earlier, 0, w), np.where(earlier, w, 0)], axis=1)
    halves = [
        array.reshape(spec.batch, spec.groups, -1, *overwritten.padded.shape[2:])
        for array in (overwritten.padded, overwritten.after)
    ]
    x = np.concatenate(halves, axis=2).reshape(spec.batch, -1, *overwritten.padded.shape[2:])
    doubled = replace(
        spec,
        input_layout="NC" + spec.axes,
        kernel_layout="OI" + spec.axes,
        output_layout="NC" + spec.axes,
        in_channels=2 * spec.in_channels,
        input_size=overwritten.padded.shape[2:],
        padding=((0, 0),) * spec.rank,
        pad_mode="constant",
        pad_value=0,
        flip=False,
    )
    edits: Edits = (sweep.edit(),)
    if any(map(any, overwritten.border)):
        width = [list(pair) for pair in overwritten.border]
        edits = (*edits, {"code": NotComputed.code, "left": "input", "width": width})
    return InPlace(
        replace(
            problem,
            spec=doubled,
            input=np.ascontiguousarray(x),
            kernel=kernel,
            obtained=np.ascontiguousarray(overwritten.output),
        ),
        edits,
        sweep=sweep,
        flip_asked=spec.flip,
    )
