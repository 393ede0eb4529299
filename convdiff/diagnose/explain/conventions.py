"""The names of common causes: what a padding, or a set of edits, is called by those who make it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair, kernel_span, same_total, split_padding

Edits = tuple[Edit, ...]
# A fitted factor is known this well.
EXACT = 1e-4


def notes(edits: Edits, spec: ConvSpec) -> tuple[str, ...]:
    """Sentences that name the custom behind the edits, where they are one; `spec` is what was
    asked.
    """
    found = [
        custom(edit, edits, spec)
        for edit in edits
        for code, custom in CUSTOMS
        if code == edit["code"]
    ]
    return tuple(dict.fromkeys(note for note in found if note))


def _flip(edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
    return (
        "jax.lax.conv_transpose flips relative to torch and TensorFlow unless transpose_kernel=True"
        if spec.transposed
        else None
    )


def _kernel_channels(edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
    if {other.get("axis") for other in edits if other["code"] == "kernel-channels-reversed"} == {
        "O",
        "I",
    }:
        if {"kernel-flipped", "kernel-not-flipped"} & {other["code"] for other in edits}:
            return "np.flip without axis= reverses every axis"
        if {*spec.kernel_layout[:2]} == {"O", "I"}:
            return (
                "np.rot90(kernel, 2) without axes= turns the first two axes, as np.flipud and "
                "np.fliplr do"
            )
    return (
        "as RGB/BGR exchanged"
        if edit["axis"] == "I" and spec.in_channels == 3 and spec.groups == 1
        else None
    )


def _exchanged_channels(edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
    alike = edit["obtained"] == edit["asked"].translate(str.maketrans("IO", "OI"))
    return "in and out exchanged inside each group" if spec.groups > 1 and alike else None


def _input_channels(edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
    return "RGB/BGR" if spec.in_channels == 3 else None


def _reshape(edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
    asked, obtained = edit["asked"], edit["obtained"]
    whose = {f"{spec.axes}IO": "TensorFlow's", f"OI{spec.axes}": "torch's"}
    if spec.transposed or asked not in whose or obtained not in whose:
        return None
    return (
        f"{whose[asked]} {asked} is brought to {obtained} by "
        f"transpose{tuple(asked.index(axis) for axis in obtained)}"
    )


def _interleaved(edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
    if edit["which"] != "output" or spec.groups != spec.in_channels or spec.transposed:
        return None
    return (
        "a depthwise convolution's outputs lie in the order c*M+m in Keras, TensorFlow and "
        "torch alike; here they came as m*C+c"
    )


def _padding(edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
    asked, obtained = (tuple((lo, hi) for lo, hi in edit[side]) for side in ("asked", "obtained"))
    if spec.transposed:
        return _crop(spec, asked, obtained)
    if _product_of_ffts(edits, spec):
        return None
    stride = next((other for other in edits if other["code"] == "wrong-stride"), None)
    if stride and _both_ends(asked, stride["obtained"]) and _both_ends(obtained, stride["asked"]):
        return "stride and padding were exchanged"
    slip = _slip(spec, asked, obtained)
    if slip:
        return slip
    names = [padding_name(spec, pairs) for pairs in (asked, obtained)]
    words = [
        f"{name} pads {_short(pairs)}"
        for name, pairs in zip(names, (asked, obtained), strict=True)
        if name
    ]
    return f"{', '.join(words)} here" if words else None


def _both_ends(pairs: Sequence[Pair], numbers: Sequence[int]) -> bool:
    """Whether these are the paddings, at both ends of each axis."""
    return list(pairs) == [(number, number) for number in numbers]


def _slip(spec: ConvSpec, asked: Sequence[Pair], obtained: Sequence[Pair]) -> str | None:
    """How the right numbers came to the wrong sides: in another order, or reckoned without the
    dilation or for the longer array.
    """
    if spec.rank > 1:
        flat = [number for pair in asked for number in pair]
        as_onnx = [lo for lo, _ in asked] + [hi for _, hi in asked]
        if obtained == asked[::-1]:
            return (
                f"the pads of {_exchanged(spec, asked, obtained)} exchanged: F.pad lists the "
                "last axis first"
            )
        if obtained == tuple(zip(as_onnx[::2], as_onnx[1::2], strict=True)):
            return (
                "ONNX's pads list all begins, then all ends; here they were read as a pair for "
                "each axis"
            )
        if obtained == tuple(zip(flat[: spec.rank], flat[spec.rank :], strict=True)):
            return "a pair for each axis was read as ONNX's pads: all begins, then all ends"
    axes = list(zip(spec.input_size, spec.kernel_size, spec.dilation, spec.stride, strict=True))
    if max(spec.dilation) > 1:
        undilated = (
            [(k // 2,) * 2 for _, k, _, _ in axes],
            [split_padding(same_total(n, k, s), odd_at_end=True) for n, k, _, s in axes],
        )
        if list(obtained) in undilated and padding_name(spec, obtained) in (
            None,
            _torchs(obtained),
        ):
            return (
                "reckoned from the kernel without its dilation: k//2 where d*(k-1)//2 keeps "
                "the size"
            )
    if spec.rank == 1 and max(spec.stride) == max(spec.dilation) == 1:
        (n, k, *_), pair = axes[0], obtained[0]
        # numpy keeps the size of the longer one, and exchanges the two where that is the kernel.
        swapped = (k - 1 - (n - 1) // 2, k - 1 - n // 2)
        if k > n and pair in (swapped, swapped[::-1]):
            return (
                "np.convolve's and np.correlate's same gives as many values as the longer one "
                "has, here the kernel"
            )
    return None


def _crop(spec: ConvSpec, asked: Sequence[Pair], obtained: Sequence[Pair]) -> str | None:
    """Of a transposed convolution, whose padding crops the full output."""
    spans = [kernel_span(k, d) for k, d in zip(spec.kernel_size, spec.dilation, strict=True)]
    same = tuple(
        split_padding(same_total(size, span, stride), odd_at_end=True)
        for size, span, stride in zip(spec.output_size, spans, spec.stride, strict=True)
    )
    if obtained == tuple(
        (span - 1 - lo, span - 1 - hi) for span, (lo, hi) in zip(spans, asked, strict=True)
    ):
        return (
            "jax.lax.conv_transpose takes pairs as padding of the dilated input, which crops "
            "k-1 less the pad"
        )
    if same in (asked, obtained) and same == tuple(
        (hi, lo) for lo, hi in (obtained if same == asked else asked)
    ):
        other = _short(tuple((hi, lo) for lo, hi in same))
        return (
            f"TensorFlow's SAME crops {_short(same)} here, torch's padding with output_padding "
            f"the other side, {other}"
        )
    return None


def _mode(edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
    if _product_of_ffts(edits, spec):
        how = (
            "flipped, wrapped"
            if _slid_flipped(edits, spec)
            else "with the kernel's conjugate unflipped, wrapped"
        )
        return (
            f"a product of FFTs without zero padding convolves circularly: {how} around and shifted"
        )
    return {
        "wrap": "circular: torch's padding_mode='circular', or what a product of FFTs gives "
        "without zero padding",
        "reflect": "OpenCV's default border, BORDER_REFLECT_101; scipy.ndimage calls it mirror",
        "symmetric": "what scipy.ndimage calls reflect, its default, and scipy.signal symm",
        "edge": "what torch calls replicate and scipy.ndimage nearest",
    }.get(edit["obtained"])


def _product_of_ffts(edits: Edits, spec: ConvSpec) -> bool:
    """Circular, and shifted to the start if the kernel came out flipped, to the end if not (the
    FFT's conjugate was taken).
    """
    by_code = {edit["code"]: edit for edit in edits}
    mode, padding = by_code.get("wrong-pad-mode"), by_code.get("wrong-padding")
    if mode is None or mode["obtained"] != "wrap" or padding is None:
        return False
    flipped = _slid_flipped(edits, spec)
    shift = [kernel_span(k, d) - 1 for k, d in zip(spec.kernel_size, spec.dilation, strict=True)]
    return [list(pair) for pair in padding["obtained"]] == [
        [s, 0] if flipped else [0, s] for s in shift
    ]


def _slid_flipped(edits: Edits, spec: ConvSpec) -> bool:
    """Whether the kernel came out flipped."""
    return spec.flip != any(
        edit["code"] in ("kernel-flipped", "kernel-not-flipped") for edit in edits
    )


def _per_axis(edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
    exchanged = _exchanged(spec, edit["asked"], edit["obtained"])
    return (
        f"the {edit['code'].removeprefix('wrong-')}s of {exchanged} exchanged"
        if exchanged
        else None
    )


def _counted_from_0(edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
    asked, obtained = edit["asked"], edit["obtained"]
    if obtained == [d + 1 for d in asked]:
        return "one more on every axis: oneDNN counts dilation from 0"
    if obtained == [d - 1 for d in asked] and max(obtained) > 1:
        return "one less on every axis: oneDNN counts dilation from 0"
    return None


def _factor(edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
    window = math.prod(spec.kernel_size)
    named = [
        (window * spec.in_channels // spec.groups, "the number of products in a sum"),
        (window, "the number of the kernel's taps"),
        (spec.batch, "the batch size"),
    ]
    if any(math.isclose(edit["factor"], factor, rel_tol=EXACT) for factor in (255, 1 / 255)):
        return "the inputs divided by 255 on one side only"
    for number, words in named:
        if number > 1 and math.isclose(edit["factor"], 1 / number, rel_tol=EXACT):
            return f"1/{number} is {words}: an average in place of a sum"
        if number > 1 and math.isclose(edit["factor"], number, rel_tol=EXACT):
            return f"{number} is {words}: a sum in place of an average"
    return None


def _exchanged(spec: ConvSpec, asked: Sequence[object], obtained: Sequence[object]) -> str | None:
    """H and W, where two axes have each other's numbers and the rest their own."""
    moved = [i for i, (a, b) in enumerate(zip(asked, obtained, strict=True)) if a != b]
    if len(moved) != 2 or [obtained[i] for i in moved] != [asked[i] for i in moved[::-1]]:
        return None
    return f"{spec.axes[moved[0]]} and {spec.axes[moved[1]]}"


def _short(pairs: Sequence[Pair]) -> str:
    """(0,1) where every axis has it, else (0,1),(1,1)."""
    return ",".join(f"({lo},{hi})" for lo, hi in (pairs[:1] if len(set(pairs)) == 1 else pairs))


def padding_name(spec: ConvSpec, pairs: Sequence[Pair]) -> str | None:
    """Whose padding this is along every axis of `spec`: TensorFlow's SAME, torch's padding=p,
    causal, ...; None for nobody's.
    """
    axes = list(zip(spec.input_size, spec.kernel_size, spec.dilation, spec.stride, strict=True))
    spans = [kernel_span(k, d) for _, k, d, _ in axes]
    totals = [same_total(n, span, s) for (n, _, _, s), span in zip(axes, spans, strict=True)]
    customs: list[tuple[str, list[Pair]]] = [
        ("TensorFlow's SAME", [split_padding(total, odd_at_end=True) for total in totals]),
        ("ONNX's SAME_LOWER", [split_padding(total, odd_at_end=False) for total in totals]),
        ("causal padding", [(span - 1, 0) for span in spans]),
        ("np.convolve's full", [(span - 1, span - 1) for span in spans]),
    ]
    symmetric = _torchs(pairs)
    if symmetric is not None:
        # Where SAME happens to be even it is also torch's; the plainer name wins unless the stride
        # makes SAME special.
        return symmetric if max(spec.stride) > 1 or list(pairs) != customs[0][1] else customs[0][0]
    return next(
        (
            name
            for name, made in customs
            if list(pairs) == made and any(side for pair in made for side in pair)
        ),
        None,
    )


def _torchs(pairs: Sequence[Pair]) -> str | None:
    """torch's padding=p or (p, q), where both sides of each axis have the same number."""
    numbers = [lo for lo, hi in pairs if lo == hi >= 0]
    if len(numbers) < len(pairs) or not any(numbers):
        return None
    return f"torch's padding={numbers[0] if len(set(numbers)) == 1 else tuple(numbers)}"


CUSTOMS: tuple[tuple[str, Callable[[Edit, Edits, ConvSpec], str | None]], ...] = (
    ("wrong-padding", _padding),
    ("kernel-flipped", _flip),
    ("kernel-channels-reversed", _kernel_channels),
    ("kernel-axes-permuted", _exchanged_channels),
    ("input-channels-reversed", _input_channels),
    ("kernel-reshaped", _reshape),
    ("groups-interleaved", _interleaved),
    ("wrong-pad-mode", _mode),
    ("wrong-stride", _per_axis),
    ("wrong-dilation", _per_axis),
    ("wrong-dilation", _counted_from_0),
    ("scaled", _factor),
)
