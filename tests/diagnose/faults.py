"""Faults to plant: for each code a function that makes the mistake and returns its edit.

A fault changes the arrays, the geometry or the output of a naive convolution.  It returns None if
it does not apply to the convolution, or if the shapes already show that it would change nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tests.diagnose.naive import Array, Geometry, convolve

Edit = dict[str, Any]
STAGES = ("input", "kernel", "geometry", "output")


@dataclass(frozen=True)
class Drawn:
    """A convolution that was asked for, with random arrays in torch's layouts."""

    x: Array
    w: Array
    bias: Array | None
    geometry: Geometry
    axes: str

    def options(self) -> dict[str, Any]:
        """The options of `convdiff.diff` for this convolution."""
        g = self.geometry
        space = self.axes
        asked: dict[str, Any] = {
            "stride": g.stride,
            "padding": [list(p) for p in g.padding],
            "dilation": g.dilation,
            "groups": g.groups,
            "input_layout": f"NC{space}",
            "kernel_layout": f"IO{space}" if g.transposed else f"OI{space}",
        }
        if g.transposed:
            asked |= {"transposed": True, "output_padding": g.output_padding}
        else:
            asked |= {"pad_mode": g.pad_mode, "pad_value": pad_value(g)}
        return asked


@dataclass
class Work:
    """A convolution to which faults are applied; the functions in `after` change its output."""

    drawn: Drawn
    x: Array
    w: Array
    geometry: Geometry
    bias_factor: float = 1.0
    after: list[Callable[[Array], Array]] = field(default_factory=list)

    @property
    def out_channels(self) -> int:
        if self.geometry.transposed:
            return self.w.shape[1] * self.geometry.groups
        return self.w.shape[0]

    def per_channel(self, values: Array) -> Array:
        """One value per output channel, shaped to broadcast with the output."""
        return values.reshape(1, -1, *(1,) * len(self.drawn.axes))

    def output(self) -> Array:
        """The output (N, O, *space) with all faults, float64."""
        output = convolve(self.x, self.w, self.geometry)
        if self.drawn.bias is not None:
            bias = self.per_channel(self.drawn.bias.astype(np.float64))
            output = output + self.bias_factor * bias
        for change in self.after:
            output = change(output)
        return output


Fault = Callable[[Work, np.random.Generator], "Edit | None"]


def kernel_flipped(work: Work, rng: np.random.Generator) -> Edit | None:
    long = [i for i, k in enumerate(work.w.shape[2:]) if k > 1]
    if not long:
        return None
    chosen = long
    if rng.random() >= 0.5:
        chosen = sorted(rng.choice(long, rng.integers(1, len(long) + 1), replace=False).tolist())
    work.w = np.flip(work.w, [i + 2 for i in chosen])
    return {"code": "kernel-flipped", "axes": [work.drawn.axes[i] for i in chosen]}


def _exchanged(letters: str, a: int, b: int) -> str:
    exchanged = list(letters)
    exchanged[a], exchanged[b] = exchanged[b], exchanged[a]
    return "".join(exchanged)


def kernel_axes_permuted(work: Work, rng: np.random.Generator) -> Edit | None:
    layout = work.drawn.options()["kernel_layout"]
    pairs = [
        (a, b) for a in range(work.w.ndim) for b in range(a) if work.w.shape[a] == work.w.shape[b]
    ]
    pairs += [(3, 2)] if work.w.ndim == 4 and work.w.shape[2] != work.w.shape[3] else []
    if not pairs or work.w.size == 1:
        return None
    a, b = pairs[rng.integers(len(pairs))]
    work.w = np.swapaxes(work.w, a, b)
    return {"code": "kernel-axes-permuted", "asked": layout, "obtained": _exchanged(layout, a, b)}


def kernel_reshaped(work: Work, rng: np.random.Generator) -> Edit | None:
    layout = work.drawn.options()["kernel_layout"]
    space = work.drawn.axes
    other = f"{space}IO" if rng.random() < 0.5 else f"{space}OI"
    buffer = np.ascontiguousarray(work.w.transpose([layout.index(a) for a in other]))
    work.w = buffer.reshape(work.w.shape)
    return {"code": "kernel-reshaped", "asked": other, "obtained": layout}


def patches_flattened(work: Work, rng: np.random.Generator) -> Edit | None:
    layout = work.drawn.options()["kernel_layout"]
    kept, flat = layout[0], layout[1:]
    order = "".join(rng.permutation(list(flat)))
    size_of = dict(zip(layout, work.w.shape, strict=True))
    sizes = [[size_of[a] for a in letters if size_of[a] > 1] for letters in (flat, order)]
    if sizes[0] == sizes[1]:
        return None
    # Half of the time the kernel was flattened in the other order, else the patches were.
    source, target = (kept + flat, kept + order) if rng.random() < 0.5 else (kept + order, layout)
    buffer = np.ascontiguousarray(work.w.transpose([layout.index(a) for a in source]))
    read = buffer.reshape([size_of[a] for a in target])
    work.w = read.transpose([target.index(a) for a in layout])
    return {"code": "kernel-reshaped", "asked": source, "obtained": target}


