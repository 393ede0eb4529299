"""Settings that express a geometry, as a direct or as a transposed convolution, without padding.

The same convolution can be both: a transposed convolution is a direct one with a dilated input and
a flipped kernel. The padding is left open because several choices may give the same output size.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from convdiff.probe.axis_geometry import MeasuredAxis
from convdiff.probe.axis_roles import AxisRoles
from convdiff.probe.errors import NotUnderstood
from convdiff.spec.pad_mode import PAD_MODES, PadMode
from convdiff.spec.padding import kernel_span
from convdiff.spec.settings import Settings

# (lo, hi, output padding) along one axis.
PaddingChoice = tuple[int, int, int]


@dataclass(frozen=True)
class PartialSettings:
    """Settings without padding.

    `choices` are the paddings, per axis, that give the output size of the shapes that were called
    with; `pad_modes` the modes that fit.
    """

    settings: Settings
    choices: tuple[tuple[PaddingChoice, ...], ...]
    pad_modes: frozenset[PadMode]


def partial_settings(
    roles: AxisRoles,
    axes: tuple[MeasuredAxis, ...],
    in_channels: int,
    out_channels: int,
    kernel_sizes: dict[str, int],
) -> Iterator[PartialSettings]:
    """Every way to express the geometry.

    Raises NotUnderstood where axes differ in what settings have once for all axes.
    """
    flips = {axis.flip for axis in axes} - {None}
    if len(flips) > 1:
        raise NotUnderstood("the kernel is flipped along some axes and not along others")
    flip = flips == {True}
    pad_modes = _common_pad_modes(axes)
    for layout, groups, transposed in _grouped_layouts(
        roles.kernel_layout, in_channels, out_channels, kernel_sizes
    ):
        common = Settings(
            input_layout=roles.input_layout,
            kernel_layout=layout,
            output_layout=roles.output_layout,
            dilation=tuple(axis.dilation for axis in axes),
            groups=None if "M" in layout else groups,
        )
        if not transposed:
            direct = replace(
                common,
                flip=flip,
                stride=tuple(axis.stride for axis in axes),
                input_dilation=tuple(axis.input_dilation for axis in axes),
            )
            choices = tuple(
                tuple((axis.lo, axis.hi + extra, 0) for extra in range(axis.stride))
                for axis in axes
            )
            yield PartialSettings(direct, choices, pad_modes)
        elif all(axis.stride == 1 for axis in axes) and "constant" in pad_modes:
            as_transposed = replace(
                common,
                transposed=True,
                flip=bool(flips) and not flip,
                stride=tuple(axis.input_dilation for axis in axes),
            )
            choices = tuple(tuple(_transposed_choices(axis)) for axis in axes)
            yield PartialSettings(as_transposed, choices, frozenset({"constant"}))


def _common_pad_modes(axes: tuple[MeasuredAxis, ...]) -> frozenset[PadMode]:
    """The modes that fit all axes, else those with one mode per axis.

    An axis without padding, which every mode fits, then has the first.
    """
    common = frozenset.intersection(*(axis.pad_modes for axis in axes))
    if common:
        return frozenset[PadMode](common)
    of_axes = (
        PAD_MODES[:1] if len(axis.pad_modes) == len(PAD_MODES) else sorted(axis.pad_modes)
        for axis in axes
    )
    return frozenset(itertools.product(*of_axes))


def is_usual(partial: PartialSettings) -> bool:
    """Whether a framework would express the convolution in this way.

    Frameworks lay a transposed kernel out with I before the other letters, or O before a last I. A
    dilated input is how a transposed convolution works, so it is an option of its own only where
    nothing else expresses it.
    """
    settings = partial.settings
    layout, input_dilation = settings.kernel_layout or "", settings.input_dilation
    if isinstance(input_dilation, tuple) and max(input_dilation) > 1:
        return False
    if "I" not in layout or "O" not in layout:
        return not settings.transposed
    return settings.transposed == (layout.startswith("I") or layout.endswith("OI"))


def _transposed_choices(axis: MeasuredAxis) -> Iterator[PaddingChoice]:
    span = kernel_span(axis.k, axis.dilation)
    lo = span - 1 - axis.lo
    hi = (axis.n - 1) * axis.input_dilation + span - lo - axis.m
    # torch's way first: equal padding on both sides, the rest added at the end.
    if 0 <= lo - hi < max(axis.input_dilation, axis.dilation):
        yield lo, lo, lo - hi
    yield lo, hi, 0


def _grouped_layouts(
    layout: str, in_channels: int, out_channels: int, kernel_sizes: dict[str, int]
) -> Iterator[tuple[str, int, bool]]:
    """(kernel layout, groups, transposed) that the channel counts allow."""
    i, o = kernel_sizes.get("I", 1), kernel_sizes.get("O", 1)
    if in_channels % i == 0 and o == out_channels and out_channels % (in_channels // i) == 0:
        yield layout, in_channels // i, False
    elif i == in_channels > 1 and out_channels == in_channels * o:
        yield layout.replace("O", "M"), in_channels, False
    if i == in_channels and out_channels % o == 0 and in_channels % (out_channels // o) == 0:
        yield layout, out_channels // o, True
