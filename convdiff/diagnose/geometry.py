"""Hypotheses about the geometry: padding, its sides and mode, stride, dilation, output padding.

The obtained size leaves few choices along each axis: for a stride, a dilation and a start padding the end padding follows,
up to positions that no window reaches.  Each axis' choices are listed on their own and combined; an edit covers all axes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar

from convdiff.case import Edit
from convdiff.diagnose.forms import AxisGeometry, GeometryForm
from convdiff.padding import Pair, reach, same_total, split
from convdiff.spec import ConvSpec, pairs_text

STRIDES = (1, 2, 3, 4)
DILATIONS = (1, 2, 3, 4)
MODES = ("constant", "reflect", "edge", "wrap", "symmetric")


class WrongPadding:
    """The input was padded by other amounts, or on other sides, than asked.

    How it shows: the output's size; or, where the total is right and its sides are not, everything shifted by one.
    Typical causes: TensorFlow's SAME puts the odd one at the end and pads (0, 1) for a 3-wide kernel at stride 2 on even sizes, where
    torch's padding=1 pads (1, 1); causal layers pad the start only; padding computed from the undilated kernel; F.pad lists the
    last axis first; ONNX lists all begins before all ends.
    Fix: pad by hand as the other side does (F.pad(input, (0, 1, 0, 1)) in torch), then convolve with padding 0.
    """

    code: ClassVar[str] = "wrong-padding"

    def sentence(self, edit: Edit) -> str:
        return f"padding {_pairs(edit['obtained'])} where {_pairs(edit['asked'])} was asked"


class WrongPadMode:
    """The padding was filled by another rule than asked.

    How it shows: the border only.
    Typical causes: padding_mode left at zeros; OpenCV's default border is reflect; scipy's boundary words differ from numpy's
    (ndimage's "reflect" is numpy's "symmetric", its "mirror" is numpy's "reflect"); an FFT without zero padding wraps around.
    Fix: pad by hand with np.pad's mode, or name the mode on both sides.
    """

    code: ClassVar[str] = "wrong-pad-mode"

    def sentence(self, edit: Edit) -> str:
        return f"the padding was filled by {edit['obtained']!r} where {edit['asked']!r} was asked"


class WrongStride:
    """The kernel moved by another step than asked.

    How it shows: the output's size.
    Typical causes: a stride left at 1, H and W strides exchanged, a pooling layer's stride folded in.
    Fix: pass the same stride on both sides.
    """

    code: ClassVar[str] = "wrong-stride"

    def sentence(self, edit: Edit) -> str:
        return f"stride {_numbers(edit['obtained'])} where {_numbers(edit['asked'])} was asked"


class WrongDilation:
    """The kernel's taps lay further apart, or closer, than asked.

    How it shows: the interior; the output's size unless the padding changed with it.
    Typical causes: oneDNN counts dilation from 0, everyone else from 1; a dilation of one axis used for both; dilation ignored.
    Fix: pass the same dilation; 1 is dense.
    """

    code: ClassVar[str] = "wrong-dilation"

    def sentence(self, edit: Edit) -> str:
        return f"dilation {_numbers(edit['obtained'])} where {_numbers(edit['asked'])} was asked"


class WrongOutputPadding:
    """A transposed convolution's output has more or fewer positions at its end than asked.

    How it shows: the output's size.
    Typical causes: output_padding left at 0; TensorFlow takes the output's shape instead.
    Fix: set output_padding (torch) or output_shape (TensorFlow) so that the sizes agree.
    """

    code: ClassVar[str] = "wrong-output-padding"

    def sentence(self, edit: Edit) -> str:
        return f"output padding {_numbers(edit['obtained'])} where {_numbers(edit['asked'])} was asked"


def _pairs(pairs: list[list[int]]) -> str:
    return pairs_text(tuple((lo, hi) for lo, hi in pairs))


def _numbers(numbers: list[int]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else ",".join(map(str, numbers))


GEOMETRY = (WrongPadding(), WrongPadMode(), WrongStride(), WrongDilation(), WrongOutputPadding())


def geometries(
    spec: ConvSpec, asked: ConvSpec, n: tuple[int, ...], k: tuple[int, ...], m: tuple[int, ...], edits: int
) -> Iterator[GeometryForm]:
    """Every geometry with exactly this many edits from what was asked that makes m outputs of n inputs and k taps.

    `spec` says which operation (direct or transposed) it is, `asked` which numbers were wanted.
    """
    kinds = ("padding", "output_padding", "stride", "dilation") if spec.transposed else ("padding", "stride", "dilation", "pad_mode")
    for changed in itertools.combinations(kinds, edits):
        strides = _tuples(asked.stride, STRIDES) if "stride" in changed else [asked.stride]
        dilations = _tuples(asked.dilation, DILATIONS) if "dilation" in changed else [asked.dilation]
        modes = [mode for mode in MODES if mode != asked.pad_mode] if "pad_mode" in changed else [asked.pad_mode]
        if spec.transposed:
            modes = ["constant"]
        for stride, dilation in itertools.product(strides, dilations):
            axes = [_axis(spec, asked, i, n[i], k[i], m[i], stride[i], dilation[i], changed) for i in range(asked.rank)]
            for combination in _combined(axes, small=asked.rank < 3 or edits < 2):
                for mode in modes:
                    form = _form(combination, spec, asked, mode)
                    if form is not None and len(form.edits) == edits:
                        yield form


def _tuples(asked: tuple[int, ...], usual: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Other values than asked: one for all axes, one axis changed, or the asked ones exchanged."""
    rank = len(asked)
    values = [*dict.fromkeys([*asked, *usual])]
    found = [(value,) * rank for value in values]
    found += [(*asked[:i], value, *asked[i + 1 :]) for i in range(rank) for value in values]
    found += list(itertools.permutations(asked))
    return [numbers for numbers in dict.fromkeys(found) if numbers != asked]


def _combined(axes: list[list[AxisGeometry]], small: bool) -> Iterator[tuple[AxisGeometry, ...]]:
    """Products over the axes; in large spaces only those alike on all axes or unusual on one."""
    if small:
        yield from itertools.product(*axes)
        return
    for combination in itertools.product(*axes):
        if len({axis.said[1:] for axis in combination}) <= 2:
            yield combination


def _form(axes: tuple[AxisGeometry, ...], spec: ConvSpec, asked: ConvSpec, mode: str) -> GeometryForm | None:
    edits: list[Edit] = []
    oddness = 0.0
    strides = tuple(axis.said[0] for axis in axes)
    dilations = tuple(axis.dilation for axis in axes)
    pads = tuple(axis.said[1:3] for axis in axes)
    extras = tuple(axis.said[3] for axis in axes)
    if strides != asked.stride:
        edits.append({"code": "wrong-stride", "asked": list(asked.stride), "obtained": list(strides)})
        oddness += _oddness(strides)
    if dilations != asked.dilation:
        edits.append({"code": "wrong-dilation", "asked": list(asked.dilation), "obtained": list(dilations)})
        oddness += _oddness(dilations)
    if pads != asked.padding:
        edits.append({"code": "wrong-padding", "asked": [list(p) for p in asked.padding], "obtained": [list(p) for p in pads]})
        oddness += max(axis.oddness for axis in axes) + (0.05 if len(set(pads)) > 1 else 0.0)
    if extras != asked.output_padding and spec.transposed:
        edits.append({"code": "wrong-output-padding", "asked": list(asked.output_padding), "obtained": list(extras)})
    if mode != asked.pad_mode and not spec.transposed:
        if not any(side > 0 for pair in pads for side in pair):
            return None
        edits.append({"code": "wrong-pad-mode", "asked": asked.pad_mode, "obtained": mode})
        oddness += 0.05
    return GeometryForm(tuple(edits), len(edits) + min(oddness, 0.9), axes, mode)


def _oddness(numbers: tuple[int, ...]) -> float:
    return 0.05 if len(set(numbers)) == 1 else 0.15


def _axis(
    spec: ConvSpec, asked: ConvSpec, i: int, n: int, k: int, m: int, stride: int, dilation: int, changed: tuple[str, ...]
) -> list[AxisGeometry]:
    """The paddings along one axis that make m outputs, for this stride and dilation."""
    span = reach(k, dilation)
    starts = _starts(asked.padding[i], k, dilation, n, stride, spec.transposed) if "padding" in changed else [asked.padding[i][0]]
    found = [axis for lo in starts for axis in _ends(spec, asked, i, n, m, span, stride, dilation, lo)]
    if "padding" not in changed:
        found = [axis for axis in found if axis.said[1:3] == asked.padding[i]]
    if "output_padding" not in changed and spec.transposed:
        found = [axis for axis in found if axis.said[3] == asked.output_padding[i]]
    return found


def _starts(asked: Pair, k: int, dilation: int, n: int, stride: int, transposed: bool) -> list[int]:
    """Start paddings worth trying: every one for small kernels, the natural ones and those near the asked for large ones."""
    span = reach(k, dilation)
    natural = {asked[0], asked[1], asked[0] - 1, asked[0] + 1, *(lo for lo, _ in natural_pairs(n, k, dilation, stride, transposed))}
    if span <= 7:
        natural |= set(range(-1, span + 1))
    return sorted(natural)


def natural_pairs(n: int, k: int, dilation: int, stride: int, transposed: bool) -> list[Pair]:
    """The paddings that people and frameworks choose for such an axis: none, SAME at both ends, half, full, causal."""
    span = reach(k, dilation)
    total = max(span - stride, 0) if transposed else same_total(n, span, stride)
    raw = k // 2
    return [
        (0, 0), split(total, True), split(total, False), (span // 2, span // 2), ((span - 1) // 2, (span - 1) // 2), (raw, raw),
        (span - 1, span - 1), (span - 1, 0), (0, span - 1), split(span - 1, True), split(span - 1, False), (dilation, dilation), (1, 1),
    ]


def _ends(
    spec: ConvSpec, asked: ConvSpec, i: int, n: int, m: int, span: int, stride: int, dilation: int, lo: int
) -> Iterator[AxisGeometry]:
    """The end paddings that make m outputs: one, the likeliest; for a transposed convolution also with output padding."""
    natural = natural_pairs(n, (span - 1) // dilation + 1, dilation, stride, spec.transposed)
    if spec.transposed:
        cut = (n - 1) * stride + span - lo - m  # hi - output_padding
        pairs = [(cut + asked.output_padding[i], asked.output_padding[i])]
        pairs += [(hi, hi - cut) for hi in dict.fromkeys([lo, asked.padding[i][1], 0]) if 0 <= hi - cut <= max(stride, dilation)]
        for hi, extra in dict.fromkeys(pairs):
            if extra >= 0 and -stride <= hi <= span + stride:
                odd = 0.0 if (lo, hi) == asked.padding[i] or lo == hi else 0.1 if (lo, hi) in natural else 0.5
                yield AxisGeometry(1, span - 1 - lo, span - 1 - cut, dilation, stride, (stride, lo, hi, extra), odd)
        return
    input_dilation = asked.input_dilation[i]
    dilated = (n - 1) * input_dilation + 1
    least = (m - 1) * stride + span - dilated - lo
    ends = range(least, least + stride)
    if least > span + 1 or ends[-1] < -2:
        return
    wanted = [asked.padding[i][1], *(hi for start, hi in natural if start == lo), lo, lo + 1, lo - 1, 0]
    hi = next((hi for hi in wanted if hi in ends), max(least, min(0, ends[-1])))
    odd = 0.0 if (lo, hi) == asked.padding[i] else 0.1 if lo == hi else 0.15 if (lo, hi) in natural else 0.5
    yield AxisGeometry(stride, lo, hi, dilation, input_dilation, (stride, lo, hi, 0), odd)
