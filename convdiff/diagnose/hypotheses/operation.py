"""Hypotheses about the operation: transposed for direct or the reverse, and the number of groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from convdiff.diagnose.core.array_view import ArrayView
from convdiff.diagnose.core.forms import OperationForm
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import OperationHypothesis
from convdiff.diagnose.hypotheses.kernel import kernel_placed_as
from convdiff.errors import SpecError
from convdiff.records import Edit
from convdiff.spec.canonical import normal_kernel
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array, axis_sizes


class WrongTransposed(OperationHypothesis):
    """A transposed convolution was run where a direct one was asked, or the reverse.

    How it shows: by the output's size. Stride 1 and padding can hide it; then it looks like a
    flipped kernel with in and out channels exchanged, and with one channel each it is that.
    Typical causes: conv_transpose2d called for conv2d, which equal channel counts let pass; a
    gradient's formula used for the forward pass; a decoder's layer ported with the encoder's
    function; cuDNN's backward-data called for forward.
    What tells it apart: stride 2, or distinct channel counts with a kernel without symmetry.
    Fix: call the other function; the kernel's channel axes are exchanged between the two:
        numpy: `kernel.swapaxes(0, 1)[..., ::-1, ::-1]` makes one of the other at stride 1
        torch: `F.conv2d(input, kernel)` takes OIHW, `F.conv_transpose2d(input, kernel.transpose(0, 1))` IOHW
        tensorflow: `tf.nn.conv2d` takes HWIO, `tf.nn.conv2d_transpose` HWOI
        jax: `jax.lax.conv_general_dilated` for `jax.lax.conv_transpose`; the latter needs `transpose_kernel=True` to be the adjoint
        theano: `theano.tensor.nnet.abstract_conv.conv2d_grad_wrt_inputs` is the transposed one
    """

    code: ClassVar[str] = "wrong-transposed"
    shown_by: ClassVar[str] = "a stride of 2 or more"

    def forms(self, problem: Problem, base: OperationForm) -> Iterator[OperationForm]:
        """The same array handed to the other operation, which takes its first channel axis for the
        other kind.
        """
        spec = base.spec
        array = base.raw_kernel
        if base.edits or not {"I", "O"} <= set(spec.kernel_layout):
            return
        edit = {"code": self.code, "asked": spec.transposed, "obtained": not spec.transposed}
        exchanged = spec.kernel_layout.translate(str.maketrans("IO", "OI"))
        for layout, oddness in ((exchanged, 0.1), (spec.kernel_layout, 0.4)):
            made = _other_operation(spec, layout, array)
            if made is None:
                continue
            form: OperationForm = base.plus(
                edit, oddness, spec=made, kernel=ArrayView.of(normal_kernel(made, problem.kernel))
            )
            if layout == spec.kernel_layout:
                # The letters kept: relative to the array handed over as it is, its channel axes
                # were exchanged too.
                read = {"code": "kernel-axes-permuted", "asked": exchanged, "obtained": layout}
                form = form.plus(read, 0.0)
            yield form

    def sentence(self, edit: Edit) -> str:
        kinds = ("a direct convolution", "a transposed convolution")
        return f"{kinds[edit['obtained']]} was run where {kinds[edit['asked']]} was asked"

    def showing_arrays(self, spec: ConvSpec) -> str | None:
        return self.shown_by if max(spec.stride) == 1 else None


def _other_operation(spec: ConvSpec, layout: str, kernel: ArrayView) -> ConvSpec | None:
    known = axis_sizes(layout, kernel.shape)
    inner, outer = known.get("I", 1), known.get("O", 1)
    transposed = not spec.transposed
    channels = inner if transposed else inner * spec.groups
    if channels != spec.in_channels:
        return None
    none = (0,) * spec.rank
    # Only channels are taken from this spec; its geometry is hypothesised later and must merely be
    # possible.
    padding = tuple(
        (0, 0) if transposed else (k * d, k * d)
        for k, d in zip(spec.kernel_size, spec.dilation, strict=True)
    )
    try:
        return replace(
            spec,
            transposed=transposed,
            kernel_layout=layout,
            out_channels=outer * spec.groups if transposed else outer,
            output_padding=none,
            input_dilation=(1,) * spec.rank,
            pad_mode="constant",
            padding=padding,
        )
    except SpecError:
        return None


class WrongGroups(OperationHypothesis):
    """The channels were split into another number of groups than asked.

    How it shows: everything differs; data that are alike in every channel (all ones) show a plain
    factor. With one input channel there is nothing to split.
    Typical causes: a depthwise layer ported as a dense one or the reverse; groups left at 1 where
    the weights were tiled to fit; TensorFlow and ONNX read the groups off the weights' shape, so
    that a wrong shape is a wrong count; a converter that takes every grouped layer for a depthwise
    one.
    What tells it apart: channels and weights that differ, and counts above 2 that have several
    divisors (4 in, 8 out).
    Fix: pass the same number of groups on both sides; the kernel then has C / G input channels:
        numpy: `np.split(input, G, axis=1)`, one convolution each with `np.split(kernel, G, axis=0)`, and concatenate
        torch: `groups=G`; depthwise is groups=C
        tensorflow: implied by the kernel's I in tf.nn.conv2d; `groups=G` in Keras; depthwise has `tf.nn.depthwise_conv2d` (HWCM)
        jax: `feature_group_count=G`
        theano: `num_groups=G`
    """

    code: ClassVar[str] = "wrong-groups"
    shown_by: ClassVar[str] = "channels that differ"

    def forms(self, problem: Problem, base: OperationForm) -> Iterator[OperationForm]:
        """Every other count that divides both channel counts, and the ways to have a kernel for it."""
        spec = base.spec
        if base.edits:
            return
        for groups in range(1, spec.in_channels + 1):
            if groups == spec.groups or spec.in_channels % groups or spec.out_channels % groups:
                continue
            for how, oddness in REGROUPINGS.items():
                if (
                    _channels(spec.out_channels, spec.in_channels, spec.groups, groups, how)
                    is not None
                ):
                    edit = {
                        "code": self.code,
                        "asked": spec.groups,
                        "obtained": groups,
                        "kernel": how,
                    }
                    yield base.plus(edit, oddness, spec=_with_groups(spec, groups), regroup=how)
        for made in _with_other_channels(spec):
            kernel = kernel_placed_as(made, base.raw_kernel, made.kernel_layout)
            if kernel is not None and made.out_channels != spec.out_channels:
                edit = {
                    "code": self.code,
                    "asked": spec.groups,
                    "obtained": made.groups,
                    "kernel": "whole",
                }
                yield base.plus(edit, 0.0, spec=made, kernel=kernel)

    def sentence(self, edit: Edit) -> str:
        kernel = {
            "own": "each group using its own channels' slice of the kernel",
            "first": "each using the kernel's first input channels",
            "tiled": "the kernel repeated over the input channels",
            "repeated": "each kernel channel repeated",
            "whole": "the kernel as it is, which makes another number of output channels",
        }[edit["kernel"]]
        channels = "1 group" if edit["obtained"] == 1 else f"{edit['obtained']} groups"
        return (
            f"{channels} where {edit['asked']} {'was' if edit['asked'] == 1 else 'were'} "
            f"asked, {kernel}"
        )


# How a kernel made for other groups was used, with how odd that is.
REGROUPINGS = {"own": 0.0, "first": 0.05, "tiled": 0.0, "repeated": 0.1}


def _with_other_channels(spec: ConvSpec) -> Iterator[ConvSpec]:
    """Other counts that the same kernel array takes, with other output channels.

    A transposed kernel's axes say what one group makes; a depthwise one (M) may be taken for a
    dense one, and the reverse.
    """
    layout, channels = spec.kernel_layout, spec.in_channels
    if spec.transposed:
        for groups in range(1, channels + 1):
            if channels % groups == 0 and groups != spec.groups:
                yield _changed(
                    spec,
                    groups=groups,
                    out_channels=spec.kernel_out * groups,
                    kernel_layout=layout.replace("M", "O"),
                )
    elif "M" in layout:
        yield _changed(
            spec, groups=1, out_channels=spec.kernel_out, kernel_layout=layout.replace("M", "O")
        )
    elif spec.groups == 1 < channels and {"I", "O"} <= set(layout):
        yield _changed(
            spec,
            groups=channels,
            out_channels=spec.out_channels * channels,
            kernel_layout=layout.replace("O", "M"),
        )


def _with_groups(spec: ConvSpec, groups: int) -> ConvSpec:
    """Channels and geometry of `spec` with another number of groups, for a kernel in normal form."""
    return _changed(
        spec, groups=groups, kernel_layout=("IO" if spec.transposed else "OI") + spec.axes
    )


def _changed(spec: ConvSpec, **changes: Any) -> ConvSpec:
    """`spec` with other numbers that are known to be right: many are made, and none is checked
    again.
    """
    made = object.__new__(ConvSpec)
    made.__dict__.update(spec.__dict__, **changes)
    return made


def regrouping(operation: OperationForm, asked: int) -> Callable[[ArrayView], ArrayView]:
    """What makes a kernel (O, C / asked, *space) one for the operation's groups, (O, C / groups,
    *space), as its `regroup` says.

    Fewer input channels per group: "own" takes the slice that belongs to the output channel's
    group, "first" the first ones. More of them: "tiled" repeats the kernel's channels as a block,
    "repeated" each in turn.
    """
    made = _channels(
        operation.spec.out_channels,
        operation.spec.in_channels,
        asked,
        operation.spec.groups,
        operation.regroup or "",
    )
    assert made is not None
    start, channels = made
    if start is None:
        return lambda kernel: kernel.select(1, channels)
    # Where a kernel's input channels begin is part of where its output channel does: they lie at
    # even distances.
    return lambda kernel: ArrayView(
        kernel.buffer,
        (
            kernel.offsets[0] + kernel.offsets[1][start] - kernel.offsets[1][0],
            kernel.offsets[1][channels],
            *kernel.offsets[2:],
        ),
        kernel.base_offsets,
    )


def _channels(
    outer: int, channels: int, asked: int, groups: int, how: str
) -> tuple[Array | None, Array] | None:
    """The kernel channels that each output channel uses: where they begin (None: at the first), and
    which they are from there.

    None where `how` does not apply.
    """
    inner, wanted = channels // asked, channels // groups
    if wanted < inner and how == "first":
        return None, np.arange(wanted)
    if wanted < inner and inner % wanted == 0:
        # Output channel o belongs to group o // (O / groups); its own channels, counted within
        # those its kernel has.
        channel = np.arange(outer)
        start = channel * groups // outer * wanted - channel * asked // outer * inner
        if how == "own" and start.min() >= 0 and (start + wanted).max() <= inner:
            return start, np.arange(wanted)
    if wanted > inner and wanted % inner == 0:
        if how == "tiled":
            return None, np.arange(wanted) % inner
        if how == "repeated" and inner > 1:
            return None, np.arange(wanted) * inner // wanted
    return None


OPERATION: tuple[OperationHypothesis, ...] = (WrongTransposed(), WrongGroups())
