"""The reference that every output is compared with: a float64 cross-correlation in NumPy.

Any geometry in the normal form (`convdiff.spec.conv_spec.Correlation`) is split, per axis, into
phases: output positions that use the same taps.  A phase is a plain strided correlation without
zeros between the input's elements, so a transposed convolution costs no more than its adjoint.
Each phase is gathered block by block into a small buffer and computed as a matrix product, so that
memory stays bounded however large the arrays are.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from convdiff.errors import ConvdiffError
from convdiff.numerics.precision import cast
from convdiff.spec.canonical import normal_input, normal_kernel
from convdiff.spec.conv_spec import ConvSpec, Correlation
from convdiff.spec.layout import Array, element_count
from convdiff.spec.pad_mode import PadMode
from convdiff.spec.pad_value import PadValue, channel_values
from convdiff.spec.padding import Pair

# Bytes of the gathered buffer, so that it stays in the caches while the matrix product reads it
# (benchmarks/reference.py).
BLOCK_BYTES = 4 << 20


class Reference(NamedTuple):
    """The exact output and its scale, both (N, C, *space).

    `output` is float64.  `scale` is S = |input| corr |kernel| + |bias| per element; an error of u S
    is one unit (u: unit roundoff).
    """

    output: Array
    scale: Array


class Phase(NamedTuple):
    """Along one axis, `length` output positions first, first + step, ..., and the taps they use.

    Output number j of the phase multiplies tap `taps[t][0]` with input index
    `taps[t][1] + j * stride`, which may lie outside the input.
    """

    first: int
    step: int
    length: int
    stride: int
    taps: tuple[tuple[int, int], ...]


def compute_reference(
    spec: ConvSpec, input: Array, kernel: Array, bias: Array | None = None
) -> Reference:
    """The reference for arrays in the layouts of `spec`.

    Numbers in the padding are rounded to the spec's type, and count like those of the input.
    The scale is computed in float32, or in float64 where values leave float32's safe range.
    Raises ConvdiffError if the arrays would not fit in memory.
    """
    _check_memory(spec)
    x, w = normal_input(spec, input), normal_kernel(spec, kernel)
    geometry = spec.correlation()
    geometry = geometry._replace(pad_value=rounded_pad_value(geometry.pad_value, spec.dtype))
    output = correlate(x, w, geometry, spec.groups, spec.output_size)
    scale = correlate(
        x,
        w,
        geometry,
        spec.groups,
        spec.output_size,
        absolute=True,
        dtype=_scale_dtype(x, w, geometry.pad_value),
    )
    if bias is not None:
        column = np.asarray(bias, np.float64).reshape((1, -1) + (1,) * spec.rank)
        output += column
        scale += np.abs(column).astype(scale.dtype)
    return Reference(output, scale)


def _check_memory(spec: ConvSpec) -> None:
    """Raises ConvdiffError if output and scale, or a padded input, do not fit in memory."""
    available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # 8 bytes for an element of the output, 4 for its scale.
    arrays = [("output", 12, spec.shape("output"))]
    if spec.pad_mode != "constant" or spec.pad_value != 0:
        padded = [
            (n - 1) * r + 1 + lo + hi
            for n, r, (lo, hi) in zip(
                spec.input_size, spec.input_dilation, spec.padding, strict=True
            )
        ]
        arrays.append(("padded input", 4, (spec.batch, spec.in_channels, *padded)))
    for name, element_bytes, shape in arrays:
        needed = element_bytes * element_count(shape)
        if needed > available:
            raise ConvdiffError(
                f"the {name} of {'x'.join(map(str, shape))} needs {needed / 2**30:.0f} GiB, "
                f"and this machine has {available / 2**30:.0f}; check --padding and --stride"
            )


def rounded_pad_value(value: PadValue, dtype: str) -> PadValue:
    """The pad value as an array of this type holds it."""
    if value == 0:
        return 0
    numbers = cast(np.array(channel_values(value), np.float64), dtype).astype(np.float64).tolist()
    return tuple(numbers) if isinstance(value, tuple) else float(numbers[0])


def _scale_dtype(x: Array, w: Array, pad_value: PadValue) -> type[np.floating[Any]]:
    """float32 if no product or sum of |x| |w| overflows or underflows in it, else float64."""
    with np.errstate(invalid="ignore"):
        extremes = [_extremes(a) for a in (x, w)]
    if pad_value != 0:
        padding = max(map(abs, channel_values(pad_value)))
        extremes[0] = extremes[0][0], max(extremes[0][1], padding)
    low = extremes[0][0] * extremes[1][0]
    high = extremes[0][1] * extremes[1][1] * math.prod(w.shape[1:])
    return np.float32 if low > 1e-30 and high < 1e30 else np.float64


def _extremes(array: Array) -> tuple[float, float]:
    """The magnitudes that matter for the scale: 2^-24 of the largest, and the largest."""
    if array.dtype.kind == "u":
        return 1e-8, float(array.max())
    top = max(float(array.max()), -float(array.min()))
    return top * 2.0**-24, top


def correlate(
    x: Array,
    w: Array,
    geometry: Correlation,
    groups: int,
    out_size: tuple[int, ...],
    *,
    absolute: bool = False,
    dtype: type[np.floating[Any]] = np.float64,
) -> Array:
    """The cross-correlation (N, O, *out_size) of x (N, C, *space) and w (O, C / groups, *space).

    Computed in `dtype`; of |x| and |w| with `absolute`.
    """
    batch, outer = x.shape[0], w.shape[0]
    out = np.zeros((batch, outer, *out_size), dtype)
    weights = np.asarray(np.abs(w) if absolute and w.dtype.kind != "u" else w, dtype)
    if geometry.pad_mode != "constant" or geometry.pad_value != 0:
        x, geometry = _padded(x, geometry)
    axes = [
        list(_phases(n, k, m, s, lo, d, r))
        for n, k, m, s, (lo, _), d, r in zip(
            x.shape[2:],
            w.shape[2:],
            out_size,
            geometry.stride,
            geometry.padding,
            geometry.dilation,
            geometry.input_dilation,
            strict=True,
        )
    ]
    for phases in itertools.product(*axes):
        taps = [tuple(tap for tap, _ in phase.taps) for phase in phases]
        if all(taps):
            _add_phase(
                out,
                x,
                weights[(slice(None), slice(None), *_crossed(taps))],
                phases,
                groups,
                absolute,
            )
    return out


def _crossed(taps: list[tuple[int, ...]]) -> tuple[Any, ...]:
    """Indices that select these taps of each axis."""
    return np.ix_(*taps)


def _padded(x: Array, geometry: Correlation) -> tuple[Array, Correlation]:
    """The input with dilation and padding made explicit, for padding other than zeros."""
    if max(geometry.input_dilation) > 1:
        dilated = np.zeros(
            x.shape[:2]
            + tuple(
                (n - 1) * r + 1 for n, r in zip(x.shape[2:], geometry.input_dilation, strict=True)
            ),
            x.dtype,
        )
        dilated[
            (slice(None), slice(None), *(slice(None, None, r) for r in geometry.input_dilation))
        ] = x
        x = dilated
    crop = tuple(
        slice(max(-lo, 0), max(n - max(-hi, 0), 0))
        for n, (lo, hi) in zip(x.shape[2:], geometry.padding, strict=True)
    )
    widths = [(max(lo, 0), max(hi, 0)) for lo, hi in geometry.padding]
    x = x[(slice(None), slice(None), *crop)]
    rank = len(geometry.stride)
    x = pad(x, widths, geometry.pad_mode, geometry.pad_value)
    return x, geometry._replace(
        padding=((0, 0),) * rank, input_dilation=(1,) * rank, pad_mode="constant", pad_value=0
    )


def pad(x: Array, widths: list[Pair], mode: PadMode, pad_value: PadValue = 0) -> Array:
    """`x` (N, C, *space) padded in space as numpy.pad of NumPy 2 does it.

    Constant padding holds `pad_value`; numbers that the input's type cannot hold make it float64.
    NumPy 1 is wrong where reflect and symmetric padding is wider than the array, so there the
    indices are computed here.  Where each axis has its own mode, the order of the axes makes no
    difference: a corner with constant padding along either axis holds the pad value.
    """
    if not isinstance(mode, str):
        for axis, own_mode in enumerate(mode):
            own = [pair if axis == other else (0, 0) for other, pair in enumerate(widths)]
            x = pad(x, own, own_mode, pad_value)
        return x
    if mode == "constant" and pad_value != 0:
        return _pad_with_numbers(x, widths, np.array(channel_values(pad_value), np.float64))
    wide = any(max(pair) >= n for n, pair in zip(x.shape[2:], widths, strict=True))
    if not wide or mode not in ("reflect", "symmetric"):
        any_mode: Any = mode
        return np.pad(x, [(0, 0), (0, 0), *widths], mode=any_mode)
    edge = 1 if mode == "symmetric" else 0  # whether the outermost element is repeated
    for axis, (lo, hi) in enumerate(widths, 2):
        n = x.shape[axis]
        last = 2 * (n - 1) + edge
        index = np.arange(-lo, n + hi) % max(last + edge, 1)
        x = x.take(np.minimum(index, last - index), axis)
    return x


def _pad_with_numbers(x: Array, widths: list[Pair], numbers: Array) -> Array:
    """`x` padded with `numbers`, one or one for each channel."""
    with np.errstate(over="ignore"):
        exact = bool((numbers.astype(x.dtype) == numbers).all())
    size = (n + lo + hi for n, (lo, hi) in zip(x.shape[2:], widths, strict=True))
    padded = np.empty((*x.shape[:2], *size), x.dtype if exact else np.float64)
    padded[...] = numbers.reshape(-1, *(1,) * (x.ndim - 2))
    inner = (slice(lo, lo + n) for n, (lo, _) in zip(x.shape[2:], widths, strict=True))
    padded[(slice(None), slice(None), *inner)] = x
    return padded


def _phases(
    n: int, k: int, m: int, stride: int, lo: int, dilation: int, input_dilation: int
) -> Iterator[Phase]:
    """Yields the phases of one axis, without taps that never meet one of the n input positions.

    Of k taps and m output positions.
    """
    step = input_dilation // math.gcd(input_dilation, stride)
    inner = stride * step // input_dilation
    for first in range(min(step, m)):
        count = -(-(m - first) // step)
        taps = []
        for tap in range(k):
            start, rest = divmod(first * stride + tap * dilation - lo, input_dilation)
            if rest == 0 and start < n and start + (count - 1) * inner >= 0:
                taps.append((tap, start))
        yield Phase(first, step, count, inner, tuple(taps))


def _add_phase(
    out: Array, x: Array, weights: Array, phases: tuple[Phase, ...], groups: int, absolute: bool
) -> None:
    """Computes one phase into `out`, in blocks of batch items or of lines (first spatial axis)."""
    batch, channels = x.shape[:2]
    head, rest = phases[0], phases[1:]
    width = math.prod(phase.length for phase in rest)
    gathered = math.prod(len(phase.taps) for phase in rest)
    row = channels * gathered * width * out.itemsize
    rows = _even(head.length, max(1, BLOCK_BYTES // row))
    items = _even(batch, max(1, BLOCK_BYTES // (row * rows)))
    scratch = _Scratch(out.dtype)
    for item, start in itertools.product(range(0, batch, items), range(0, head.length, rows)):
        part = x[item : item + items]
        count = min(rows, head.length - start)
        begin = head.first + start * head.step
        where = [
            slice(item, item + items),
            slice(None),
            slice(begin, begin + (count - 1) * head.step + 1, head.step),
        ]
        where += [
            slice(phase.first, phase.first + (phase.length - 1) * phase.step + 1, phase.step)
            for phase in rest
        ]
        target = out[tuple(where)]
        shape = (part.shape[0], groups, out.shape[1] // groups, count * width)
        # Where the block is a contiguous piece of the output, the sums are computed in place.
        sums = target.reshape(shape) if target.flags.c_contiguous else scratch.take("sums", shape)
        into = sums
        for shifts, matrices, lines in _bands(head, start, count, weights, groups):
            band = _gather(part, rest, lines, scratch, absolute)
            flat = band.reshape(part.shape[0], groups, -1, band.shape[2 + len(rest)] * width)
            for shift, matrix in zip(shifts, matrices, strict=True):
                np.matmul(matrix, flat[..., shift * width : (shift + count) * width], out=into)
                if into is not sums:
                    sums += into
                into = scratch.take("product", shape)
        if not target.flags.c_contiguous:
            target[...] = sums.reshape(target.shape)


def _even(count: int, most: int) -> int:
    """The size of the equal pieces that `count` is cut into, each of at most `most`."""
    return -(-count // -(-count // most))


class _Scratch:
    """Buffers that blocks reuse, since allocating fresh pages costs more than filling them."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self._buffers: dict[str, Array] = {}

    def take(self, name: str, shape: tuple[int, ...]) -> Array:
        """An array of this shape, not cleared, that shares memory with earlier ones of `name`."""
        size = math.prod(shape)
        if name not in self._buffers or self._buffers[name].size < size:
            self._buffers[name] = np.empty(size, self.dtype)
        return self._buffers[name][:size].reshape(shape)


