"""Padding that one side does in a layer of its own, before the convolution: the same model, with inputs of other sizes.

Keras and TensorFlow ports of PyTorch models pad with ZeroPadding2D, since SAME with a stride is another padding; torch models call
F.pad where it is asymmetric.  The larger input is then the smaller one in a frame of zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from convdiff.case import Edit, Finding, Report
from convdiff.layout import Array
from convdiff.padding import Pair
from convdiff.spec import ConvSpec


def frame(source: Array, port: Array, wanted: Sequence[Pair]) -> tuple[Pair, ...] | None:
    """What the port's input has more than the source's at each end of each axis of space (less where negative), both (N, C, *space).

    Only zeros may be more.  `wanted` is what would make the convolutions alike: taken where the zeros leave a choice.  None where the
    inputs are no frames of each other.
    """
    if source.shape[:2] != port.shape[:2] or source.ndim != port.ndim:
        return None
    pairs: list[Pair] = []
    for axis, (lo, _) in enumerate(wanted, 2):
        more = port.shape[axis] - source.shape[axis]
        larger, sign, first = (port, 1, lo) if more >= 0 else (source, -1, -lo)
        found = _split(larger, axis, abs(more), first)
        if found is None:
            return None
        pairs.append((sign * found[0], sign * found[1]) if more else (0, 0))
    return tuple(pairs)


def _split(array: Array, axis: int, amount: int, first: int) -> Pair | None:
    """`amount` slices of zeros over both ends of the axis, as near as can be to `first` at the start; None where there are not so many."""
    if not amount:
        return 0, 0
    lead, trail = (_zeros(array, axis, amount, back) for back in (False, True))
    low, high = max(0, amount - trail), min(amount, lead)
    if low > high:
        return None
    lo = min(max(first, low), high)
    return lo, amount - lo


def _zeros(array: Array, axis: int, most: int, back: bool) -> int:
    """How many slices at this end hold nothing but zeros, of `most` that are looked at."""
    for count in range(most):
        at = array.shape[axis] - 1 - count if back else count
        if array.take(at, axis=axis).any():
            return count
    return most


def cropped(array: Array, pairs: Sequence[Pair]) -> Array:
    """(N, C, *space) without what `pairs` say is more; what they say is less is left."""
    cut = [slice(max(lo, 0), size - max(hi, 0)) for size, (lo, hi) in zip(array.shape[2:], pairs, strict=True)]
    return array[(slice(None), slice(None), *cut)]


def framed(report: Report, frame: Sequence[Pair], own: Sequence[Pair]) -> Report:
    """The report on the port's input as its padding adds up: what its frame has, and what the convolution adds, `own` in the port.

    Only where the padding was found wrong: nobody wrote what would be left of the source's on the port's input.
    """
    if not any("wrong-padding" in finding.codes for row in report.rows for finding in row.findings):
        return report
    # Not at the top of the module: it loads the diagnosis, which the comparing processes do beside.
    from convdiff.advice import with_fixes

    spec, more = report.case.spec, [(max(lo, 0), max(hi, 0)) for lo, hi in frame]
    inner = replace(
        spec, padding=_sum(spec.padding, more), input_size=tuple(n - lo - hi for n, (lo, hi) in zip(spec.input_size, more, strict=True))
    )
    rows = tuple(
        with_fixes(replace(row, findings=tuple(_reframed(finding, spec, inner, more, own) for finding in row.findings)), inner)
        for row in report.rows
    )
    return replace(report, case=replace(report.case, spec=inner), rows=rows)


def _reframed(finding: Finding, spec: ConvSpec, inner: ConvSpec, more: Sequence[Pair], own: Sequence[Pair]) -> Finding:
    from convdiff.diagnose import Explanation

    # Of end paddings that the arrays cannot tell apart, the port says which it has.
    told = sorted((finding.edits, *finding.rivals), key=lambda edits: not any(_obtains(edit, own) for edit in edits))
    made = Explanation(tuple(tuple(_added(edit, more) for edit in edits) for edits in told)).finding(inner)
    before = Explanation((finding.edits,)).finding(spec).summary
    # What is said of the weights stays before it.
    said = finding.summary.removesuffix(before) if finding.summary.endswith(before) else ""
    return replace(made, summary=said + made.summary, notes=finding.notes)


def _obtains(edit: Edit, own: Sequence[Pair]) -> bool:
    return edit["code"] == "wrong-padding" and [tuple(pair) for pair in edit["obtained"]] == list(own)


def _added(edit: Edit, more: Sequence[Pair]) -> Edit:
    if edit["code"] != "wrong-padding":
        return edit
    return {**edit, **{side: [list(pair) for pair in _sum(edit[side], more)] for side in ("asked", "obtained")}}


def _sum(one: Sequence[Sequence[int]], other: Sequence[Pair]) -> tuple[Pair, ...]:
    return tuple((lo + a, hi + b) for (lo, hi), (a, b) in zip(one, other, strict=True))
