"""Names of paddings, such as TensorFlow's SAME and torch's padding=1, and well-known slips.

Pads are (lo, hi) pairs, one for each spatial axis.  In a transposed convolution they crop the full
output.
"""

from __future__ import annotations

from collections.abc import Sequence

from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair, kernel_span, same_total, split_padding


def padding_name(spec: ConvSpec, pads: Sequence[Pair]) -> str | None:
    """What a framework calls these pads for `spec`; None if no framework has a name for them."""
    axes = list(zip(spec.input_size, spec.kernel_size, spec.dilation, spec.stride, strict=True))
    spans = [kernel_span(k, d) for _, k, d, _ in axes]
    totals = [same_total(n, span, s) for (n, _, _, s), span in zip(axes, spans, strict=True)]
    pads_by_name: dict[str, list[Pair]] = {
        "TensorFlow's SAME": [split_padding(total, odd_at_end=True) for total in totals],
        "ONNX's SAME_LOWER": [split_padding(total, odd_at_end=False) for total in totals],
        "causal padding": [(span - 1, 0) for span in spans],
        "np.convolve's full": [(span - 1, span - 1) for span in spans],
    }
    symmetric = _torch_name(pads)
    if symmetric is not None:
        # SAME with an even total is symmetric too.  At stride 1 SAME is the plainer name; at a
        # larger stride it is another rule, which agrees with a symmetric padding by chance.
        is_plain_same = max(spec.stride) == 1 and list(pads) == pads_by_name["TensorFlow's SAME"]
        return "TensorFlow's SAME" if is_plain_same else symmetric
    if not any(side for pair in pads for side in pair):
        return None
    return next((name for name, named in pads_by_name.items() if list(pads) == named), None)


def _torch_name(pads: Sequence[Pair]) -> str | None:
    """torch's padding=p or padding=(p, q); None if an axis has other pads at its end."""
    symmetric = [lo for lo, hi in pads if lo == hi >= 0]
    if len(symmetric) < len(pads) or not any(symmetric):
        return None
    return f"torch's padding={symmetric[0] if len(set(symmetric)) == 1 else tuple(symmetric)}"


def exchanged_axes(
    spec: ConvSpec, asked: Sequence[object], obtained: Sequence[object]
) -> str | None:
    """The two axes, as "H and W", whose entries were exchanged; None if the change is another."""
    changed = [i for i, (a, b) in enumerate(zip(asked, obtained, strict=True)) if a != b]
    if len(changed) != 2 or [obtained[i] for i in changed] != [asked[i] for i in changed[::-1]]:
        return None
    return f"{spec.axes[changed[0]]} and {spec.axes[changed[1]]}"


def shorthand(pads: Sequence[Pair]) -> str:
    """The pads as text: "(0,1)" if all axes have the same, else "(0,1),(1,1)"."""
    shown = pads[:1] if len(set(pads)) == 1 else pads
    return ",".join(f"({lo},{hi})" for lo, hi in shown)


def padding_difference(
    spec: ConvSpec, asked: Sequence[Pair], obtained: Sequence[Pair]
) -> str | None:
    """The slip that led to the pads of a direct convolution, or else the names of both pads."""
    slip = (
        _pads_in_wrong_order(spec, asked, obtained)
        or _pads_of_undilated_kernel(spec, obtained)
        or _same_of_longer_kernel(spec, obtained)
    )
    if slip:
        return slip
    names = ((padding_name(spec, pads), pads) for pads in (asked, obtained))
    known = [f"{name} pads {shorthand(pads)}" for name, pads in names if name]
    return f"{', '.join(known)} here" if known else None


def _pads_in_wrong_order(
    spec: ConvSpec, asked: Sequence[Pair], obtained: Sequence[Pair]
) -> str | None:
    """The slip that put the right numbers on the wrong sides or axes."""
    if spec.rank == 1:
        return None
    pairwise = [number for pair in asked for number in pair]
    begins_then_ends = [lo for lo, _ in asked] + [hi for _, hi in asked]
    if obtained == asked[::-1]:
        axes = exchanged_axes(spec, asked, obtained)
        return f"the pads of {axes} exchanged: F.pad lists the last axis first"
    if obtained == tuple(zip(begins_then_ends[::2], begins_then_ends[1::2], strict=True)):
        return "ONNX's pads list all begins, then all ends; they were read as one pair per axis"
    if obtained == tuple(zip(pairwise[: spec.rank], pairwise[spec.rank :], strict=True)):
        return "one pair per axis was read as ONNX's pads, which list all begins, then all ends"
    return None


def _pads_of_undilated_kernel(spec: ConvSpec, obtained: Sequence[Pair]) -> str | None:
    """The slip of computing SAME, or a symmetric padding, from a kernel without its dilation."""
    if max(spec.dilation) == 1:
        return None
    axes = list(zip(spec.input_size, spec.kernel_size, spec.stride, strict=True))
    undilated = (
        [(k // 2,) * 2 for _, k, _ in axes],
        [split_padding(same_total(n, k, s), odd_at_end=True) for n, k, s in axes],
    )
    has_no_better_name = padding_name(spec, obtained) in (None, _torch_name(obtained))
    if list(obtained) not in undilated or not has_no_better_name:
        return None
    return (
        "computed from the kernel without its dilation; d*(k-1)//2 at both ends would keep the size"
    )


def _same_of_longer_kernel(spec: ConvSpec, obtained: Sequence[Pair]) -> str | None:
    """The surprise of NumPy's mode="same" where the kernel is longer than the input."""
    if spec.rank > 1 or max(spec.stride) > 1 or max(spec.dilation) > 1:
        return None
    n, k, pads = spec.input_size[0], spec.kernel_size[0], obtained[0]
    # NumPy exchanges its arguments if the second is longer, and keeps the size of the longer one.
    numpy_pads = (k - 1 - (n - 1) // 2, k - 1 - n // 2)
    if k <= n or pads not in (numpy_pads, numpy_pads[::-1]):
        return None
    return (
        'mode="same" of np.convolve and np.correlate gives as many values as the longer array '
        "has, here the kernel"
    )


def crop_difference(spec: ConvSpec, asked: Sequence[Pair], obtained: Sequence[Pair]) -> str | None:
    """The known difference between frameworks that led to the crops of a transposed convolution."""
    spans = [kernel_span(k, d) for k, d in zip(spec.kernel_size, spec.dilation, strict=True)]
    complements = [
        (span - 1 - lo, span - 1 - hi) for span, (lo, hi) in zip(spans, asked, strict=True)
    ]
    if list(obtained) == complements:
        return (
            "jax.lax.conv_transpose takes pairs as padding of the dilated input: a pad of p there "
            "crops k-1-p here"
        )
    same = tuple(
        split_padding(same_total(size, span, stride), odd_at_end=True)
        for size, span, stride in zip(spec.output_size, spans, spec.stride, strict=True)
    )
    if same not in (asked, obtained):
        return None
    mirrored = tuple((hi, lo) for lo, hi in same)
    if mirrored != (obtained if same == asked else asked):
        return None
    return (
        f"TensorFlow's SAME crops {shorthand(same)} here, torch's padding with output_padding "
        f"the other side, {shorthand(mirrored)}"
    )
