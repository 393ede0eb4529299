"""From settings and the arrays' shapes to a `ConvSpec`: what `Settings` leave open, in numbers.

`read_spec` goes through these steps:

1. Layouts of input and kernel: given, or inferred from the shapes (`infer_layouts`).
2. Channels: the groups, given or implied, and from them the output channels.
3. Stride, dilation and input dilation: one number per spatial axis.
4. Padding: a word becomes (lo, hi) pairs, which depend on the sizes; `same` and `valid` of NumPy
   and SciPy are their own. For a transposed convolution it also settles the output padding
   (`_transposed_padding`).
5. Layout of the output: given, or the input's, with a channel axis if one is needed.
"""

from __future__ import annotations

from convdiff.errors import ConvdiffError, SpecError
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.infer_layouts import (
    PLAIN_ARRAYS,
    Reading,
    Shape,
    infer_layouts,
    number_of_groups,
    with_items_apart,
)
from convdiff.spec.layout import Array, axis_sizes, check_layout, spatial_axes
from convdiff.spec.pad_mode import parse_pad_mode
from convdiff.spec.pad_value import parse_pad_value
from convdiff.spec.padding import Pair, kernel_span, parse_padding, word_pair
from convdiff.spec.settings import Settings, axis_numbers

# These frameworks flip the kernel unless told otherwise.
FLIPPING = ("theano", "numpy", "scipy")
# The invariant of a ConvSpec that a kernel longer than its input breaks.
EMPTY_OUTPUT = 5
EXCHANGE_NOTE = "the kernel is longer than the input: {} slides the input over it"


def read_spec(
    input_shape: Shape, kernel_shape: Shape, settings: Settings, *, bias: bool, dtype: str
) -> tuple[ConvSpec, list[str]]:
    """The convolution that `settings` ask of arrays of these shapes, and notes on what is inferred.

    Raises ConvdiffError where the shapes fit no layouts or several, and its subclass SpecError
    where the numbers make no convolution.
    """
    _check_settings(settings)
    settings = with_items_apart(settings, input_shape, kernel_shape)
    reading, notes = infer_layouts(input_shape, kernel_shape, settings)
    x, w = axis_sizes(reading.input, input_shape), axis_sizes(reading.kernel, kernel_shape)
    axes = spatial_axes(reading.input)
    input_size, kernel_size = tuple(x[axis] for axis in axes), tuple(w[axis] for axis in axes)
    groups = number_of_groups(reading, input_shape, kernel_shape, settings)
    out_channels = w.get("M", w.get("O", 1))
    if settings.transposed or "M" in reading.kernel:
        out_channels *= groups
    stride = _positive_numbers("--stride", settings.stride, len(axes))
    dilation = _positive_numbers("--dilation", settings.dilation, len(axes))
    input_dilation = _positive_numbers("--input-dilation", settings.input_dilation, len(axes))
    spans = tuple(kernel_span(k, d) for k, d in zip(kernel_size, dilation, strict=True))
    if settings.transposed:
        padding, output_padding = _transposed_padding(settings, input_size, spans, stride)
    else:
        padding, output_padding = _direct_padding(
            settings, input_size, spans, stride, input_dilation
        )
        word = str(settings.padding).strip().lower()
        if _exchanges_operands(settings, word, input_size, spans):
            notes = [*notes, EXCHANGE_NOTE.format(settings.as_)]
    try:
        spec = ConvSpec(
            input_layout=reading.input,
            kernel_layout=reading.kernel,
            output_layout=_output_layout(reading, out_channels, settings),
            batch=x.get("N", 1),
            in_channels=x.get("C", 1),
            out_channels=out_channels,
            groups=groups,
            input_size=input_size,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            input_dilation=input_dilation,
            output_padding=output_padding,
            pad_mode=parse_pad_mode(settings.pad_mode, len(input_size)),
            pad_value=parse_pad_value(settings.pad_value),
            transposed=settings.transposed,
            flip=_flip(settings),
            bias=bias,
            dtype=dtype,
        )
    except SpecError as error:
        if error.invariant == EMPTY_OUTPUT and not (
            settings.input_layout and settings.kernel_layout
        ):
            raise SpecError(EMPTY_OUTPUT, f"{error}; {_as_read(reading)}") from None
        raise
    return spec, notes


