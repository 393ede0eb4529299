"""Hypotheses about the operation: transposed for direct or the reverse, and the number of groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np

from convdiff.case import Edit
from convdiff.diagnose.forms import OperationForm
from convdiff.diagnose.hypothesis import OperationHypothesis
from convdiff.diagnose.problem import Problem
from convdiff.errors import SpecError
from convdiff.layout import Array, sizes
from convdiff.normal import normal_kernel
from convdiff.spec import ConvSpec


class WrongTransposed:
    """A transposed convolution was run where a direct one was asked, or the reverse.

    How it shows: the output's size, unless stride 1 and padding hide it; then it looks flipped with in and out channels exchanged.
    Typical causes: conv_transpose2d called for conv2d, a gradient's formula used for the forward pass.
    Fix: call the other function; the kernel's channel axes are exchanged between the two (OIHW and IOHW).
    """

    code: ClassVar[str] = "wrong-transposed"

    def forms(self, problem: Problem, base: OperationForm) -> Iterator[OperationForm]:
        """The same array handed to the other operation, which takes its first channel axis for the other kind."""
        spec = base.spec
        if base.edits or "M" in spec.kernel_layout or not {"I", "O"} <= set(spec.kernel_layout):
            return
        edit = {"code": self.code, "asked": spec.transposed, "obtained": not spec.transposed}
        exchanged = spec.kernel_layout.translate(str.maketrans("IO", "OI"))
        for layout, oddness in ((exchanged, 0.1), (spec.kernel_layout, 0.4)):
            made = _other_operation(spec, layout, base.raw_kernel)
            if made is None:
                continue
            form: OperationForm = base.plus(edit, oddness, spec=made, kernel=normal_kernel(made, base.raw_kernel))
            if layout == spec.kernel_layout:
                # The letters kept: relative to the array handed over as it is, its channel axes were exchanged too.
                read = {"code": "kernel-axes-permuted", "asked": exchanged, "obtained": layout}
                form = form.plus(read, 0.0)
            yield form

    def sentence(self, edit: Edit) -> str:
        return "a transposed convolution was run for a direct one" if edit["obtained"] else "a direct convolution was run for a transposed one"


def _other_operation(spec: ConvSpec, layout: str, kernel: Array) -> ConvSpec | None:
    known = sizes(layout, kernel.shape)
    inner, outer = known.get("I", 1), known.get("O", 1)
    transposed = not spec.transposed
    channels = inner if transposed else inner * spec.groups
    if channels != spec.in_channels:
        return None
    try:
        return replace(
            spec, transposed=transposed, kernel_layout=layout, out_channels=outer * spec.groups if transposed else outer,
            output_padding=(0,) * spec.rank, input_dilation=(1,) * spec.rank, pad_mode="constant",
            # Only channels are taken from this spec; its geometry is hypothesised later and must merely be possible.
            padding=((0, 0),) * spec.rank if transposed else tuple((k * d, k * d) for k, d in zip(spec.kernel_size, spec.dilation, strict=True)),
        )
    except SpecError:
        return None


class WrongGroups:
    """The channels were split into another number of groups than asked.

    How it shows: the interior differs; data that are alike in every channel (all ones) show a plain factor.
    Typical causes: torch's groups= taken for TensorFlow's channels, a depthwise layer ported as a dense one, groups left at 1.
    Fix: pass the same number of groups on both sides; its kernel has C / groups input channels.
    """

    code: ClassVar[str] = "wrong-groups"

    def forms(self, problem: Problem, base: OperationForm) -> Iterator[OperationForm]:
        """Every other count that divides both channel counts, and the ways to have a kernel for it."""
        spec = base.spec
        if base.edits:
            return
        for groups in range(1, spec.in_channels + 1):
            if groups == spec.groups or spec.in_channels % groups or spec.out_channels % groups:
                continue
            for how, kernel, oddness in _regrouped(base.kernel, spec.groups, groups):
                edit = {"code": self.code, "asked": spec.groups, "obtained": groups, "kernel": how}
                letters = ("IO" if spec.transposed else "OI") + spec.axes
                yield base.plus(edit, oddness, spec=replace(spec, groups=groups, kernel_layout=letters), kernel=kernel, raw_kernel=None)

    def sentence(self, edit: Edit) -> str:
        kernel = {
            "own": "each group using its own channels' slice of the kernel", "first": "each using the kernel's first input channels",
            "tiled": "the kernel repeated over the input channels", "repeated": "each kernel channel repeated",
        }[edit["kernel"]]
        channels = "1 group" if edit["obtained"] == 1 else f"{edit['obtained']} groups"
        return f"{channels} where {edit['asked']} {'was' if edit['asked'] == 1 else 'were'} asked, {kernel}"


def _regrouped(kernel: Array, asked: int, groups: int) -> Iterator[tuple[str, Array, float]]:
    """Kernels (O, C / groups, ...) that someone with one for `asked` groups, (O, C / asked, ...), would use."""
    outer, inner = kernel.shape[:2]
    wanted = inner * asked // groups
    if wanted < inner:
        if inner % wanted:
            return
        # Output channel o belongs to group o // (O / groups); its own channels, within those its kernel has.
        first_channel = np.arange(outer) * groups // outer * wanted
        start = first_channel - np.arange(outer) * asked // outer * inner
        if start.min() >= 0 and (start + wanted).max() <= inner:
            rows = np.arange(outer)[:, None]
            yield "own", kernel[rows, start[:, None] + np.arange(wanted)], 0.0
        yield "first", kernel[:, :wanted], 0.05
        return
    if wanted % inner == 0:
        yield "tiled", np.tile(kernel, (1, wanted // inner) + (1,) * (kernel.ndim - 2)), 0.0
        if inner > 1:
            yield "repeated", np.repeat(kernel, wanted // inner, axis=1), 0.1


OPERATION: tuple[OperationHypothesis, ...] = (WrongTransposed(), WrongGroups())
