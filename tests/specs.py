"""Convolutions that are easy to get wrong, and integer arrays on which every sum is exact."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from convdiff.errors import SpecError
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import AXES_OF_RANK, Array, spatial_axes
from convdiff.spec.pad_mode import PAD_MODES
from convdiff.spec.pad_value import parse_pad_value
from convdiff.spec.padding import Pair

# One number for every spatial axis, or one per axis.
PerAxis = int | tuple[int, ...]


def conv(
    layouts: str = "NCHW OIHW",
    *,
    n: PerAxis,
    k: PerAxis,
    c: int = 1,
    o: int = 1,
    batch: int = 1,
    groups: int = 1,
    stride: PerAxis = 1,
    padding: int | Pair | tuple[Pair, ...] = 0,
    dilation: PerAxis = 1,
    input_dilation: PerAxis = 1,
    output_padding: PerAxis = 0,
    **more: Any,
) -> ConvSpec:
    """A spec in a short form.

    `layouts` are those of input, kernel and, if it differs from the input's, output. `n` and `k`
    are the input and kernel size, `c` and `o` the input and output channels. `padding` is 1, (0, 1)
    or ((0, 1), (1, 0)).
    """
    names = layouts.split()
    rank = len(spatial_axes(names[0]))
    pairs: Any = padding
    if isinstance(padding, int):
        pairs = ((padding, padding),) * rank
    elif isinstance(padding[0], int):
        pairs = (padding,) * rank

    def per_axis(value: PerAxis) -> tuple[int, ...]:
        return (value,) * rank if isinstance(value, int) else value

    return ConvSpec(
        input_layout=names[0],
        kernel_layout=names[1],
        output_layout=names[2] if len(names) > 2 else names[0],
        batch=batch,
        in_channels=c,
        out_channels=o,
        groups=groups,
        input_size=per_axis(n),
        kernel_size=per_axis(k),
        stride=per_axis(stride),
        padding=pairs,
        dilation=per_axis(dilation),
        input_dilation=per_axis(input_dilation),
        output_padding=per_axis(output_padding),
        **more,
    )


SPECS: dict[str, ConvSpec] = {
    # One axis.
    "plain signal": conv("W W", n=9, k=3),
    "plain signal, full": conv("W W", n=9, k=4, padding=3),
    "plain signal, same, even kernel": conv("W W", n=9, k=4, padding=(2, 1)),
    "plain signal, same_lower, even kernel": conv("W W", n=9, k=4, padding=(1, 2)),
    "plain signal, flipped": conv("W W", n=9, k=3, padding=1, flip=True),
    "plain signal, longer kernel": conv("W W", n=3, k=7, padding=6),
    "plain signal, longer kernel, flipped, asymmetric": conv(
        "W W", n=2, k=5, padding=(4, 3), flip=True
    ),
    "plain signal, strided, with bias": conv("W W", n=9, k=3, stride=2, padding=1, bias=True),
    "plain signal, dilated": conv("W W", n=9, k=3, dilation=2),
    "plain signal, edge": conv("W W", n=5, k=4, padding=(2, 1), pad_mode="edge", flip=True),
    "plain signal, input dilated": conv("W W", n=5, k=3, padding=2, input_dilation=3),
    "plain signal to NCW": conv("NCW OIW", n=7, k=2, padding=(0, 1)),
    "plain signal, kernel with axes": conv("W WIO NWC", n=7, k=3, padding=1, bias=True),
    "NCW/OIW": conv("NCW OIW", n=10, k=3, c=2, o=3, batch=2, stride=2, padding=1, bias=True),
    "NWC/WIO, causal": conv("NWC WIO", n=8, k=3, c=2, o=3, padding=(4, 0), dilation=2),
    "NWC/WIO, grouped": conv("NWC WIO", n=8, k=3, c=4, o=6, groups=2, padding=1, stride=2),
    "1-D depthwise with multiplier": conv(
        "NWC WIM", n=8, k=3, c=3, o=6, groups=3, padding=1, bias=True
    ),
    "1-D stride and dilation": conv(
        "NCW OIW", n=12, k=3, c=2, o=2, stride=2, dilation=2, padding=(2, 1)
    ),
    "1-D transposed": conv(
        "NCW IOW",
        n=5,
        k=3,
        c=3,
        o=2,
        batch=2,
        stride=2,
        padding=1,
        output_padding=1,
        transposed=True,
        bias=True,
    ),
    "1-D transposed, dilated, flipped": conv(
        "NWC WOI",
        n=5,
        k=3,
        c=3,
        o=2,
        stride=3,
        dilation=2,
        padding=(0, 1),
        transposed=True,
        flip=True,
    ),
    "plain signal, transposed": conv("W W", n=4, k=3, stride=2, transposed=True, bias=True),
    # Two axes, layouts.
    "image and filter": conv("HW HW", n=(6, 7), k=3, padding=1),
    "image and filter, flipped": conv(
        "HW HW", n=(6, 7), k=(2, 3), padding=((1, 0), (1, 1)), flip=True
    ),
    "picture to several channels": conv("CHW OIHW", n=6, k=3, c=3, o=4, bias=True),
    "image to channels last": conv("HW HWO HWC", n=6, k=3, o=4, bias=True),
    "image to channels first": conv("HW OHW CHW", n=6, k=3, o=4),
    "gray batch": conv("NHW HW", n=6, k=3, batch=3),
    "channels to a gray image": conv("HWC HWI HW", n=6, k=3, c=4, bias=True),
    "channels to one, with all axes": conv("HWC HWI NHWC", n=6, k=3, c=4, bias=True),
    "no batch axis in the input, one in the output": conv("HWC HWIO NCHW", n=6, k=3, c=2, o=3),
    "NCHW/OIHW": conv(n=8, k=3, c=3, o=4, batch=2, padding=1, bias=True),
    "NCHW/OIHW, flipped": conv(n=8, k=3, c=3, o=4, batch=2, padding=1, flip=True, bias=True),
    "NHWC/HWIO": conv("NHWC HWIO", n=8, k=3, c=3, o=4, batch=2, padding=1, bias=True),
    "NHWC/OHWI": conv("NHWC OHWI", n=8, k=3, c=3, o=4, stride=2, padding=(0, 1)),
    "NHWC/HWIO to NCHW": conv("NHWC HWIO NCHW", n=8, k=3, c=3, o=4, bias=True),
    "NCHW/HWIO to NHWC": conv("NCHW HWIO NHWC", n=8, k=3, c=3, o=4, bias=True),
    "width before height": conv(
        "NWHC HWIO NHWC",
        n=(7, 5),
        k=(3, 2),
        c=2,
        o=3,
        stride=(2, 1),
        padding=((0, 1), (1, 0)),
        bias=True,
    ),
    "CHWN/IHWO": conv("CHWN IHWO", n=5, k=3, c=2, o=3, batch=2, padding=1, flip=True),
    "OIWH kernel": conv("NCHW OIWH", n=(5, 7), k=(2, 3), c=2, o=3, dilation=(1, 2), flip=True),
    # Two axes, geometry.
    "1x1": conv(n=6, k=1, c=3, o=4, bias=True),
    "1x1, stride above the kernel": conv("NHWC HWIO", n=7, k=1, c=3, o=4, stride=3),
    "same at stride 2": conv("NHWC HWIO", n=8, k=3, c=2, o=3, stride=2, padding=(0, 1)),
    "same_lower at stride 2": conv(n=8, k=3, c=2, o=3, stride=2, padding=(1, 0)),
    "even kernel, half": conv(n=8, k=4, c=2, o=3, padding=2),
    "even kernel, same": conv("NHWC HWIO", n=8, k=4, c=2, o=3, padding=(1, 2)),
    "full": conv(n=5, k=3, c=2, o=3, padding=2, flip=True),
    "stride and dilation differ by axis": conv(
        n=(9, 11), k=(3, 2), c=2, o=3, stride=(2, 3), dilation=(2, 3), padding=((2, 1), (0, 3))
    ),
    "stride and dilation, same": conv(
        "NHWC HWIO", n=9, k=3, c=2, o=3, stride=2, dilation=2, padding=2
    ),
    "axis of 1": conv(n=(1, 9), k=(1, 3), c=2, o=3, padding=((0, 0), (1, 1))),
    "axis of 1 under a wide kernel": conv("NHWC HWIO", n=(1, 9), k=3, c=2, o=3, padding=1),
    "longer kernel": conv(n=3, k=5, c=2, o=3, padding=((2, 1), (1, 2))),
    "kernel as large as the input": conv("NHWC HWIO", n=4, k=4, c=2, o=3, bias=True),
    "padding beyond the kernel": conv(n=4, k=2, c=2, o=3, padding=3),
    "crop": conv(n=8, k=3, c=2, o=3, padding=-1),
    "crop and pad": conv("NHWC HWIO", n=8, k=3, c=2, o=3, padding=((-2, 1), (1, -1)), bias=True),
    "crop past the input": conv(n=3, k=2, c=1, o=2, padding=((-4, 5), (0, 0)), bias=True),
    "crop and edge": conv(n=6, k=3, c=2, o=2, padding=((-2, 3), (1, -1)), pad_mode="edge"),
    "crop and reflect": conv(
        "NHWC HWIO", n=6, k=3, c=2, o=2, padding=((-1, 2), (1, -1)), pad_mode="reflect"
    ),
    "edge": conv(n=5, k=3, c=2, o=3, padding=((1, 2), (0, 1)), pad_mode="edge"),
    "reflect": conv(
        "NHWC HWIO", n=5, k=3, c=2, o=3, padding=((1, 2), (0, 1)), pad_mode="reflect", bias=True
    ),
    "symmetric": conv(
        "NHWC HWIO", n=5, k=3, c=2, o=3, padding=((1, 2), (0, 1)), pad_mode="symmetric"
    ),
    "wrap": conv(n=5, k=3, c=2, o=3, padding=((1, 2), (0, 1)), pad_mode="wrap", stride=2),
    "edge wider than the input": conv(
        n=2, k=3, c=2, o=2, padding=((5, 1), (0, 4)), pad_mode="edge"
    ),
    "reflect wider than the input": conv(
        n=3, k=3, c=2, o=2, padding=((8, 1), (1, 9)), pad_mode="reflect"
    ),
    "symmetric wider than the input": conv(
        "NHWC HWIO", n=2, k=3, c=2, o=2, padding=((8, 1), (1, 9)), pad_mode="symmetric"
    ),
    "wrap wider than the input": conv(
        n=2, k=3, c=2, o=2, padding=((7, 1), (1, 3)), pad_mode="wrap"
    ),
    "reflect of a single pixel": conv(
        n=(1, 4), k=3, c=1, o=2, padding=((1, 1), (1, 1)), pad_mode="reflect"
    ),
    "input dilated": conv(
        "NHWC HWIO",
        n=4,
        k=3,
        c=2,
        o=3,
        input_dilation=(2, 3),
        padding=((1, 2), (0, 1)),
        stride=(1, 2),
    ),
    "input dilated by the kernel's size": conv(
        n=(1, 4), k=2, c=2, o=2, input_dilation=(1, 2), padding=((1, 1), (0, 0))
    ),
    "transposed, cropped to no padding": conv(
        "NCHW IOHW", n=(1, 4), k=2, c=2, o=2, stride=2, padding=((0, 0), (1, 1)), transposed=True
    ),
    "input dilated, reflect": conv(
        n=4, k=3, c=2, o=3, input_dilation=2, padding=1, pad_mode="reflect"
    ),
    # Another pad mode along each axis.
    "edge and wrap": conv(n=(5, 6), k=3, c=2, o=3, padding=1, pad_mode=("edge", "wrap")),
    "zeros and wrap, plain image": conv(
        "HW HW", n=(5, 6), k=3, padding=((1, 1), (2, 1)), pad_mode=("constant", "wrap"), flip=True
    ),
    "plain image, same, modes by axis": conv(
        "HW HW", n=(5, 6), k=3, padding=1, pad_mode=("reflect", "wrap")
    ),
    "reflect and symmetric, NHWC": conv(
        "NHWC HWIO",
        n=(6, 5),
        k=3,
        c=2,
        o=2,
        stride=2,
        padding=((1, 2), (2, 0)),
        pad_mode=("reflect", "symmetric"),
        bias=True,
    ),
    "reflect and zeros, NHWC": conv(
        "NHWC HWIO", n=5, k=3, c=4, o=4, groups=2, padding=2, pad_mode=("reflect", "constant")
    ),
    "wrap and zeros, depthwise": conv(
        "NHWC HWIM", n=5, k=3, c=2, o=4, groups=2, padding=(0, 1), pad_mode=("wrap", "constant")
    ),
    "wider than the input, modes by axis": conv(
        n=(3, 2), k=3, c=2, o=2, padding=((8, 1), (1, 3)), pad_mode=("symmetric", "wrap")
    ),
    "crop, modes by axis": conv(
        n=6, k=3, c=2, o=2, padding=((-2, 3), (1, -1)), pad_mode=("edge", "constant")
    ),
    "a mode along an axis without padding": conv(
        n=5, k=3, c=2, o=2, padding=((0, 0), (1, 1)), pad_mode=("symmetric", "reflect")
    ),
    "pad value along one axis": conv(
        n=5, k=3, c=2, o=2, padding=((1, 2), (2, 1)), pad_mode=("constant", "wrap"), pad_value=-3
    ),
    "pad values along one axis, NHWC": conv(
        "NHWC HWIO",
        n=5,
        k=3,
        c=2,
        o=2,
        padding=((1, 2), (2, 1)),
        pad_mode=("reflect", "constant"),
        pad_value=(2, -1),
    ),
    # Numbers in the padding.
    "pad value, plain signal": conv("W W", n=9, k=3, padding=1, pad_value=2, flip=True),
    "pad value, plain signal, full": conv("W W", n=5, k=3, padding=2, pad_value=-3, bias=True),
    "pad value, NCW": conv("NCW OIW", n=7, k=3, c=2, o=3, padding=(2, 1), stride=2, pad_value=1),
    "pad values, NWC": conv("NWC WIO", n=7, k=3, c=2, o=3, padding=(2, 0), pad_value=(1, -2)),
    "pad value, plain image": conv("HW HW", n=6, k=3, padding=1, pad_value=3),
    "pad value": conv(n=6, k=3, c=3, o=2, padding=1, pad_value=2, bias=True, batch=2),
    "pad value, same at stride 2": conv(
        "NHWC HWIO", n=6, k=3, c=2, o=3, stride=2, padding=(0, 1), pad_value=-1
    ),
    "pad values": conv(n=6, k=3, c=3, o=2, padding=((1, 2), (0, 1)), pad_value=(1, -2, 3)),
    "pad values, NHWC": conv(
        "NHWC HWIO", n=6, k=3, c=3, o=2, padding=1, dilation=2, pad_value=(1, -2, 3), flip=True
    ),
    "pad values, channels in the middle": conv(
        "HCWN OIHW NCHW", n=(4, 5), k=2, c=2, o=2, padding=1, pad_value=(3, 1)
    ),
    "pad values, two groups": conv(
        n=6, k=3, c=4, o=6, groups=2, padding=1, stride=2, pad_value=(1, 2, 3, 4)
    ),
    "pad values, depthwise HWIM": conv(
        "NHWC HWIM", n=6, k=3, c=3, o=6, groups=3, padding=1, pad_value=(1, 0, -1)
    ),
    "pad value, cropped": conv(n=6, k=3, c=2, o=2, padding=((-2, 3), (1, -1)), pad_value=2),
    "pad values, cropped": conv(
        "NHWC HWIO", n=6, k=3, c=2, o=2, padding=((-1, 2), (1, -1)), pad_value=(2, 1)
    ),
    "pad value instead of the whole input": conv(
        n=2, k=2, c=2, o=2, padding=((-3, 5), (1, 1)), pad_value=(2, 1)
    ),
    "pad value, no padding": conv(n=5, k=3, c=2, o=2, pad_value=2),
    "pad value, input dilated": conv(
        n=4, k=3, c=2, o=3, input_dilation=(2, 3), padding=((1, 2), (0, 1)), pad_value=2
    ),
    "pad values, input dilated": conv(
        "NHWC HWIO", n=4, k=3, c=2, o=3, input_dilation=2, padding=1, pad_value=(2, -1)
    ),
    "pad value, 3-D": conv("NCDHW OIDHW", n=4, k=3, c=2, o=2, padding=(1, 0), pad_value=2),
    "pad values, 3-D": conv(
        "NDHWC DHWIO", n=5, k=2, c=2, o=3, padding=1, stride=(1, 2, 1), pad_value=(2, -3)
    ),
    "pad value, float64": conv(n=6, k=3, c=2, o=3, padding=1, pad_value=2, dtype="float64"),
    "pad value, float16": conv(
        "NHWC HWIO", n=6, k=3, c=2, o=3, padding=1, pad_value=2, dtype="float16"
    ),
    "pad values, bfloat16": conv(
        n=6, k=3, c=2, o=3, padding=1, pad_value=(1, -1), dtype="bfloat16"
    ),
    # Two axes, groups.
    "two groups": conv(n=6, k=3, c=4, o=6, groups=2, padding=1, bias=True, batch=2),
    "two groups, channels last": conv(
        "NHWC HWIO", n=6, k=3, c=4, o=6, groups=2, padding=(0, 1), stride=2, flip=True
    ),
    "depthwise": conv(n=6, k=3, c=3, o=3, groups=3, padding=1),
    "depthwise OIHW with multiplier": conv(n=6, k=3, c=3, o=6, groups=3, padding=1, bias=True),
    "depthwise HWIM": conv("NHWC HWIM", n=6, k=3, c=3, o=6, groups=3, padding=1, bias=True),
    "depthwise HWIM, stride 2": conv(
        "NHWC HWIM", n=8, k=3, c=3, o=3, groups=3, padding=(0, 1), stride=2
    ),
    "depthwise HWIM, unequal strides": conv(
        "NHWC HWIM", n=8, k=3, c=3, o=6, groups=3, stride=(1, 2), padding=1
    ),
    "depthwise HWIM, stride and dilation": conv(
        "NHWC HWIM", n=9, k=3, c=2, o=4, groups=2, stride=2, dilation=2, padding=2
    ),
    "depthwise HWIM, dilated, flipped": conv(
        "NHWC HWIM NCHW", n=9, k=3, c=2, o=4, groups=2, dilation=(2, 1), flip=True
    ),
    "depthwise MIHW": conv(
        "NCHW MIHW", n=6, k=(2, 3), c=2, o=6, groups=2, padding=((1, 0), (1, 1))
    ),
    "depthwise HWIM of one channel": conv("NHWC HWIM", n=6, k=3, o=4, padding=1),
    "groups of one output each": conv(n=6, k=3, c=6, o=3, groups=3),
    # Two axes, transposed.
    "transposed": conv(
        "NCHW IOHW",
        n=5,
        k=3,
        c=3,
        o=4,
        batch=2,
        stride=2,
        padding=1,
        output_padding=1,
        transposed=True,
        bias=True,
    ),
    "transposed NHWC/HWOI": conv(
        "NHWC HWOI", n=5, k=3, c=3, o=4, stride=2, padding=(0, 1), transposed=True, bias=True
    ),
    "transposed, flipped": conv(
        "NHWC HWIO", n=5, k=3, c=3, o=4, stride=2, transposed=True, flip=True
    ),
    "transposed, even kernel": conv(
        "NCHW IOHW", n=4, k=4, c=2, o=3, stride=2, padding=1, transposed=True
    ),
    "transposed, asymmetric": conv(
        "NCHW IOHW",
        n=4,
        k=3,
        c=2,
        o=3,
        stride=2,
        padding=((2, 0), (0, 2)),
        transposed=True,
        bias=True,
    ),
    "transposed, dilated": conv(
        "NCHW IOHW", n=4, k=3, c=2, o=3, stride=(2, 3), dilation=2, padding=1, transposed=True
    ),
    "transposed, cropped beyond the kernel": conv(
        "NHWC HWOI", n=5, k=2, c=2, o=3, stride=3, padding=((1, 8), (4, 2)), transposed=True
    ),
    "transposed, negative padding": conv(
        "NCHW IOHW",
        n=4,
        k=3,
        c=2,
        o=3,
        stride=2,
        padding=((-1, 0), (0, -2)),
        transposed=True,
        bias=True,
    ),
    "transposed, stride above the kernel": conv(
        "NHWC HWOI", n=3, k=2, c=2, o=3, stride=4, output_padding=2, transposed=True, bias=True
    ),
    "transposed, output padding beyond the kernel": conv(
        "NCHW IOHW", n=3, k=2, c=2, o=3, stride=2, output_padding=5, transposed=True, bias=True
    ),
    "transposed, output padding within the crop": conv(
        "NHWC HWOI", n=4, k=3, c=2, o=2, stride=2, padding=(0, 2), output_padding=1, transposed=True
    ),
    "transposed, two groups": conv(
        "NCHW IOHW", n=4, k=3, c=4, o=6, groups=2, stride=2, padding=1, transposed=True, bias=True
    ),
    "transposed, two groups, channels last": conv(
        "NHWC HWOI",
        n=4,
        k=(2, 3),
        c=4,
        o=6,
        groups=2,
        stride=2,
        padding=(0, 1),
        transposed=True,
        flip=True,
    ),
    "transposed, depthwise": conv(
        "NHWC HWIM", n=4, k=3, c=3, o=6, groups=3, stride=2, padding=1, transposed=True
    ),
    "transposed, groups of one output": conv(
        "NCHW IOHW", n=4, k=2, c=6, o=3, groups=3, stride=2, transposed=True
    ),
    "transposed 1x1, stride 2": conv("NCHW IOHW", n=4, k=1, c=2, o=2, stride=2, transposed=True),
    "transposed, width before height": conv(
        "NWHC HWIO NHWC",
        n=(3, 4),
        k=(3, 2),
        c=2,
        o=3,
        stride=(1, 2),
        padding=((0, 1), (1, 0)),
        transposed=True,
        bias=True,
    ),
    "transposed, image and filter": conv("HW HW", n=4, k=3, stride=2, padding=1, transposed=True),
    "transposed, one channel to all axes": conv(
        "HW HW NCHW", n=4, k=3, stride=2, transposed=True, bias=True
    ),
    # Three axes.
    "NCDHW/OIDHW": conv(
        "NCDHW OIDHW",
        n=(4, 5, 6),
        k=(2, 3, 3),
        c=2,
        o=3,
        padding=((0, 1), (1, 1), (1, 1)),
        bias=True,
    ),
    "NDHWC/DHWIO, same at stride 2": conv(
        "NDHWC DHWIO", n=6, k=3, c=2, o=3, stride=2, padding=(0, 1), flip=True
    ),
    "3-D symmetric padding": conv("NCDHW OIDHW", n=4, k=3, c=2, o=2, stride=(1, 2, 1), padding=1),
    "3-D stride and dilation": conv(
        "NDHWC DHWIO", n=7, k=2, c=2, o=2, stride=2, dilation=(2, 1, 3), padding=(1, 0)
    ),
    "3-D groups": conv("NDHWC DHWIO", n=4, k=2, c=4, o=4, groups=2, padding=(0, 1), bias=True),
    "3-D depthwise": conv("NDHWC DHWIM", n=4, k=2, c=2, o=4, groups=2, dilation=2, bias=True),
    "3-D wrap": conv("NCDHW OIDHW", n=3, k=3, c=1, o=2, padding=1, pad_mode="wrap"),
    "3-D, zeros, edge and wrap": conv(
        "NCDHW OIDHW",
        n=(3, 4, 5),
        k=3,
        c=2,
        o=2,
        padding=1,
        stride=(1, 2, 1),
        pad_mode=("constant", "edge", "wrap"),
    ),
    "3-D, reflect along one axis, NDHWC": conv(
        "NDHWC DHWIO",
        n=(3, 4, 5),
        k=2,
        c=1,
        o=2,
        padding=((0, 1), (1, 0), (1, 1)),
        pad_mode=("symmetric", "symmetric", "reflect"),
    ),
    "3-D volume and kernel": conv("DHW DHW", n=(4, 5, 3), k=2, padding=(1, 0)),
    "3-D transposed": conv(
        "NCDHW IODHW",
        n=3,
        k=3,
        c=2,
        o=2,
        stride=2,
        padding=1,
        output_padding=1,
        transposed=True,
        bias=True,
    ),
    "3-D transposed, groups, asymmetric": conv(
        "NDHWC DHWOI",
        n=3,
        k=2,
        c=4,
        o=2,
        groups=2,
        stride=(2, 1, 2),
        padding=((0, 1), (0, 0), (1, 0)),
        transposed=True,
    ),
    "3-D transposed, dilated": conv(
        "NCDHW IODHW", n=3, k=2, c=2, o=2, stride=2, dilation=2, transposed=True, flip=True
    ),
    # Compute types.
    "float64": conv(n=6, k=3, c=2, o=3, padding=1, bias=True, dtype="float64"),
    "float64, transposed": conv(
        "NHWC HWOI", n=4, k=3, c=2, o=3, stride=2, bias=True, transposed=True, dtype="float64"
    ),
    "float16": conv("NHWC HWIO", n=6, k=3, c=2, o=3, padding=1, bias=True, dtype="float16"),
    "float16, plain signal": conv("W W", n=6, k=3, padding=1, dtype="float16"),
    "bfloat16": conv(n=6, k=3, c=2, o=3, padding=1, bias=True, dtype="bfloat16"),
    "bfloat16, transposed": conv(
        "NHWC HWOI", n=4, k=3, c=2, o=3, stride=2, bias=True, transposed=True, dtype="bfloat16"
    ),
}


def arrays(spec: ConvSpec, seed: int = 0) -> dict[str, Array]:
    """Arrays of integers for a spec: `input`, `kernel` and, if it has one, `bias`.

    The integers are small enough that no sum is rounded.
    """
    rng = np.random.default_rng(seed)
    largest = 1 if spec.dtype == "bfloat16" else 4

    def draw(shape: tuple[int, ...]) -> Array:
        return rng.integers(-largest, largest + 1, shape).astype(np.float32)

    operands = {"input": draw(spec.shape("input")), "kernel": draw(spec.shape("kernel"))}
    return operands | ({"bias": draw((spec.out_channels,))} if spec.bias else {})


def random_specs(count: int, seed: int) -> Iterator[ConvSpec]:
    """`count` small random specs, of every kind that a spec can express."""
    rng = random.Random(seed)
    while count:
        try:
            yield _draw(rng)
            count -= 1
        except SpecError:
            continue


def _draw(rng: random.Random) -> ConvSpec:
    rank = rng.choice((1, 2, 2, 2, 3))
    groups = rng.choice((1, 1, 1, 2, 3))
    transposed = rng.random() < 0.35
    depthwise = groups > 1 and rng.random() < 0.3
    inner = 1 if depthwise else rng.choice((1, 2))
    fields: dict[str, Any] = {
        "batch": rng.choice((1, 2)),
        "in_channels": inner * groups,
        "out_channels": rng.choice((1, 2)) * groups,
        "groups": groups,
        "bias": rng.random() < 0.4,
        "flip": rng.random() < 0.4,
        "transposed": transposed,
        "pad_mode": "constant" if transposed or rng.random() < 0.6 else rng.choice(PAD_MODES),
        "dtype": rng.choice(("float32", "float32", "float32", "float64")),
    }
    if not transposed and fields["pad_mode"] == "constant" and rng.random() < 0.4:
        numbers = tuple(rng.choice((-2, 0, 1, 3)) for _ in range(fields["in_channels"]))
        fields["pad_value"] = parse_pad_value(rng.choice((2, numbers)))

    if fields["pad_mode"] != "constant" and rng.random() < 0.3:
        fields["pad_mode"] = tuple(rng.choice(PAD_MODES) for _ in range(rank))

    def draw_per_axis(*choices: int) -> tuple[int, ...]:
        return tuple(rng.choice(choices) for _ in range(rank))

    padding_widths = (-2, -1, 0, 0, 0, 1, 1, 2, 3, 7) if rng.random() < 0.5 else (0, 1)
    space = AXES_OF_RANK[rank]
    kernel_channels = (2, 2) if groups > 1 else (fields["out_channels"], inner)
    return ConvSpec(
        input_layout=_draw_layout(rng, space, "NC", (fields["batch"], fields["in_channels"])),
        kernel_layout=_draw_layout(rng, space, "MI" if depthwise else "OI", kernel_channels),
        output_layout=_draw_layout(rng, space, "NC", (fields["batch"], fields["out_channels"])),
        input_size=draw_per_axis(1, 2, 3, 4, 5),
        kernel_size=draw_per_axis(1, 2, 3, 4),
        stride=draw_per_axis(1, 1, 2, 3),
        dilation=draw_per_axis(1, 1, 2),
        padding=tuple(
            zip(draw_per_axis(*padding_widths), draw_per_axis(*padding_widths), strict=True)
        ),
        input_dilation=draw_per_axis(1) if transposed else draw_per_axis(1, 1, 1, 2),
        output_padding=draw_per_axis(0, 0, 1, 4) if transposed else draw_per_axis(0),
        **fields,
    )


def _draw_layout(rng: random.Random, space: str, letters: str, sizes: tuple[int, int]) -> str:
    """A layout with the letters in random order; a letter of size 1 may be left out."""
    kept = [
        letter
        for letter, size in zip(letters, sizes, strict=True)
        if size > 1 or rng.random() < 0.6
    ]
    order = [*space, *kept]
    rng.shuffle(order)
    if rng.random() < 0.7:
        # Mostly the usual order of the spatial axes, with the others anywhere among them.
        in_order = iter(space)
        order = [next(in_order) if letter in space else letter for letter in order]
    return "".join(order)
