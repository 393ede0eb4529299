"""Hypotheses about the operation: transposed instead of direct, and the number of groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from convdiff.diagnose.core.array_view import ArrayView
from convdiff.diagnose.core.forms import OperationForm
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import OperationHypothesis, exchanged_channel_letters
from convdiff.diagnose.hypotheses.kernel import kernel_read_as
from convdiff.errors import SpecError
from convdiff.records import Edit
from convdiff.spec.canonical import normal_kernel
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array, axis_sizes


class WrongTransposed(OperationHypothesis):
    """A transposed convolution was run instead of a direct one, or the reverse.

    How it shows: The output has another size. If stride 1 and the padding hide that, the mistake
    looks like a flipped kernel whose input and output channels are exchanged; with one input and
    one output channel it is the same as a flipped kernel.
    Typical causes: conv_transpose2d called instead of conv2d, which raises no error if there are as
    many input as output channels; the formula of a gradient used for the forward pass; a decoder's
    layer ported with the encoder's function; cuDNN's backward-data function called instead of the
    forward one.
    What tells it apart: A stride of 2, or different numbers of input and output channels and a
    kernel without symmetry.
    Fix: Call the other function; the two take the kernel's channel axes in opposite orders:
        numpy: `kernel.swapaxes(0, 1)[..., ::-1, ::-1]` converts one kernel to the other at stride 1
        torch: `F.conv2d(input, kernel)` takes OIHW,
            `F.conv_transpose2d(input, kernel.transpose(0, 1))` takes IOHW
        tensorflow: `tf.nn.conv2d` takes HWIO, `tf.nn.conv2d_transpose` takes HWOI
        jax: `jax.lax.conv_general_dilated` instead of `jax.lax.conv_transpose`, which needs
            `transpose_kernel=True` to be the adjoint
        theano: `theano.tensor.nnet.abstract_conv.conv2d_grad_wrt_inputs` is the transposed one
    """

    code: ClassVar[str] = "wrong-transposed"
    shown_by: ClassVar[str] = "a stride of 2 or more"

    def forms(self, problem: Problem, base: OperationForm) -> Iterator[OperationForm]:
        """The user's array passed to the other operation.

        The other operation takes the first channel axis for the second one.  If it does not, the
        channel axes were exchanged too, which is an edit of its own.
        """
        spec = base.spec
        if base.edits or not {"I", "O"} <= set(spec.kernel_layout):
            return
        edit = {"code": self.code, "asked": spec.transposed, "obtained": not spec.transposed}
        exchanged = exchanged_channel_letters(spec.kernel_layout)
        layouts = [(exchanged, 0.1)]
        if spec.pad_value == 0 or max(spec.stride) > 1:
            # At stride 1 it is a flipped kernel with zeros in the padding: where others were asked
            # there, that says what happened.
            layouts.append((spec.kernel_layout, 0.4))
        for layout, oddness in layouts:
            other_spec = _other_operation(spec, layout, base.raw_kernel)
            if other_spec is None:
                continue
            kernel = ArrayView.of(normal_kernel(other_spec, problem.kernel))
            form: OperationForm = base.plus(edit, oddness, spec=other_spec, kernel=kernel)
            if layout == spec.kernel_layout:
                read = {"code": "kernel-axes-permuted", "asked": exchanged, "obtained": layout}
                form = form.plus(read, 0.0)
            yield form

    def sentence(self, edit: Edit) -> str:
        kinds = ("direct", "transposed")
        obtained, asked = kinds[edit["obtained"]], kinds[edit["asked"]]
        return f"a {obtained} convolution was run instead of a {asked} one"

    def options(self, edit: Edit, spec: ConvSpec) -> dict[str, object] | None:
        if "M" in spec.kernel_layout:
            return None
        return {
            "transposed": edit["obtained"],
            "input_layout": spec.input_layout,
            "kernel_layout": exchanged_channel_letters(spec.kernel_layout),
            # The other operation knows neither: an edit says what it had instead.
            **({"output_padding": 0} if any(spec.output_padding) else {}),
            **({"pad_mode": "constant"} if spec.pad_mode != "constant" else {}),
        }

    def showing_arrays(self, spec: ConvSpec) -> str | None:
        return self.shown_by if max(spec.stride) == 1 else None


def _other_operation(spec: ConvSpec, layout: str, kernel: ArrayView) -> ConvSpec | None:
    """The spec of the other operation with `kernel` in `layout`; None if its channels differ."""
    size_of = axis_sizes(layout, kernel.shape)
    inner, outer = size_of.get("I", 1), size_of.get("O", 1)
    transposed = not spec.transposed
    in_channels = inner if transposed else inner * spec.groups
    if in_channels != spec.in_channels:
        return None
    # The search varies the geometry later.  Here it only has to be a possible one, which it is with
    # this padding, whatever the kernel.
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
            output_padding=(0,) * spec.rank,
            input_dilation=(1,) * spec.rank,
            pad_mode="constant",
            pad_value=0,
            padding=padding,
        )
    except SpecError:
        return None


class WrongGroups(OperationHypothesis):
    """The channels were split into another number of groups than asked for.

    How it shows: Every element differs. Data that are equal in all channels, such as all ones, show
    only a factor. A single input channel cannot be split.
    Typical causes: A depthwise layer ported as a dense one, or the reverse; groups left at 1 where
    the weights were tiled to fit; tf.nn.conv2d, which infers the groups from the kernel's shape, so
    that a wrong shape means a wrong number; a converter that takes every grouped layer for a
    depthwise one.
    What tells it apart: Channels and weights that differ, and numbers of channels that have several
    divisors, such as 4 inputs and 8 outputs.
    Fix: Pass the same number of groups on both sides; the kernel then has C / G input channels:
        numpy: `np.split(input, G, axis=1)` and `np.split(kernel, G, axis=0)`, one convolution for
            each pair, and the outputs concatenated
        torch: `groups=G`; a depthwise convolution has groups=C
        tensorflow: tf.nn.conv2d infers it from the kernel's I; `groups=G` in Keras;
            `tf.nn.depthwise_conv2d` (HWIM) for a depthwise convolution
        jax: `feature_group_count=G`
        theano: `num_groups=G`
    """

    code: ClassVar[str] = "wrong-groups"
    moves_output_channels: ClassVar[bool] = True
    shown_by: ClassVar[str] = "channels that differ"

    def forms(self, problem: Problem, base: OperationForm) -> Iterator[OperationForm]:
        """Every other number of groups, with every way to have a kernel for it.

        Either the number of output channels stays and the kernel is regrouped, or the kernel stays
        and gives another number of output channels.
        """
        spec = base.spec
        if base.edits:
            return
        for groups in range(1, spec.in_channels + 1):
            if groups == spec.groups or spec.in_channels % groups or spec.out_channels % groups:
                continue
            for regrouping, oddness in REGROUPING_ODDNESS.items():
                if _used_kernel_channels(spec, spec.groups, groups, regrouping) is not None:
                    edit = self._edit(spec, groups, regrouping)
                    regrouped = _with_groups(spec, groups)
                    yield base.plus(edit, oddness, spec=regrouped, regrouping=regrouping)
        for other_spec in _with_other_out_channels(spec):
            kernel = kernel_read_as(other_spec, base.raw_kernel, other_spec.kernel_layout)
            if kernel is not None and other_spec.out_channels != spec.out_channels:
                edit = self._edit(spec, other_spec.groups, "whole")
                yield base.plus(edit, 0.0, spec=other_spec, kernel=kernel)

    def _edit(self, spec: ConvSpec, groups: int, regrouping: str) -> Edit:
        return {"code": self.code, "asked": spec.groups, "obtained": groups, "kernel": regrouping}

    def sentence(self, edit: Edit) -> str:
        kernel = {
            "own": "each group using its own channels' slice of the kernel",
            "first": "each group using the kernel's first input channels",
            "tiled": "with the kernel tiled over the input channels",
            "repeated": "with each input channel of the kernel repeated",
            "whole": "with the kernel as it is, which gives another number of output channels",
        }[edit["kernel"]]
        obtained = edit["obtained"]
        groups = "there was 1 group" if obtained == 1 else f"there were {obtained} groups"
        return f"{groups} instead of {edit['asked']}, {kernel}"

    def options(self, edit: Edit, spec: ConvSpec) -> dict[str, object] | None:
        fits = edit["kernel"] == "whole" and spec.transposed and "M" not in spec.kernel_layout
        return {"groups": edit["obtained"]} if fits else None


# The ways in which a kernel for the asked number of groups is used for another, and their oddness.
REGROUPING_ODDNESS = {"own": 0.0, "first": 0.05, "tiled": 0.0, "repeated": 0.1}


def _with_other_out_channels(spec: ConvSpec) -> Iterator[ConvSpec]:
    """The specs with other numbers of groups and of output channels that fit the same kernel array.

    A transposed kernel holds the output channels of one group, so any number of groups fits.  A
    depthwise kernel (M) fits a dense convolution, and a dense kernel a depthwise one.
    """
    layout, channels = spec.kernel_layout, spec.in_channels
    if spec.transposed:
        for groups in range(1, channels + 1):
            if channels % groups == 0 and groups != spec.groups:
                yield _unchecked_replace(
                    spec,
                    groups=groups,
                    out_channels=spec.kernel_out * groups,
                    kernel_layout=layout.replace("M", "O"),
                )
    elif "M" in layout:
        yield _unchecked_replace(
            spec, groups=1, out_channels=spec.kernel_out, kernel_layout=layout.replace("M", "O")
        )
    elif spec.groups == 1 < channels and {"I", "O"} <= set(layout):
        yield _unchecked_replace(
            spec,
            groups=channels,
            out_channels=spec.out_channels * channels,
            kernel_layout=layout.replace("O", "M"),
        )


def _with_groups(spec: ConvSpec, groups: int) -> ConvSpec:
    """`spec` with another number of groups, for a kernel in normal form."""
    layout = ("IO" if spec.transposed else "OI") + spec.axes
    return _unchecked_replace(spec, groups=groups, kernel_layout=layout)


def _unchecked_replace(spec: ConvSpec, **changes: Any) -> ConvSpec:
    """`spec` with other fields, as `replace` does, but without the checks, which take long."""
    changed = object.__new__(ConvSpec)
    changed.__dict__.update(spec.__dict__, **changes)
    return changed


def kernel_regrouping(operation: OperationForm, asked: int) -> Callable[[ArrayView], ArrayView]:
    """Returns the function that adapts a kernel for `asked` groups to the operation's groups.

    It takes a kernel (O, C / asked, *space) to one of (O, C / groups, *space).  If each group has
    fewer input channels than before, the operation's `regrouping` is "own" (an output channel uses
    the slice of the kernel that belongs to its group) or "first" (it uses the first channels).  If
    each has more, it is "tiled" (all the kernel's input channels are repeated as a block) or
    "repeated" (one after the other is).
    """
    spec = operation.spec
    used = _used_kernel_channels(spec, asked, spec.groups, operation.regrouping or "")
    assert used is not None
    start, channels = used
    if start is None:
        return lambda kernel: kernel.select(1, channels)
    # The input channels are evenly spaced, so that an output channel's first one can be part of
    # the output channel's own offset.
    return lambda kernel: ArrayView(
        kernel.buffer,
        (
            kernel.offsets[0] + kernel.offsets[1][start] - kernel.offsets[1][0],
            kernel.offsets[1][channels],
            *kernel.offsets[2:],
        ),
        kernel.base_offsets,
    )


def _used_kernel_channels(
    spec: ConvSpec, asked: int, groups: int, regrouping: str
) -> tuple[Array | None, Array] | None:
    """The input channels of a kernel for `asked` groups that `groups` groups use.

    They are (the first one for each output channel, (O,), or None if that is 0 for all; the
    channels counted from there, (C / groups,)).  None if this regrouping does not apply.  `spec`
    gives the numbers of channels only.
    """
    available, needed = spec.in_channels // asked, spec.in_channels // groups
    if needed < available and regrouping == "first":
        return None, np.arange(needed)
    if needed < available and available % needed == 0 and regrouping == "own":
        # Output channel o is in group o // (O / groups); where that group's input channels start
        # is counted within those that the kernel has for o.
        output = np.arange(spec.out_channels)
        group_start = output * groups // spec.out_channels * needed
        start = group_start - output * asked // spec.out_channels * available
        if start.min() >= 0 and (start + needed).max() <= available:
            return start, np.arange(needed)
    if needed > available and needed % available == 0:
        if regrouping == "tiled":
            return None, np.arange(needed) % available
        if regrouping == "repeated" and available > 1:
            return None, np.arange(needed) * available // needed
    return None


OPERATION: tuple[OperationHypothesis, ...] = (WrongTransposed(), WrongGroups())