def _as_read(reading: Reading) -> str:
    return (
        f"the arrays were read as input {reading.input}, kernel {reading.kernel}: --input-layout "
        "and --kernel-layout name their axes"
    )


def bias_vector(array: Array, spec: ConvSpec, name: str) -> Array:
    """The bias with shape (O,); accepts shapes such as (1, O, 1, 1) too.

    Raises ConvdiffError for any other shape; the message begins with `name`.
    """
    if array.size != spec.out_channels or max(array.shape) != array.size:
        raise ConvdiffError(
            f"{name}: found shape {array.shape}, expected ({spec.out_channels},), one value per "
            "output channel; is it another layer's?"
        )
    return array.reshape(-1)


def _check_settings(settings: Settings) -> None:
    """Raises ConvdiffError for settings that no shapes can satisfy."""
    if settings.depthwise and settings.groups is not None:
        raise ConvdiffError(
            f"--depthwise with --groups {settings.groups}: expected one of them; depthwise is one "
            "group per input channel"
        )
    for role in ("input", "kernel", "output"):
        layout = getattr(settings, f"{role}_layout")
        if layout is not None:
            check_layout(layout, role)
    if not settings.transposed and settings.output_size is not None:
        raise ConvdiffError(
            "--output-size: expected --transposed with it; the output size of a direct "
            "convolution follows from its padding"
        )


def _positive_numbers(option: str, value: object, rank: int) -> tuple[int, ...]:
    """One number of at least 1 per spatial axis; 1, which has no effect, if none is given."""
    numbers = axis_numbers(option, value, rank, 1)
    if min(numbers) < 1:
        raise ConvdiffError(f"{option}: found {min(numbers)}, expected at least 1 (1 means none)")
    return numbers


def _flip(settings: Settings) -> bool:
    if settings.flip is not None:
        return settings.flip
    return settings.as_ in FLIPPING or (settings.as_ == "jax" and settings.transposed)


def _output_layout(reading: Reading, out_channels: int, settings: Settings) -> str:
    """The given output layout, or the input's.

    An input without a channel axis gets one in its output if there are several output channels:
    last if the kernel has its output channels last, else first.
    """
    if settings.output_layout:
        return check_layout(settings.output_layout, "output")
    if "C" in reading.input or out_channels == 1:
        return reading.input
    if reading.kernel[-1] in "OM":
        return reading.input + "C"
    return reading.input.replace("N", "NC") if "N" in reading.input else "C" + reading.input


def _direct_padding(
    settings: Settings, input_size: Shape, spans: Shape, stride: Shape, input_dilation: Shape
) -> tuple[tuple[Pair, ...], tuple[int, ...]]:
    """The (lo, hi) pairs of a direct convolution, and its output padding as it was given."""
    rank = len(input_size)
    # numpy and scipy compute every overlap unless told otherwise.
    default = "full" if settings.as_ in PLAIN_ARRAYS else "valid"
    padding = parse_padding(default if settings.padding is None else settings.padding, rank)
    output_padding = axis_numbers("--output-padding", settings.output_padding, rank, 0)
    if isinstance(padding, str):
        lengths = tuple((n - 1) * r + 1 for n, r in zip(input_size, input_dilation, strict=True))
        if settings.as_ in PLAIN_ARRAYS and padding in ("same", "valid"):
            exchanged = _exchanges_operands(settings, padding, lengths, spans)
            padding = tuple(
                _plain_pair(padding, settings, n, span, exchanged=exchanged)
                for n, span in zip(lengths, spans, strict=True)
            )
        else:
            padding = tuple(
                word_pair(padding, n, span, s)
                for n, span, s in zip(lengths, spans, stride, strict=True)
            )
    return padding, output_padding


def _exchanges_operands(settings: Settings, word: str, lengths: Shape, spans: Shape) -> bool:
    """Whether NumPy or SciPy slide the input over the kernel, as they do where that is longer.

    `word` is the padding.
    """
    return (
        settings.as_ in PLAIN_ARRAYS
        and word in (("same", "valid") if settings.as_ == "numpy" else ("valid",))
        and all(span > n for n, span in zip(lengths, spans, strict=True))
    )


