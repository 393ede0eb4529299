"""Whether the port's layers are fed what the source's are: how far apart rounding may bring two
inputs.

Rounding piles up over layers, and in a badly conditioned model it grows; but what lies between two
convolutions adds little to what came out of the ones before.  So an input is held against the
distances reached before it.  Measured on ResNets of 18 and 50 layers and stacks of 20 to 50, in
float32, float16 and bfloat16 and across them, some of which multiply rounding a million times, it
is at most twice the largest of them, or some 20 roundings where there was none.  A wrong epsilon in
a float32 normalization is at a hundred times and more, save where the variances dwarf it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convdiff.arrays import compute_dtype, read
from convdiff.errors import ConvdiffError
from convdiff.numerics.precision import UNIT_ROUNDOFF
from convdiff.port.external_padding import ExternalPadding, ExternalPaddings, cropped, frames, whole
from convdiff.port.pairing import CapturedLayer, Pairing
from convdiff.records import Stored
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.layout import Array, spatial_axes, to_order
from convdiff.spec.settings import Settings

# How many times the largest distance before it an input may be off by.
JUMP = 10.0
# How many times the distance of its inputs that of a right layer's outputs may be.
AMPLIFIED = 1000.0
# Roundings that may stand between two convolutions all the same: of float32, and of the narrower
# type that arrays are stored in.
COMPUTED, WRITTEN = 100, 8
# A channel that varies by less than this share of what all do counts as if it varied so much.
STILL = 1e-3


@dataclass(frozen=True)
class InputDistance:
    """How far the port's input is from the source's, as a share of its size; None where the shapes
    differ.
    """

    apart: float | None
    limit: float

    @property
    def same(self) -> bool:
        """Whether rounding may be all."""
        return self.apart is not None and self.apart <= self.limit

    def __str__(self) -> str:
        if self.apart is None or not np.isfinite(self.apart):
            return "of another shape" if self.apart is None else "NaN or infinite"
        if self.apart < 0.01:
            return f"{self.apart * 100:.2g}% off, where rounding explains {self.limit * 100:.1g}%"
        return f"{self.apart:.1%} off" if self.apart < 0.1 else f"{self.apart:.0%} off"


class LayerPair:
    """A pair's recorded arrays, looked at when they are asked for.  Anything raises ConvdiffError
    where they cannot be read.

    `before` are those of the layers before.  `right` is whether the layer is, once that is known;
    `folded` whether its outputs are not to be the source's, `doubt` why they may be.
    """

    def __init__(self, pair: Pairing, before: Sequence[LayerPair] = ()) -> None:
        self.pair = pair
        self.before = before
        self.right: bool | None = None
        self.folded = False
        self.doubt = ""

    @cached_property
    def inputs(self) -> tuple[Stored, Stored]:
        """The source's and the port's."""
        source, port = (
            read(layer.entry.keys["input"], "input") for layer in (self.pair.source, self.pair.port)
        )
        return source, port

    @cached_property
    def specs(self) -> tuple[ConvSpec, ConvSpec]:
        """Each side's convolution on its own input."""
        source, port = (
            _spec(layer, stored)
            for layer, stored in zip((self.pair.source, self.pair.port), self.inputs, strict=True)
        )
        return source, port

    @cached_property
    def frames(self) -> ExternalPaddings | None:
        """What the inputs have beyond their common core; None where they have none that can be
        asked about.
        """
        x, y = self.normal
        if x.shape == y.shape and self.small(distance(x, y), 0.0):
            return None
        found = frames(x, y, self.specs, self._near)
        return found if found and whole(self.specs[0], found.source) else None

    @cached_property
    def apart(self) -> float | None:
        """How far the inputs are apart, as a share of their size; None where they have other
        shapes.
        """
        return distance(*self.cores)

    @property
    def cores(self) -> tuple[Array, Array]:
        """Both inputs as (N, C, *space), without their frames."""
        x, y = self.normal
        if self.frames is None:
            return x, y
        return cropped(x, self.frames.source.pairs), cropped(y, self.frames.port.pairs)

    @property
    def padded(self) -> list[tuple[str, ExternalPadding]]:
        """The sides ("source", "port") that pad in a layer of their own, and how."""
        try:
            return [
                (side, frame)
                for side, frame in zip(("source", "port"), self.frames or (), strict=False)
                if frame
            ]
        except ConvdiffError:
            return []

    def _near(self, x: Array, y: Array) -> bool:
        """Whether parts of the inputs are the same but for rounding."""
        apart = distance(x, y)
        return self.small(apart, 0.0) or self.small(apart, _reached(self.before))

    @cached_property
    def after(self) -> float | None:
        """How far the outputs are apart, as a share of how much each channel varies: a
        normalization would leave no more of it.

        None where they are not both there, or have other shapes.
        """
        try:
            return _apart_by_channel(*self.outputs)
        except ConvdiffError:
            return None

    @cached_property
    def outputs(self) -> tuple[Array, Array]:
        """Both outputs as (N, C, *space).  ConvdiffError where they are not both there, or have
        other numbers of axes.
        """
        arrays = []
        for layer in (self.pair.source, self.pair.port):
            keys, (_, file) = layer.entry.keys, layer.output
            layout = keys.get("output_layout") or keys.get("input_layout", "")
            array = read(file, "saved", any_shape=True).array if file else np.empty(0)
            if array.ndim != len(layout):
                raise ConvdiffError(f"saved: found {array.ndim} axes, expected those of {layout}")
            arrays.append(_ordered(array, layout))
        return arrays[0], arrays[1]

    @property
    def floor(self) -> float:
        """What rounding between two convolutions may do though there was none before."""
        return floor(self.inputs)

    def small(self, apart: float | None, reached: float) -> bool:
        """Whether rounding may be all, where `reached` is the largest distance before."""
        return apart is not None and apart <= max(self.floor, JUMP * reached)

    @cached_property
    def normal(self) -> tuple[Array, Array]:
        """Both inputs as (N, C, *space)."""
        layouts = [
            layer.entry.keys.get("input_layout", "") for layer in (self.pair.source, self.pair.port)
        ]
        if any(
            len(layout) != stored.array.ndim
            for layout, stored in zip(layouts, self.inputs, strict=True)
        ):
            raise ConvdiffError(
                "input_layout: found none, expected a folder that convdiff capture wrote"
            )
        x, y = (
            _ordered(stored.array, layout)
            for layout, stored in zip(layouts, self.inputs, strict=True)
        )
        return x, y


