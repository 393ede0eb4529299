"""The same convolution in the words of `convdiff run`: directly, or as the transposed convolution
that it also is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from convdiff.probe.geometry import Axis
from convdiff.probe.roles import Roles, Unclear
from convdiff.spec.padding import reach
from convdiff.spec.settings import Settings

Pair = tuple[int, int]


@dataclass(frozen=True)
class Description:
    """Settings without padding, and per axis the (lo, hi, output padding) that give what was seen:
    several, where sizes must tell.
    """

    settings: Settings
    choices: tuple[tuple[tuple[int, int, int], ...], ...]
    modes: frozenset[str]


def descriptions(
    roles: Roles,
    axes: tuple[Axis, ...],
    in_channels: int,
    out_channels: int,
    kernel: dict[str, int],
) -> Iterator[Description]:
    """Every way to say it.

    Raises Unclear where its axes differ in what is one for all of them.
    """
    flips = {axis.flip for axis in axes} - {None}
    if len(flips) > 1:
        raise Unclear("the kernel is flipped along some axes and not along others")
    flip = flips == {True}
    modes = frozenset.intersection(*(axis.modes for axis in axes))
    if not modes:
        raise Unclear("its axes are padded in different modes")
    dilation = tuple(axis.dilation for axis in axes)
    for layout, groups, transposed in _grouped(
        roles.kernel_layout, in_channels, out_channels, kernel
    ):
        common = Settings(
            input_layout=roles.input_layout,
            kernel_layout=layout,
            output_layout=roles.output_layout,
            dilation=dilation,
            groups=None if "M" in layout else groups,
        )
        if not transposed:
            choices = tuple(
                tuple((axis.lo, axis.hi + more, 0) for more in range(axis.stride)) for axis in axes
            )
            yield Description(
                replace(
                    common,
                    flip=flip,
                    stride=tuple(axis.stride for axis in axes),
                    input_dilation=tuple(axis.input_dilation for axis in axes),
                ),
                choices,
                modes,
            )
        elif all(axis.stride == 1 for axis in axes) and "constant" in modes:
            yield Description(
                replace(
                    common,
                    transposed=True,
                    flip=bool(flips) and not flip,
                    stride=tuple(axis.input_dilation for axis in axes),
                ),
                tuple(tuple(_transposed_padding(axis)) for axis in axes),
                frozenset({"constant"}),
            )


def usual(description: Description) -> bool:
    """Whether frameworks would lay such a kernel out in this way: transposed ones have I before the
    others, or O before a last I.

    A dilated input is what a transposed convolution is made of; said directly only where it is
    nothing else.
    """
    layout, spread = description.settings.kernel_layout or "", description.settings.input_dilation
    if isinstance(spread, tuple) and max(spread) > 1:
        return False
    if "I" not in layout or "O" not in layout:
        return not description.settings.transposed
    return description.settings.transposed == (layout.startswith("I") or layout.endswith("OI"))


def _transposed_padding(axis: Axis) -> Iterator[tuple[int, int, int]]:
    span = reach(axis.k, axis.dilation)
    lo = span - 1 - axis.lo
    hi = (axis.n - 1) * axis.input_dilation + span - lo - axis.m
    # torch's way of saying it first: padding alike on both sides, and what is missing added at the
    # end.
    if 0 <= lo - hi < max(axis.input_dilation, axis.dilation):
        yield lo, lo, lo - hi
    yield lo, hi, 0


def _grouped(
    layout: str, inner: int, outer: int, kernel: dict[str, int]
) -> Iterator[tuple[str, int, bool]]:
    """(kernel layout, groups, transposed) that the channel counts allow."""
    i, o = kernel.get("I", 1), kernel.get("O", 1)
    if inner % i == 0 and o == outer and outer % (inner // i) == 0:
        yield layout, inner // i, False
    elif i == inner > 1 and outer == inner * o:
        yield layout.replace("O", "M"), inner, False
    if i == inner and outer % o == 0 and inner % (outer // o) == 0:
        yield layout, outer // o, True
