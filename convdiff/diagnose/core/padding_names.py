"""The names of paddings: TensorFlow's SAME, torch's padding=1, causal, and well-known slips.

Pads are (lo, hi) for each spatial axis; of a transposed convolution they crop the full output.
"""

from __future__ import annotations

from collections.abc import Sequence

from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair, kernel_span, same_total, split_padding


def padding_name(spec: ConvSpec, pads: Sequence[Pair]) -> str | None:
    """The name under which frameworks pad so on every axis of `spec`; None if none does."""
    axes = list(zip(spec.input_size, spec.kernel_size, spec.dilation, spec.stride, strict=True))
    spans = [kernel_span(k, d) for _, k, d, _ in axes]
    totals = [same_total(n, span, s) for (n, _, _, s), span in zip(axes, spans, strict=True)]
    named: dict[str, list[Pair]] = {
        "TensorFlow's SAME": [split_padding(total, odd_at_end=True) for total in totals],
        "ONNX's SAME_LOWER": [split_padding(total, odd_at_end=False) for total in totals],
        "causal padding": [(span - 1, 0) for span in spans],
        "np.convolve's full": [(span - 1, span - 1) for span in spans],
    }
    symmetric = _torch_name(pads)
    if symmetric is not None:
        # An even SAME is also a symmetric padding: SAME is the plainer name, unless a stride makes
        # it another rule.
        plain_same = max(spec.stride) == 1 and list(pads) == named["TensorFlow's SAME"]
        return "TensorFlow's SAME" if plain_same else symmetric
    if not any(side for pair in pads for side in pair):
        return None
    return next((name for name, made in named.items() if list(pads) == made), None)


def _torch_name(pads: Sequence[Pair]) -> str | None:
    """torch's padding=p or (p, q), where both ends of each axis have the same pad."""
    numbers = [lo for lo, hi in pads if lo == hi >= 0]
    if len(numbers) < len(pads) or not any(numbers):
        return None
    return f"torch's padding={numbers[0] if len(set(numbers)) == 1 else tuple(numbers)}"


def exchanged_axes(
    spec: ConvSpec, asked: Sequence[object], obtained: Sequence[object]
) -> str | None:
    """ "H and W" where two axes have each other's numbers, and the others their own."""
    moved = [i for i, (a, b) in enumerate(zip(asked, obtained, strict=True)) if a != b]
    if len(moved) != 2 or [obtained[i] for i in moved] != [asked[i] for i in moved[::-1]]:
        return None
    return f"{spec.axes[moved[0]]} and {spec.axes[moved[1]]}"


def shorthand(pads: Sequence[Pair]) -> str:
    """(0,1) where every axis has it, else (0,1),(1,1)."""
    shown = pads[:1] if len(set(pads)) == 1 else pads
    return ",".join(f"({lo},{hi})" for lo, hi in shown)


def padding_difference(
    spec: ConvSpec, asked: Sequence[Pair], obtained: Sequence[Pair]
) -> str | None:
    """How a direct convolution came to be padded otherwise: a slip, or whose paddings they are."""
    slip = (
        _other_order_of_pads(spec, asked, obtained)
        or _dilation_left_out(spec, obtained)
        or _longer_kernel(spec, obtained)
    )
    if slip:
        return slip
    both = ((padding_name(spec, pads), pads) for pads in (asked, obtained))
    words = [f"{name} pads {shorthand(pads)}" for name, pads in both if name]
    return f"{', '.join(words)} here" if words else None


def _other_order_of_pads(
    spec: ConvSpec, asked: Sequence[Pair], obtained: Sequence[Pair]
) -> str | None:
    """The right numbers on the wrong sides or axes."""
    if spec.rank == 1:
        return None
    flat = [number for pair in asked for number in pair]
    onnx_order = [lo for lo, _ in asked] + [hi for _, hi in asked]
    if obtained == asked[::-1]:
        axes = exchanged_axes(spec, asked, obtained)
        return f"the pads of {axes} exchanged: F.pad lists the last axis first"
    if obtained == tuple(zip(onnx_order[::2], onnx_order[1::2], strict=True)):
        return "ONNX's pads list all begins, then all ends; here they were read as a pair for each axis"
    if obtained == tuple(zip(flat[: spec.rank], flat[spec.rank :], strict=True)):
        return "a pair for each axis was read as ONNX's pads: all begins, then all ends"
    return None


def _dilation_left_out(spec: ConvSpec, obtained: Sequence[Pair]) -> str | None:
    if max(spec.dilation) == 1:
        return None
    axes = list(zip(spec.input_size, spec.kernel_size, spec.stride, strict=True))
    undilated = (
        [(k // 2,) * 2 for _, k, _ in axes],
        [split_padding(same_total(n, k, s), odd_at_end=True) for n, k, s in axes],
    )
    nameless = padding_name(spec, obtained) in (None, _torch_name(obtained))
    if list(obtained) not in undilated or not nameless:
        return None
    return "computed from the kernel without its dilation: k//2 where d*(k-1)//2 keeps the size"


def _longer_kernel(spec: ConvSpec, obtained: Sequence[Pair]) -> str | None:
    if spec.rank > 1 or max(spec.stride) > 1 or max(spec.dilation) > 1:
        return None
    n, k, pads = spec.input_size[0], spec.kernel_size[0], obtained[0]
    # NumPy keeps the size of the longer array, and exchanges the two where that is the kernel.
    exchanged = (k - 1 - (n - 1) // 2, k - 1 - n // 2)
    if k <= n or pads not in (exchanged, exchanged[::-1]):
        return None
    return (
        'mode="same" of np.convolve and np.correlate gives as many values as the longer array '
        "has, here the kernel"
    )


def crop_difference(spec: ConvSpec, asked: Sequence[Pair], obtained: Sequence[Pair]) -> str | None:
    """How a transposed convolution came to be cropped otherwise, where it is a known way."""
    spans = [kernel_span(k, d) for k, d in zip(spec.kernel_size, spec.dilation, strict=True)]
    padded = [(span - 1 - lo, span - 1 - hi) for span, (lo, hi) in zip(spans, asked, strict=True)]
    if list(obtained) == padded:
        return (
            "jax.lax.conv_transpose takes pairs as padding of the dilated input, which crops k-1 "
            "less the pad"
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