def _bands(
    head: Phase, start: int, count: int, weights: Array, groups: int
) -> Iterator[tuple[list[int], list[Array], slice]]:
    """Yields (shifts, matrices, lines) for taps of the first axis that read the same input lines.

    A tap's shift is the line of the band that it starts at; its matrix is
    (groups, O / groups, C / groups * other taps).  `weights` is (O, C / groups, taps...).
    """
    for residue in sorted({begin % head.stride for _, begin in head.taps}):
        members = [
            (at, begin // head.stride)
            for at, (_, begin) in enumerate(head.taps)
            if begin % head.stride == residue
        ]
        low = min(shift for _, shift in members)
        length = max(shift for _, shift in members) - low + count
        first = (low + start) * head.stride + residue
        matrices = [
            np.ascontiguousarray(weights[:, :, at]).reshape(groups, weights.shape[0] // groups, -1)
            for at, _ in members
        ]
        yield (
            [shift - low for _, shift in members],
            matrices,
            slice(first, first + (length - 1) * head.stride + 1, head.stride),
        )


def _gather(
    x: Array, phases: tuple[Phase, ...], lines: slice, scratch: _Scratch, absolute: bool
) -> Array:
    """The inputs of each tap of the axes after the first, zero outside the input.

    (items, C, taps..., lines, positions...).
    """
    count = len(range(lines.start, lines.stop, lines.step))
    spans = [phase.length for phase in phases]
    band = scratch.take(
        "band", (*x.shape[:2], *(len(phase.taps) for phase in phases), count, *spans)
    )
    inside = _inside(x.shape[2], lines.start, lines.step, count)
    for taps in itertools.product(*(range(len(phase.taps)) for phase in phases)):
        places: list[tuple[slice, slice]] = [inside]
        for axis, (phase, number) in enumerate(zip(phases, taps, strict=True)):
            places.append(
                _inside(x.shape[3 + axis], phase.taps[number][1], phase.stride, phase.length)
            )
        sources: tuple[Any, ...] = (..., *(source for source, _ in places))
        targets: tuple[Any, ...] = (..., *(target for _, target in places))
        tap: tuple[Any, ...] = (slice(None), slice(None), *taps)
        part, whole = x[sources], band[tap]
        into = whole[targets]
        if into.shape != whole.shape:
            whole[...] = 0
        if absolute and part.dtype.kind != "u":
            np.abs(part, out=into, casting="unsafe")
        else:
            into[...] = part
    return band


def _inside(n: int, begin: int, step: int, count: int) -> tuple[slice, slice]:
    """The part of `count` positions begin, begin + step, ... that lies within 0 to n - 1.

    As a slice of 0 to n - 1, and as a slice of the positions' numbers.
    """
    first = -(begin // step) if begin < 0 else 0
    last = min(count, -(-(n - begin) // step))
    if last <= first:
        return slice(0, 0), slice(0, 0)
    return slice(begin + first * step, begin + (last - 1) * step + 1, step), slice(first, last)