def kernel_channels_reversed(work: Work, rng: np.random.Generator) -> Edit | None:
    axis = int(rng.integers(2))
    if work.w.shape[axis] == 1:
        return None
    work.w = np.flip(work.w, axis)
    return {"code": "kernel-channels-reversed", "axis": work.drawn.options()["kernel_layout"][axis]}


def quantized(work: Work, rng: np.random.Generator) -> Edit | None:
    scale = float(np.abs(work.w.astype(np.float64)).max()) / 127
    rounded = (np.rint(work.w.astype(np.float64) / scale) * scale).astype(work.w.dtype)
    if work.w.size < 8 or np.allclose(rounded, work.w, rtol=1e-4):
        return None
    work.w = rounded
    return {
        "code": "quantized",
        "where": "kernel",
        "bits": 8,
        "per": "tensor",
        "scale": float(f"{scale:.5g}"),
        "zero_point": 0,
    }


def input_scaled(work: Work, rng: np.random.Generator) -> Edit | None:
    g, channels = work.geometry, work.x.shape[1]
    # Without zeros in the padding an offset is a bias; a factor for each channel of a depthwise
    # convolution is one for each output channel.
    is_padded = g.pad_mode == "constant" and not g.transposed and all(min(p) > 0 for p in g.padding)
    if g.groups == channels or np.asarray(work.output()).size < 16 * channels:
        return None
    shape = (1, channels, *(1,) * len(work.drawn.axes))
    factors = rng.uniform(0.5, 4, shape).round(2).astype(np.float32)
    offsets = rng.uniform(-3, 3, shape).round(2).astype(np.float32) * is_padded
    work.x = work.x * factors + offsets
    return {"code": "input-scaled"}


def kernel_scaled(work: Work, rng: np.random.Generator) -> Edit | None:
    """A factor along an axis of space, or factors and offsets along O."""
    outer, inner, *taps = work.w.shape
    if work.geometry.transposed or np.asarray(work.output()).size < 16 * outer:
        return None
    axis = int(rng.integers(len(taps) + 1))
    if axis:
        count = taps[axis - 1]
        shape = [1] * work.w.ndim
        shape[1 + axis] = count
        work.w = work.w * rng.uniform(0.5, 2, shape).astype(np.float32)
        if count == 1 or outer * inner * max(taps) < 8:
            return None
        return {"code": "kernel-scaled", "axis": work.drawn.axes[axis - 1]}
    # Standardized weights.
    space = tuple(range(1, work.w.ndim))
    spread = work.w.std(axis=space, keepdims=True)
    if inner * np.prod(taps) < 6 or spread.min() < 0.1:
        return None
    work.w = (work.w - work.w.mean(axis=space, keepdims=True)) / spread
    return {"code": "kernel-scaled", "axis": "O"}


def quantized_input(work: Work, rng: np.random.Generator) -> Edit | None:
    x = work.x.astype(np.float64)
    scale = float(max(x.max(), 0) - min(x.min(), 0)) / 255
    rounded = (np.rint(x / scale) * scale).astype(work.x.dtype)
    # Whole numbers on a grid of their own are only scaled.
    is_whole = (np.abs(x - np.rint(x)) < 1e-6).all()
    if work.x.size < 8 or is_whole or np.allclose(rounded, work.x, rtol=1e-4):
        return None
    work.x = rounded
    return {"code": "quantized", "where": "inputs", "bits": 8, "per": "tensor"}


def quantized_output(work: Work, rng: np.random.Generator) -> Edit | None:
    output = np.asarray(work.output())
    # Few values say little, and sums of few decimals lie on a grid anyway.
    if output.size < 30 or len(np.unique(output)) < 30:
        return None
    if (np.abs(work.x - np.rint(work.x)) < 1e-6).all():
        return None
    step = float(np.ptp(output)) / 255
    work.after.append(lambda y: np.rint(y / step) * step)
    return {"code": "quantized", "where": "output", "bits": 8, "scale": float(f"{step:.6g}")}


