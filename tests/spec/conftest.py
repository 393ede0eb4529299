"""A short way to read shapes and options as a `ConvSpec`."""

from __future__ import annotations

from typing import Any

from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings

Shape = tuple[int, ...]


def read(input_shape: Shape, kernel_shape: Shape, **options: Any) -> ConvSpec:
    """The spec that `read_spec` makes of these shapes and options, without bias, in float32."""
    settings = Settings.from_mapping(options)
    return read_spec(input_shape, kernel_shape, settings, bias=False, dtype="float32")[0]