def uncrossed(pairs: Sequence[Pairing]) -> list[Pairing]:
    """The pairs, where names would pair the layers of equal kernels otherwise: by name, if the
    first of them is fed so.

    The port's weights are then exchanged, and not its names.
    """
    ports = {one.port.name: one.port for one in pairs}
    named = {
        one.source.name: Pairing(one.source, ports[one.source.name], "name")
        for one in pairs
        if one.source.name in ports
    }
    crossed = [
        one
        for one in pairs
        if one.source.name in named and named[one.source.name].port is not one.port
    ]
    if not crossed or {one.port.name for one in crossed} != {one.source.name for one in crossed}:
        return list(pairs)
    if any(
        one.source.kernel.array.size != named[one.source.name].port.kernel.array.size
        for one in crossed
    ):
        return list(pairs)
    by_kernel, by_name = LayerPair(crossed[0]), LayerPair(named[crossed[0].source.name])
    try:
        if not by_name.small(by_name.apart, 0.0) or by_kernel.small(by_kernel.apart, 0.0):
            return list(pairs)
    except ConvdiffError:
        return list(pairs)
    return [named[one.source.name] if one in crossed else one for one in pairs]


def fed(looks: Sequence[LayerPair], at: int) -> InputDistance:
    """What layer `at` of these is fed."""
    look = looks[at]
    try:
        return InputDistance(look.apart, limit(looks[:at], look.apart, look.floor))
    except ConvdiffError:
        return InputDistance(None, 0.0)


def limit(before: Sequence[LayerPair], apart: float | None, least: float) -> float:
    """How far what follows these layers may be apart; where that is little, nothing else is read."""
    return max(least, JUMP * _reached(before)) if apart is not None and apart > least else least


def floor(inputs: Sequence[Stored]) -> float:
    """What rounding between two convolutions may do though there was none before them."""
    return max(
        COMPUTED * UNIT_ROUNDOFF["float32"],
        WRITTEN * max((UNIT_ROUNDOFF.get(stored.stored, 0.0) for stored in inputs), default=0.0),
    )


def _reached(looks: Sequence[LayerPair]) -> float:
    """The largest distance before the first of these layers that is wrong or fed what is."""
    reached = 0.0
    for look in looks:
        try:
            if look.right is False or not look.small(look.apart, reached):
                break
            reached = max(reached, look.apart or 0.0)
            if look.folded:
                continue
            if look.right is None and not look.small(look.after, reached):
                break
            after = look.after or 0.0
            # A right one may amplify rounding; what is beyond all measure was held right wrongly,
            # and explains nothing later.
            if after > AMPLIFIED * max(look.floor, reached):
                break
            reached = max(reached, after)
        except ConvdiffError:
            break
    return reached


def _spec(layer: CapturedLayer, input: Stored) -> ConvSpec:
    """The layer's own convolution, in numbers."""
    keys = layer.entry.keys
    settings = Settings(**Settings.fields_in(keys))
    dtype = compute_dtype(input, layer.kernel, settings.dtype)
    return read_spec(
        input.array.shape, layer.kernel.array.shape, settings, bias="bias" in keys, dtype=dtype
    )[0]


def _ordered(array: Array, layout: str) -> Array:
    return to_order(
        array, layout, "NC" + "".join(axis for axis in "DHW" if axis in spatial_axes(layout))
    )


def distance(x: Array, y: Array) -> float | None:
    """How far y is from x, as a share of its size; None where the shapes differ."""
    if x.shape != y.shape:
        return None
    with np.errstate(all="ignore"):
        size = float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
        apart = float(np.sqrt(np.mean(np.square(x.astype(np.float64) - y))))
    return (apart / size if size else apart) if np.isfinite(apart) else float("inf")


def _apart_by_channel(x: Array, y: Array) -> float | None:
    whole = distance(x, y)
    if whole is None or not np.isfinite(whole) or x.size == x.shape[1]:
        return whole
    axes = (0, *range(2, x.ndim))
    spread = x.astype(np.float64).std(axis=axes)
    apart = np.sqrt(np.mean(np.square(x.astype(np.float64) - y), axis=axes))
    # What hardly varies a normalization's epsilon keeps small.
    least = STILL * float(np.sqrt(np.mean(np.square(spread))))
    return (
        max(whole, float(np.sqrt(np.mean(np.square(apart / np.maximum(spread, least))))))
        if least
        else whole
    )