def input_axes_permuted(work: Work, rng: np.random.Generator) -> Edit | None:
    layout = f"NC{work.drawn.axes}"
    pairs = [
        (a, b)
        for a in range(work.x.ndim)
        for b in range(a)
        if work.x.shape[a] == work.x.shape[b] > 1
    ]
    if not pairs:
        return None
    a, b = pairs[rng.integers(len(pairs))]
    work.x = np.swapaxes(work.x, a, b)
    return {"code": "input-axes-permuted", "asked": layout, "obtained": _exchanged(layout, a, b)}


def input_reshaped(work: Work, rng: np.random.Generator) -> Edit | None:
    layout, other = f"NC{work.drawn.axes}", f"N{work.drawn.axes}C"
    if work.x.shape[1] == 1:
        return None
    work.x = np.ascontiguousarray(np.moveaxis(work.x, 1, -1)).reshape(work.x.shape)
    return {"code": "input-reshaped", "asked": other, "obtained": layout}


def input_channels_reversed(work: Work, rng: np.random.Generator) -> Edit | None:
    if work.x.shape[1] == 1:
        return None
    work.x = work.x[:, ::-1]
    return {"code": "input-channels-reversed"}


def input_reversed(work: Work, rng: np.random.Generator) -> Edit | None:
    long = [i for i, n in enumerate(work.x.shape[2:]) if n > 1]
    if not long:
        return None
    chosen = long if rng.random() < 0.5 else [int(rng.choice(long))]
    work.x = np.flip(work.x, [i + 2 for i in chosen])
    return {"code": "input-reversed", "axes": [work.drawn.axes[i] for i in chosen]}


def input_batch_permuted(work: Work, rng: np.random.Generator) -> Edit | None:
    order = rng.permutation(work.x.shape[0]).tolist()
    if order == sorted(order):
        return None
    work.x = work.x[order]
    return {"code": "input-batch-permuted", "permutation": order}


def input_channels_permuted(work: Work, rng: np.random.Generator) -> Edit | None:
    channels = work.x.shape[1]
    order = rng.permutation(channels).tolist()
    if channels < 3 or order in (sorted(order), sorted(order)[::-1]):
        return None
    positions = np.prod(convolve(work.x, work.w, work.geometry).shape) // work.out_channels
    # The order of more than a few channels is fitted, for which there must be more positions than
    # weights.
    if channels > 4 and positions < channels * np.prod(work.w.shape[2:]) + 16:
        return None
    work.x = work.x[:, order]
    return {"code": "input-channels-permuted", "permutation": order}


def groups_interleaved(work: Work, rng: np.random.Generator) -> Edit | None:
    groups, channels = work.geometry.groups, work.x.shape[1]
    if not 1 < groups < channels:
        return None
    work.x = work.x[:, [i for g in range(groups) for i in range(g, channels, groups)]]
    return {"code": "groups-interleaved", "groups": groups}