def _plain_pair(word: str, settings: Settings, n: int, span: int, *, exchanged: bool) -> Pair:
    """The (lo, hi) of `same` and `valid` along one axis, as NumPy and scipy.signal mean them.

    Both cut `same` out of the middle of the full output. For an even kernel that pads more at the
    start, where TensorFlow's SAME pads more at the end. They slide the longer array over the
    shorter one if `exchanged`.
    """
    if word == "valid":
        return (span - n, span - n) if exchanged else (0, 0)
    if not exchanged:
        return span // 2, (span - 1) // 2
    pair = span - 1 - n // 2, span - 1 - (n - 1) // 2
    # np.correlate reverses the output of exchanged operands; np.convolve needs not.
    return pair[::-1] if _flip(settings) else pair


def _transposed_padding(
    settings: Settings, input_size: Shape, spans: Shape, stride: Shape
) -> tuple[tuple[Pair, ...], tuple[int, ...]]:
    """The (lo, hi) pairs and the output padding of a transposed convolution.

    The pairs crop the full output, of which every element is reached by some part of the kernel;
    output padding adds at its end. --output-size, or a word that implies an output size, settles
    the output padding.
    """
    rank = len(input_size)
    padding = parse_padding("valid" if settings.padding is None else settings.padding, rank)
    output_padding = axis_numbers("--output-padding", settings.output_padding, rank, 0)
    if settings.output_size is not None:
        if settings.output_padding is not None:
            raise ConvdiffError(
                "--output-size and --output-padding: expected one of them; the output size "
                "settles the output padding"
            )
        output_size = axis_numbers("--output-size", settings.output_size, rank, 0)
        return _padding_of_output_size(padding, output_size, input_size, spans, stride)
    if not isinstance(padding, str):
        return padding, output_padding
    pairs, tails = [], []
    for n, span, s, extra in zip(input_size, spans, stride, output_padding, strict=True):
        length = _implied_output_length(padding, n, span, s)
        lo, hi = word_pair(padding, length or 0, span, s)
        pairs.append((lo, hi))
        tails.append(extra if length is None else extra + length - (_full(n, span, s) - lo - hi))
    return tuple(pairs), tuple(tails)


def _full(n: int, span: int, stride: int) -> int:
    """The length of a transposed convolution's output along one axis before it is cropped."""
    return (n - 1) * stride + span


def _implied_output_length(word: str, n: int, span: int, stride: int) -> int | None:
    """The output length that TensorFlow, Keras and JAX give a transposed convolution on one axis.

    None for the words that crop the same whatever the length is: half, full and causal.
    """
    if word in ("same", "same_lower"):
        return n * stride
    return n * stride + max(span - stride, 0) if word == "valid" else None


def _padding_of_output_size(
    padding: str | tuple[Pair, ...],
    output_size: Shape,
    input_size: Shape,
    spans: Shape,
    stride: Shape,
) -> tuple[tuple[Pair, ...], tuple[int, ...]]:
    """The pairs and output padding with which a transposed convolution has the given output size.

    What the output is short of is added as output padding; what it has too much is cropped at the
    end.
    """
    pairs, tails = [], []
    for axis, (length, n, span, s) in enumerate(
        zip(output_size, input_size, spans, stride, strict=True)
    ):
        if length < 1:
            raise ConvdiffError(f"--output-size: found {length}, expected at least 1")
        if isinstance(padding, str):
            positions = -(-length // s)
            if padding.startswith("same") and positions != n:
                raise ConvdiffError(
                    f"--output-size {length} with --padding {padding}: a stride of {s} over "
                    f"{length} gives {positions} positions, expected {n}, the input's length"
                )
            lo, hi = word_pair(padding, length, span, s)
        else:
            lo, hi = padding[axis]
        tail = length - (_full(n, span, s) - lo - hi)
        pairs.append((lo, hi - min(tail, 0)))
        tails.append(max(tail, 0))
    return tuple(pairs), tuple(tails)
