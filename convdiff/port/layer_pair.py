"""A layer of the source and its counterpart in the port: their arrays and specs, read once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from convdiff.arrays import compute_dtype, read
from convdiff.check.cases import case_settings
from convdiff.errors import ConvdiffError
from convdiff.numerics.complex_parts import channel_parts, is_complex
from convdiff.port.captured_layer import CapturedLayer
from convdiff.port.distance import distance_by_channel
from convdiff.records import Stored
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.layout import Array, spatial_axes, to_order

# What two layers were paired by.  A "rounded kernel" is the source's to few digits, a "scaled
# kernel" the source's with each output channel times a number of its own.
PairedBy = Literal["name", "kernel", "rounded kernel", "scaled kernel", "order"]


@dataclass(frozen=True, eq=False)
class LayerPair:
    """Two layers that should be the same, and what they were paired by.

    Arrays are read when they are first needed; a property raises ConvdiffError where its files
    cannot be read or do not fit each other.
    """

    source: CapturedLayer
    port: CapturedLayer
    paired_by: PairedBy

    @cached_property
    def stored_inputs(self) -> tuple[Stored, Stored]:
        """The source's and the port's input, in the layouts of their captures."""
        return _read_input(self.source), _read_input(self.port)

    @cached_property
    def specs(self) -> tuple[ConvSpec, ConvSpec]:
        """The source's and the port's convolution, each on its own input."""
        source, port = self.stored_inputs
        return _spec(self.source, source), _spec(self.port, port)

    @cached_property
    def inputs(self) -> tuple[Array, Array]:
        """The source's and the port's input as (N, C, *space); complex ones as their parts."""
        source, port = self.stored_inputs
        return _comparable(_canonical_input(self.source, source), _canonical_input(self.port, port))

    @cached_property
    def outputs(self) -> tuple[Array, Array]:
        """The source's and the port's recorded output as (N, C, *space), as `inputs`."""
        return _comparable(_canonical_output(self.source), _canonical_output(self.port))

    @cached_property
    def output_distance(self) -> float | None:
        """The distance of the outputs, channel by channel.

        None where they are not both recorded or their shapes differ.
        """
        try:
            return distance_by_channel(*self.outputs)
        except ConvdiffError:
            return None


def _read_input(layer: CapturedLayer) -> Stored:
    return read(layer.entry.keys["input"], "input")


def _spec(layer: CapturedLayer, input: Stored) -> ConvSpec:
    settings = case_settings(layer.entry.keys)
    dtype = compute_dtype(input, layer.kernel, settings.dtype)
    return read_spec(
        input.array.shape,
        layer.kernel.array.shape,
        settings,
        bias="bias" in layer.entry.keys,
        dtype=dtype,
    )[0]


def _canonical_input(layer: CapturedLayer, input: Stored) -> Array:
    layout = layer.entry.keys.get("input_layout", "")
    if len(layout) != input.array.ndim:
        raise ConvdiffError(
            "input_layout: found none, expected a folder that convdiff capture wrote"
        )
    return _canonical(input.array, layout)


def _canonical_output(layer: CapturedLayer) -> Array:
    keys, (_, file) = layer.entry.keys, layer.output
    layout = keys.get("output_layout") or keys.get("input_layout", "")
    array = read(file, "saved", any_shape=True).array if file else np.empty(0)
    if array.ndim != len(layout):
        raise ConvdiffError(f"saved: found {array.ndim} axes, expected those of {layout}")
    return _canonical(array, layout)


def _canonical(array: Array, layout: str) -> Array:
    space = "".join(axis for axis in "DHW" if axis in spatial_axes(layout))
    return to_order(array, layout, f"NC{space}")


def _comparable(source: Array, port: Array) -> tuple[Array, Array]:
    """Both as they are, or their parts where one is complex."""
    if not is_complex(source, port):
        return source, port
    return channel_parts(source), channel_parts(port)