def wrong_padding(work: Work, rng: np.random.Generator) -> Edit | None:
    g = work.geometry
    asked = g.padding
    changes_first_axis_only = rng.random() < 0.3
    pads = []
    for i, ((lo, hi), k) in enumerate(zip(asked, work.w.shape[2:], strict=True)):
        span = g.dilation[i] * (k - 1) + 1
        choices = [
            (0, 0),
            (span - 1, 0),
            (span - 1, span - 1),
            (span // 2, span // 2),
            (hi, lo),
            (lo + 1, hi - 1),
            (lo - 1, hi + 1),
        ]
        choices = [c for c in choices if min(c) >= 0 and max(c) < span + 1 and c != (lo, hi)]
        if not choices:
            return None
        keeps_axis = changes_first_axis_only and i > 0
        pads.append((lo, hi) if keeps_axis else choices[rng.integers(len(choices))])
    if tuple(pads) == asked:
        return None
    work.geometry = replace(g, padding=tuple(pads))
    return {
        "code": "wrong-padding",
        "asked": [list(p) for p in asked],
        "obtained": [list(p) for p in pads],
    }


def wrong_pad_mode(work: Work, rng: np.random.Generator) -> Edit | None:
    g = work.geometry
    if g.transposed or not any(side for pair in g.padding for side in pair):
        return None
    if any(max(pair) >= n for pair, n in zip(g.padding, work.x.shape[2:], strict=True)):
        return None
    modes = [
        mode for mode in ("constant", "reflect", "symmetric", "edge", "wrap") if mode != g.pad_mode
    ]
    mode = modes[rng.integers(len(modes))]
    work.geometry = replace(g, pad_mode=mode)
    return {"code": "wrong-pad-mode", "asked": g.pad_mode, "obtained": mode}


def pad_value(geometry: Geometry) -> Any:
    """The pad value of a geometry as an edit has it: a number, or a list."""
    values = geometry.pad_values or (0.0,)
    return list(values) if len(set(values)) > 1 else values[0]


def with_pad_values(drawn: Drawn, rng: np.random.Generator, *, each: bool) -> Drawn:
    """The same convolution with numbers asked in its padding; for a constant padding only."""
    channels = drawn.x.shape[1]
    values = rng.permutation(np.arange(1.0, channels + 1)) - 2
    if not np.array_equal(drawn.x, np.rint(drawn.x)):
        values = values * 0.75 + 0.13
    values = values if each else np.full(channels, float(rng.choice(values[values != 0])))
    return replace(drawn, geometry=replace(drawn.geometry, pad_values=tuple(values.tolist())))


def wrong_pad_value(work: Work, rng: np.random.Generator) -> Edit | None:
    g = work.geometry
    channels = work.x.shape[1]
    if g.transposed or g.pad_mode != "constant" or not max(max(pair) for pair in g.padding) > 0:
        return None
    if rng.random() < 0.5:
        value = float(rng.choice([-128, 255, 1.85, -0.42, 1, 0.5]))
        values, obtained = np.full(channels, value), value
    else:
        values = np.round(rng.standard_normal(channels) * 2, int(rng.integers(1, 5)))
        obtained = values.tolist()
        if channels == 1 or not values.all() or np.ptp(values) == 0:
            return None
    if g.pad_values and rng.random() < 0.5:
        values, obtained = np.zeros(channels), 0.0
    work.geometry = replace(g, pad_values=tuple(values.tolist()))
    return {"code": "wrong-pad-value", "asked": pad_value(g), "obtained": obtained}


def _changed(numbers: tuple[int, ...], rng: np.random.Generator, most: int) -> tuple[int, ...]:
    """The numbers with all, or one, set to a random number up to `most`."""
    value = int(rng.choice([v for v in range(1, most + 1) if v != numbers[0]]))
    if rng.random() < 0.5 or len(numbers) == 1:
        return (value,) * len(numbers)
    at = int(rng.integers(len(numbers)))
    return tuple(value if i == at else n for i, n in enumerate(numbers))


def wrong_stride(work: Work, rng: np.random.Generator) -> Edit | None:
    g = work.geometry
    stride = _changed(g.stride, rng, 3)
    if stride == g.stride:
        return None
    work.geometry = replace(g, stride=stride)
    return {"code": "wrong-stride", "asked": list(g.stride), "obtained": list(stride)}


def wrong_dilation(work: Work, rng: np.random.Generator) -> Edit | None:
    g = work.geometry
    dilation = _changed(g.dilation, rng, 3)
    if dilation == g.dilation or max(work.w.shape[2:]) == 1:
        return None
    work.geometry = replace(g, dilation=dilation)
    return {"code": "wrong-dilation", "asked": list(g.dilation), "obtained": list(dilation)}


def wrong_groups(work: Work, rng: np.random.Generator) -> Edit | None:
    g = work.geometry
    if g.transposed:
        return None
    outer, inner = work.w.shape[:2]
    channels = inner * g.groups
    counts = [
        n for n in range(1, channels + 1) if channels % n == 0 and outer % n == 0 and n != g.groups
    ]
    if not counts:
        return None
    groups = int(rng.choice(counts))
    wanted = channels // groups
    if wanted < inner:
        work.w = work.w[:, :wanted]
        how = "first"
    else:
        if wanted % inner:
            return None
        work.w = np.tile(work.w, (1, wanted // inner, *(1,) * len(work.drawn.axes)))
        how = "tiled"
    work.geometry = replace(g, groups=groups)
    return {"code": "wrong-groups", "asked": g.groups, "obtained": groups, "kernel": how}


def wrong_transposed(work: Work, rng: np.random.Generator) -> Edit | None:
    g = work.geometry
    if (
        g.groups > 1
        or work.w.shape[0] != work.w.shape[1]
        or g.pad_mode != "constant"
        or work.drawn.bias is not None
    ):
        return None
    if max(g.output_padding or (0,)) > 0:
        return None
    work.geometry = replace(g, transposed=not g.transposed, output_padding=(0,) * len(g.stride))
    return {"code": "wrong-transposed", "asked": g.transposed, "obtained": not g.transposed}


def wrong_output_padding(work: Work, rng: np.random.Generator) -> Edit | None:
    g = work.geometry
    if not g.transposed:
        return None
    asked = g.output_padding
    extra = tuple((e + 1) % max(s, 2) for e, s in zip(asked, g.stride, strict=True))
    if extra == asked or any(
        e >= max(s, d) for e, s, d in zip(extra, g.stride, g.dilation, strict=True)
    ):
        return None
    work.geometry = replace(g, output_padding=extra)
    return {"code": "wrong-output-padding", "asked": list(asked), "obtained": list(extra)}


def output_axes_permuted(work: Work, rng: np.random.Generator) -> Edit | None:
    space = work.drawn.axes
    work.after.append(lambda y: np.moveaxis(y, 1, -1))
    return {"code": "output-axes-permuted", "asked": f"NC{space}", "obtained": f"N{space}C"}


def output_reshaped(work: Work, rng: np.random.Generator) -> Edit | None:
    space = work.drawn.axes
    work.after.append(lambda y: np.ascontiguousarray(np.moveaxis(y, 1, -1)).reshape(y.shape))
    return {"code": "output-reshaped", "asked": f"N{space}C", "obtained": f"NC{space}"}


def output_batch_permuted(work: Work, rng: np.random.Generator) -> Edit | None:
    order = rng.permutation(work.x.shape[0]).tolist()
    if order == sorted(order):
        return None
    work.after.append(lambda y: y[order])
    return {"code": "output-batch-permuted", "permutation": order}


def output_channels_reversed(work: Work, rng: np.random.Generator) -> Edit | None:
    work.after.append(lambda y: y[:, ::-1])
    return {"code": "output-channels-reversed"}


def output_channels_permuted(work: Work, rng: np.random.Generator) -> Edit | None:
    channels = work.out_channels
    order = rng.permutation(channels).tolist()
    if channels < 3 or order in (sorted(order), sorted(order)[::-1]):
        return None
    work.after.append(lambda y: y[:, order])
    return {"code": "output-channels-permuted", "permutation": order}


def bias_missing(work: Work, rng: np.random.Generator) -> Edit | None:
    if work.drawn.bias is None:
        return None
    work.bias_factor = 0.0
    return {"code": "bias-missing"}


def bias_doubled(work: Work, rng: np.random.Generator) -> Edit | None:
    if work.drawn.bias is None:
        return None
    work.bias_factor = 2.0
    return {"code": "bias-doubled"}


def bias_added(work: Work, rng: np.random.Generator) -> Edit | None:
    if work.drawn.bias is not None:
        return None
    channels = work.out_channels
    if work.output().size < 2 * channels:
        # Any output with one element per channel is off by some constant.
        return None
    values = work.per_channel(rng.standard_normal(channels))
    work.after.append(lambda y: y + values)
    return {"code": "bias-added"}


def scaled(work: Work, rng: np.random.Generator) -> Edit | None:
    factor = float(rng.choice([2.0, 0.5, 1 / 255, 3.0, -1.0]))
    work.after.append(lambda y: y * factor)
    return {"code": "scaled"}


def activation_applied(work: Work, rng: np.random.Generator) -> Edit | None:
    if rng.random() < 0.3:
        output = np.asarray(work.output())
        if output.min() < 0 < output.max():
            work.after.append(np.abs)
            return {"code": "activation-applied", "obtained": "abs"}
    work.after.append(lambda y: np.maximum(y, 0))
    return {"code": "activation-applied", "obtained": "relu"}


def overlap_accumulated(work: Work, rng: np.random.Generator) -> Edit | None:
    def accumulated(y: Array) -> Array:
        counts = np.ones(())
        for n in y.shape[2:]:
            axis_counts = np.minimum(np.minimum(np.arange(n) + 1, n - np.arange(n)), 3)
            counts = counts[..., None] * axis_counts
        return y * counts

    work.after.append(accumulated)
    return {"code": "overlap-accumulated"}


def clipped(work: Work, rng: np.random.Generator) -> Edit | None:
    output = np.asarray(work.output())
    low, high = [(-1, 1), (0, 1), (0, 255), (-1.5, 2.5)][rng.integers(4)]
    if (output > high).sum() < 2 or ((output > low) & (output < high)).mean() < 0.2:
        return None
    if low == -1.5 and (output < low).sum() < 2:
        return None
    work.after.append(lambda y: np.clip(y, low, high))
    return {"code": "clipped", "limits": [low, high]}


def integer_wrapped(work: Work, rng: np.random.Generator) -> Edit | None:
    if not np.array_equal(work.drawn.x, np.rint(work.drawn.x)) or work.drawn.bias is not None:
        return None
    work.x = work.x * 3
    drawn = work.drawn
    object.__setattr__(drawn, "x", drawn.x * 3)
    output = np.asarray(work.output())
    wrapped = (output + 128) % 256 - 128
    if output.size < 8 or np.ptp(wrapped) < 32 or (wrapped != output).sum() < 2:
        return None
    work.after.append(lambda y: (y + 128) % 256 - 128)
    return {"code": "integer-wrapped", "obtained": "int8"}


def stored_as_integer(work: Work, rng: np.random.Generator) -> Edit | None:
    output = np.asarray(work.output())
    fractional = np.abs(output - np.rint(output)) > 0.01
    if output.size < 30 or np.std(output) < 1 or fractional.mean() < 0.2 or output.min() > -2:
        return None
    rounding, cut = [("toward-zero", np.trunc), ("down", np.floor)][rng.integers(2)]
    work.after.append(cut)
    return {"code": "stored-as-integer", "type": "int64", "rounding": rounding}


def channels_scaled(work: Work, rng: np.random.Generator) -> Edit | None:
    channels = work.out_channels
    if channels < 2 or np.asarray(work.output()).size < 8 * channels:
        return None
    factors = work.per_channel(rng.uniform(0.5, 2, channels))
    constants = work.per_channel(rng.standard_normal(channels))
    work.after.append(lambda y: y * factors + constants)
    return {"code": "channels-scaled"}


def not_computed(work: Work, rng: np.random.Generator) -> Edit | None:
    try:
        items, channels, *space = work.output().shape
    except ValueError:
        return None
    if min(space, default=0) < 5:
        return None
    left, value = [("zero", 0.0), ("nan", np.nan), (-7.0, -7.0)][rng.integers(3)]
    kept: list[Any] = [slice(None), slice(None), *(slice(None) for _ in space)]
    edit: Edit = {"code": "not-computed", "left": left}
    kind = rng.integers(4)
    # With the items of the input, or the channels of the kernel, in another order, other ones of
    # the asked convolution would be missing.
    if kind == 0 and items > 1 and work.x is work.drawn.x:
        edit["where"], kept[0] = f"item {items - 1}", slice(items - 1)
    elif kind == 1 and channels > 1 and work.geometry.groups == 1 and work.w is work.drawn.w:
        edit["where"], kept[1] = "channel 0", slice(1, None)
    elif kind == 2:
        edit["width"], kept[2] = [[0, 1], *([0, 0] for _ in space[1:])], slice(space[0] - 1)
    else:
        edit["width"] = [[1, 1] for _ in space]
        kept[2:] = [slice(1, -1) for _ in space]

    def overwrite(output: Array) -> Array:
        written = np.full_like(output, value)
        written[tuple(kept)] = output[tuple(kept)]
        return written

    work.after.append(overwrite)
    return edit


def output_is_input(work: Work, rng: np.random.Generator) -> Edit | None:
    if work.drawn.x.shape[1] != work.out_channels:
        return None
    work.after.append(lambda output: work.drawn.x.astype(np.float64))
    return {"code": "output-is-input"}


def output_rolled(work: Work, rng: np.random.Generator) -> Edit | None:
    size = work.output().shape[2:]
    if min(size, default=0) < 3:
        return None
    shift = [int(rng.integers(-((n - 1) // 2), n // 2 + 1)) for n in size]
    if not any(shift):
        return None
    axes = tuple(range(2, len(size) + 2))
    work.after.append(lambda output: np.roll(output, shift, axes))
    return {"code": "output-rolled", "shift": shift}


def averaged_by_count(work: Work, rng: np.random.Generator) -> Edit | None:
    g = work.geometry
    if g.transposed or g.pad_mode != "constant" or work.drawn.bias is not None:
        return None
    ones = np.ones((1, 1, *work.x.shape[2:])), np.ones((1, 1, *work.w.shape[2:]))
    counts = convolve(*ones, replace(g, groups=1, pad_values=()))
    if counts.min() < 1 or counts.min() == counts.max():
        return None
    taps = ones[1].size
    work.geometry = replace(g, pad_values=())
    work.after.append(lambda output: output * taps / counts)
    return {"code": "averaged-by-count"}


def dilation_zero(work: Work, rng: np.random.Generator) -> Edit | None:
    g = work.geometry
    asked = list(g.dilation)
    if g.transposed or g.pad_mode != "constant":
        return None
    before = work.output().shape
    work.w = work.w.sum(tuple(range(2, work.w.ndim)), keepdims=True)
    if work.output().shape == before:
        return None
    return {"code": "wrong-dilation", "asked": asked, "obtained": [0] * len(asked)}


def depth_to_space(work: Work, rng: np.random.Generator) -> Edit | None:
    rank = len(work.drawn.axes)
    parts = 2**rank
    if work.out_channels % parts:
        return None
    order = str(rng.choice(["DCR", "CRD"]))

    def shuffled(output: Array) -> Array:
        n, channels, *size = output.shape
        result = np.zeros((n, channels // parts, *(2 * m for m in size)))
        for number, offsets in enumerate(np.ndindex(*(2,) * rank)):
            place = tuple(slice(offset, None, 2) for offset in offsets)
            first = number * (channels // parts)
            block = slice(first, first + channels // parts)
            taken = block if order == "DCR" else slice(number, None, parts)
            result[(slice(None), slice(None), *place)] = output[:, taken]
        return result

    work.after.append(shuffled)
    return {"code": "depth-to-space", "block": 2, "order": order}


def space_to_depth(work: Work, rng: np.random.Generator) -> Edit | None:
    rank = len(work.drawn.axes)
    if any(n % 2 or n < 4 for n in work.output().shape[2:]):
        return None
    order = str(rng.choice(["DCR", "CRD"]))

    def split(output: Array) -> Array:
        blocks = [
            output[(slice(None), slice(None), *(slice(offset, None, 2) for offset in offsets))]
            for offsets in np.ndindex(*(2,) * rank)
        ]
        if order == "DCR":
            return np.concatenate(blocks, 1)
        stacked = np.stack(blocks, 2)
        return stacked.reshape(stacked.shape[0], -1, *stacked.shape[3:])

    work.after.append(split)
    return {"code": "space-to-depth", "block": 2, "order": order}


def updated_in_place(work: Work, rng: np.random.Generator) -> Edit | None:
    g, rank = work.geometry, len(work.drawn.axes)
    outputs, inputs = work.w.shape[:2]
    if g.transposed or max(g.stride) > 1 or outputs != inputs * g.groups:
        return None
    size = work.output().shape[2:]
    if min(size) < 4 or work.w.size > 1000:
        return None
    order = rng.permutation(rank).tolist()
    backward = [axis for axis in order if rng.random() < 0.3]
    bias = work.drawn.bias if work.drawn.bias is not None else np.zeros(outputs)
    middle = [k // 2 for k in work.w.shape[2:]]

    def overwritten(output: Array) -> Array:
        widths = [(0, 0), (0, 0), *g.padding]
        padded = np.pad(work.x.astype(np.float64), widths, mode=g.pad_mode)  # type: ignore[call-overload]
        places = [range(n)[::-1] if a in backward else range(n) for a, n in enumerate(size)]
        for place in itertools.product(*(places[axis] for axis in order)):
            at = [place[order.index(axis)] for axis in range(rank)]
            taps = tuple(
                slice(i, i + (k - 1) * d + 1, d)
                for i, k, d in zip(at, work.w.shape[2:], g.dilation, strict=True)
            )
            window = padded[(slice(None), slice(None), *taps)]
            window = window.reshape(len(window), g.groups, 1, inputs, *window.shape[2:])
            kernel = work.w.reshape(g.groups, -1, inputs, *work.w.shape[2:])
            sums = (window * kernel).sum(axis=tuple(range(3, window.ndim)))
            written = tuple(i + m * d for i, m, d in zip(at, middle, g.dilation, strict=True))
            padded[(slice(None), slice(None), *written)] = sums.reshape(len(sums), -1) + bias
        inside = (slice(m * d, m * d + n) for m, d, n in zip(middle, g.dilation, size, strict=True))
        return padded[(slice(None), slice(None), *inside)]

    work.after.append(overwritten)
    return {"code": "updated-in-place"}


def multiplier_ignored(work: Work, rng: np.random.Generator) -> Edit | None:
    g, channels = work.geometry, work.x.shape[1]
    if g.transposed or g.groups != channels or work.out_channels == channels:
        return None
    multiplier = work.out_channels // channels
    work.after.append(lambda output: output[:, ::multiplier])
    return {"code": "multiplier-ignored"}


def input_added(work: Work, rng: np.random.Generator) -> Edit | None:
    g, x = work.geometry, work.x.astype(np.float64)
    at_elements = all(
        lo % d == 0 and lo // d < k
        for (lo, _), d, k in zip(g.padding, g.dilation, work.w.shape[2:], strict=True)
    )
    if g.transposed or max(g.stride) > 1 or not at_elements or work.output().shape != x.shape:
        return None
    factor = int(rng.choice([1, -1]))
    work.after.append(lambda output: output + factor * x)
    return {"code": "input-added", "factor": factor}


FAULTS: dict[str, tuple[Fault, ...]] = {
    "input": (
        input_axes_permuted,
        input_reshaped,
        input_channels_reversed,
        input_reversed,
        input_batch_permuted,
        groups_interleaved,
        input_channels_permuted,
    ),
    "kernel": (kernel_flipped, kernel_axes_permuted, kernel_reshaped, kernel_channels_reversed),
    "geometry": (
        wrong_padding,
        wrong_pad_mode,
        wrong_stride,
        wrong_dilation,
        wrong_groups,
        wrong_transposed,
        wrong_output_padding,
    ),
    "output": (
        output_axes_permuted,
        output_reshaped,
        output_batch_permuted,
        output_channels_reversed,
        output_channels_permuted,
        bias_missing,
        bias_doubled,
        bias_added,
        scaled,
        activation_applied,
        overlap_accumulated,
        not_computed,
        clipped,
        integer_wrapped,
        stored_as_integer,
    ),
    # Planted alone only.  Beside one other fault: tests/diagnose/fit/test_border_search.py.
    "geometry alone": (wrong_pad_value,),
    "kernel alone": (quantized, kernel_scaled, patches_flattened),
    # Beside other faults: tests/diagnose/fit/test_operand_scale_search.py.
    "input alone": (input_scaled, quantized_input),
    # Planted alone only: beside another fault it need not be found.
    "output alone": (
        channels_scaled,
        output_is_input,
        output_rolled,
        averaged_by_count,
        depth_to_space,
        space_to_depth,
        multiplier_ignored,
        # Beside other faults: tests/diagnose/hypotheses/test_quantized.py.
        quantized_output,
        updated_in_place,
        # Beside other faults: tests/diagnose/fit/test_added_input.py.
        input_added,
    ),
    "dilation alone": (dilation_zero,),
}


def data(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Random numbers of a kind that people have: "normal", "relu", "integers" or "image"."""
    if kind == "relu":
        return np.maximum(rng.standard_normal(shape), 0).astype(np.float32)
    if kind == "integers":
        return rng.integers(-4, 5, shape).astype(np.float32)
    if kind == "image":
        return (rng.integers(0, 256, shape) / 255).astype(np.float32)
    return rng.standard_normal(shape).astype(np.float32)


def draw(
    rng: np.random.Generator,
    rank: int | None = None,
    kind: str | None = None,
    transposed: bool | None = None,
) -> Drawn:
    """A random convolution whose shapes hide mistakes: square, often with equal channel counts."""
    rank = rank or int(rng.choice([1, 2, 2, 3]))
    transposed = bool(rng.random() < 0.2) if transposed is None else transposed
    channels = int(rng.choice([2, 3, 4, 4, 6]))
    groups = int(rng.choice([g for g in (1, 1, 1, 2, channels) if channels % g == 0]))
    outer = channels if rng.random() < 0.7 else channels * 2
    k = (int(rng.integers(2, 6 if rank < 3 else 4)),) * rank
    n = (int(rng.integers(max(6, k[0] + 1), 11 if rank < 3 else 8)),) * rank
    ones = (1,) * rank
    stride = ones if rng.random() < 0.6 else tuple(int(v) for v in rng.integers(1, 3, rank))
    dilation = ones if rng.random() < 0.8 else tuple(int(v) for v in rng.integers(1, 3, rank))
    pads = [(0, 0), (k[0] // 2, k[0] // 2), ((k[0] - 1) // 2, k[0] // 2), (1, 1)]
    pad = pads[rng.integers(len(pads))]
    if n[0] + sum(pad) < max(dilation) * (k[0] - 1) + 2:
        # The dilated kernel would leave no output, or next to none.
        dilation = ones
    extra = tuple(int(rng.integers(0, s)) for s in stride) if transposed else ()
    mode = "constant" if transposed or rng.random() < 0.9 else "reflect"
    geometry = Geometry(stride, (pad,) * rank, dilation, groups, mode, transposed, extra)
    x = data(
        kind or str(rng.choice(["normal", "normal", "relu", "image", "integers"])),
        (int(rng.integers(1, 4)), channels, *n),
        rng,
    )
    shape = (channels, outer // groups, *k) if transposed else (outer, channels // groups, *k)
    w = data("integers" if np.array_equal(x, np.rint(x)) else "normal", shape, rng)
    bias = rng.standard_normal(outer).astype(np.float32) if rng.random() < 0.3 else None
    return Drawn(x, w, bias, geometry, {1: "W", 2: "HW", 3: "DHW"}[rank])


def plant(
    rng: np.random.Generator, faults: int, **kwargs: Any
) -> tuple[Drawn, Array, list[Edit]] | None:
    """A random convolution, its float32 output with `faults` faults of different stages, and edits.

    None if one of the drawn faults does not apply.
    """
    drawn = draw(rng, **kwargs)
    work = Work(drawn, drawn.x, drawn.w, drawn.geometry)
    stages = sorted(rng.choice(len(STAGES), faults, replace=False).tolist())
    edits = []
    for stage in stages:
        family = FAULTS[STAGES[stage]]
        edit = family[rng.integers(len(family))](work, rng)
        if edit is None:
            return None
        edits.append(edit)
    try:
        obtained = np.ascontiguousarray(work.output()).astype(np.float32)
    except ValueError:
        return None
    if obtained.size == 0 or min(obtained.shape) == 0:
        return None
    return drawn, obtained, edits
