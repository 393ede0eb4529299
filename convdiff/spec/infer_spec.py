"""From shapes and settings to a `ConvSpec`: which axis is which, and what the words mean in
numbers.

Layouts that were left out are inferred.  Readings come in two tiers: those that some framework
means by default, and the rest.  The first tier with a reading that fits decides; several in it are
an error that shows each.
"""

from __future__ import annotations

from dataclasses import dataclass

from convdiff.errors import ConvdiffError
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import AXES_OF_RANK, SPATIAL, Array, check_layout, sizes, spatial_axes
from convdiff.spec.padding import Pair, parse_padding, reach, word_pair
from convdiff.spec.settings import Settings, numbers

Shape = tuple[int, ...]

_FLIPPING = ("theano", "numpy", "scipy")
_LAST = ("tensorflow", "keras")
_PLAIN = ("numpy", "scipy")


@dataclass(frozen=True)
class Reading:
    """An input layout with a kernel layout, and why the pair fits or not."""

    input: str
    kernel: str
    problem: str | None = None


def read_spec(
    input_shape: Shape, kernel_shape: Shape, settings: Settings, *, bias: bool, dtype: str
) -> tuple[ConvSpec, list[str]]:
    """The convolution that `settings` ask of arrays of these shapes, and notes on what was
    inferred.

    Raises ConvdiffError where the shapes fit no reading, or several.
    """
    if settings.depthwise and settings.groups is not None:
        raise ConvdiffError(
            f"--depthwise with --groups {settings.groups}: expected one of them; depthwise is one "
            "group per input channel"
        )
    for role in ("input", "kernel", "output"):
        layout = getattr(settings, f"{role}_layout")
        if layout is not None:
            check_layout(layout, role)
    reading, notes = _choose(input_shape, kernel_shape, settings)
    x, w = sizes(reading.input, input_shape), sizes(reading.kernel, kernel_shape)
    axes = spatial_axes(reading.input)
    channels = x.get("C", 1)
    groups = _groups(reading, x, w, settings)
    per_kernel = w.get("M", w.get("O", 1))
    out_channels = (
        per_kernel * groups if settings.transposed or "M" in reading.kernel else per_kernel
    )
    n = tuple(x[a] for a in axes)
    k = tuple(w[a] for a in axes)
    rank = len(axes)
    stride = numbers("--stride", settings.stride, rank, 1)
    dilation = numbers("--dilation", settings.dilation, rank, 1)
    input_dilation = numbers("--input-dilation", settings.input_dilation, rank, 1)
    for option, values in (
        ("--stride", stride),
        ("--dilation", dilation),
        ("--input-dilation", input_dilation),
    ):
        if min(values) < 1:
            raise ConvdiffError(f"{option}: found {min(values)}, expected at least 1 (1 is none)")
    if not settings.transposed and settings.output_size is not None:
        raise ConvdiffError(
            "--output-size: expected --transposed with it; a direct convolution's size follows "
            "from its padding"
        )
    spans = tuple(reach(kk, dd) for kk, dd in zip(k, dilation, strict=True))
    padding, extra = _padding(settings, n, spans, stride, input_dilation)
    output_layout = (
        check_layout(settings.output_layout, "output")
        if settings.output_layout
        else _output_layout(reading, out_channels)
    )
    return ConvSpec(
        input_layout=reading.input,
        kernel_layout=reading.kernel,
        output_layout=output_layout,
        batch=x.get("N", 1),
        in_channels=channels,
        out_channels=out_channels,
        groups=groups,
        input_size=n,
        kernel_size=k,
        stride=stride,
        padding=padding,
        dilation=dilation,
        input_dilation=input_dilation,
        output_padding=extra,
        pad_mode="constant" if settings.pad_mode is None else settings.pad_mode,
        transposed=settings.transposed,
        flip=_flip(settings),
        bias=bias,
        dtype=dtype,
    ), notes


def bias_vector(array: Array, spec: ConvSpec, name: str) -> Array:
    """The bias as (O,); (1, O, 1, 1) and the like are taken too.  ConvdiffError, opened by `name`,
    for any other shape.
    """
    if array.size != spec.out_channels or max(array.shape) != array.size:
        raise ConvdiffError(
            f"{name}: found shape {array.shape}, expected ({spec.out_channels},), one value per "
            "output channel; is it another layer's?"
        )
    return array.reshape(-1)


def _flip(settings: Settings) -> bool:
    if settings.flip is not None:
        return settings.flip
    return settings.as_ in _FLIPPING or (settings.as_ == "jax" and settings.transposed)


def _output_layout(reading: Reading, out_channels: int) -> str:
    if "C" in reading.input or out_channels == 1:
        return reading.input
    if reading.kernel[-1] in "OM":
        return reading.input + "C"
    return reading.input.replace("N", "NC") if "N" in reading.input else "C" + reading.input


def _groups(reading: Reading, x: dict[str, int], w: dict[str, int], settings: Settings) -> int:
    channels, inner = x.get("C", 1), w.get("I", 1)
    if "M" in reading.kernel or settings.depthwise:
        return channels
    if settings.groups is not None:
        return settings.groups
    return channels // inner if settings.as_ in _LAST and not settings.transposed else 1


def _fits(
    reading: Reading, input_shape: Shape, kernel_shape: Shape, settings: Settings
) -> str | None:
    """None where the channel counts agree under this reading; otherwise what does not."""
    x, w = sizes(reading.input, input_shape), sizes(reading.kernel, kernel_shape)
    channels, inner, outer = x.get("C", 1), w.get("I", 1), w.get("M", w.get("O", 1))
    if "M" in reading.kernel:
        if channels != inner:
            return f"a depthwise kernel {reading.kernel} has I {inner}, the input C {channels}"
        return (
            None
            if settings.groups in (None, channels)
            else f"--groups {settings.groups} with a depthwise kernel of {channels} channels"
        )
    if (
        settings.as_ in _LAST
        and settings.groups is None
        and not settings.depthwise
        and not settings.transposed
    ):
        if channels % inner:
            return f"C {channels} is no multiple of I {inner}"
        groups = channels // inner
        return (
            None
            if outer % groups == 0
            else f"{groups} groups (C {channels} / I {inner}) do not divide O {outer}"
        )
    groups = _groups(reading, x, w, settings)
    if settings.transposed:
        if channels != inner:
            return f"the input has C {channels}, the transposed kernel I {inner}"
        return None if channels % groups == 0 else f"--groups {groups} does not divide C {channels}"
    if channels % groups or outer % groups:
        return f"--groups {groups} does not divide C {channels} and O {outer}"
    if channels != inner * groups:
        hint = ""
        if channels % inner == 0 and outer % (channels // inner) == 0 and settings.groups is None:
            hint = f" (--groups {channels // inner} would fit)"
        return (
            f"the input has C {channels}, the kernel I {inner}"
            + (f" x {groups} groups" if groups > 1 else "")
            + hint
        )
    return None


def _choose(
    input_shape: Shape, kernel_shape: Shape, settings: Settings
) -> tuple[Reading, list[str]]:
    if settings.input_layout and settings.kernel_layout:
        pair = (
            check_layout(settings.input_layout, "input"),
            check_layout(settings.kernel_layout, "kernel"),
        )
        _check_rank(pair[0], input_shape, "input")
        _check_rank(pair[1], kernel_shape, "kernel")
        if sorted(spatial_axes(pair[0])) != sorted(spatial_axes(pair[1])):
            raise ConvdiffError(
                f"--input-layout {pair[0]}, --kernel-layout {pair[1]}: their spatial axes differ "
                f"({spatial_axes(pair[0])} and {spatial_axes(pair[1])})"
            )
        reading = Reading(*pair)
        problem = _fits(reading, input_shape, kernel_shape, settings)
        if problem:
            raise ConvdiffError(
                f"input {pair[0]} {_dims(input_shape)} with kernel {pair[1]} "
                f"{_dims(kernel_shape)}: {problem}"
            )
        return reading, []
    tried: list[Reading] = []
    for tier, readings in enumerate(_candidates(len(input_shape), len(kernel_shape), settings)):
        judged = [
            Reading(r.input, r.kernel, _fits(r, input_shape, kernel_shape, settings))
            for r in readings
        ]
        tried += judged
        fitting = [r for r in judged if r.problem is None]
        if len(fitting) == 1:
            chosen = fitting[0]
            why = "by default" if len(judged) > 1 and not tier else "the only reading that fits"
            why = f"as {settings.as_} has them" if settings.as_ else why
            return chosen, [f"read as input {chosen.input}, kernel {chosen.kernel} ({why})"]
        if fitting:
            ways = "; ".join(
                f"--input-layout {r.input} --kernel-layout {r.kernel}" for r in fitting
            )
            raise ConvdiffError(
                f"input {_dims(input_shape)} with kernel {_dims(kernel_shape)} can be read in "
                f"{len(fitting)} ways: say which with {ways}"
            )
    raise ConvdiffError(_no_reading(input_shape, kernel_shape, settings, tried))


def _no_reading(
    input_shape: Shape, kernel_shape: Shape, settings: Settings, tried: list[Reading]
) -> str:
    both = f"input {_dims(input_shape)} with kernel {_dims(kernel_shape)}"
    if not tried:
        said = "".join(
            f" --{r}-layout {getattr(settings, r + '_layout')}"
            for r in ("input", "kernel")
            if getattr(settings, r + "_layout")
        )
        return (
            f"{both}: {len(input_shape)} and {len(kernel_shape)} axes make no "
            f"convolution{' with' + said if said else ''}; "
            "expected as NCHW with OIHW (2-D), NCW with OIW (1-D), NCDHW with OIDHW (3-D), or "
            "plain W with W; "
            "name them with --input-layout and --kernel-layout"
        )
    reasons = "; ".join(
        list(dict.fromkeys(f"{r.input} with {r.kernel}: {r.problem}" for r in tried))[:3]
    )
    return (
        f"{both}: no layout fits: {reasons}; name the axes with --input-layout and "
        "--kernel-layout, or give --groups"
    )


def _check_rank(layout: str, shape: Shape, role: str) -> None:
    if len(layout) != len(shape):
        raise ConvdiffError(
            f"--{role}-layout {layout}: names {len(layout)} axes, the {role} has {len(shape)} "
            f"{_dims(shape)}"
        )


def _dims(shape: Shape) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _candidates(input_rank: int, kernel_rank: int, settings: Settings) -> list[list[Reading]]:
    """Readings by tier, restricted to what was said and to the arrays' numbers of axes."""
    if settings.as_ in _PLAIN:
        ranks = [(kernel_rank, "")]
    else:
        ranks = [(kernel_rank - 2, "OI")]
        if input_rank == kernel_rank:
            ranks.append((kernel_rank, ""))
    tiers: list[list[Reading]] = [[], [], []]
    for rank, channels in ranks:
        if rank not in AXES_OF_RANK:
            continue
        space = AXES_OF_RANK[rank]
        if not channels:
            tiers[0 if settings.as_ in _PLAIN or not 1 <= kernel_rank - 2 <= 3 else 1].append(
                Reading(space, space)
            )
            continue
        usual, rare = _with_channels(space, settings)
        tiers[0] += usual
        tiers[1 if input_rank != kernel_rank else 2] += rare
    matching = [
        [
            r
            for r in _unbatched(tier)
            if _said(r, settings) and (len(r.input), len(r.kernel)) == (input_rank, kernel_rank)
        ]
        for tier in tiers
    ]
    if settings.input_layout or settings.kernel_layout:
        matching += [_around(input_rank, kernel_rank, settings)]
    return [tier for tier in matching if tier]


def _with_channels(space: str, settings: Settings) -> tuple[list[Reading], list[Reading]]:
    """The readings with channel axes that frameworks mean by default, and the mixed ones."""
    first, last = f"NC{space}", f"N{space}C"
    if settings.transposed:
        kernel_first, kernel_last = f"IO{space}", f"{space}OI"
        if settings.as_ == "jax":
            return [Reading(last, f"{space}IO")], []
    else:
        kernel_first, kernel_last = f"OI{space}", f"{space}IO"
    pairs = [Reading(first, kernel_first), Reading(last, kernel_last)]
    if settings.depthwise:
        pairs = [pairs[0], Reading(last, f"{space}IM")]
    if settings.as_ in _LAST:
        return pairs[1:], []
    if settings.as_:
        return pairs[:1], []
    mixed = [Reading(first, pairs[1].kernel), Reading(last, kernel_first)]
    if not settings.transposed and not settings.depthwise:
        mixed.append(Reading(last, f"O{space}I"))
    return pairs, mixed


def _unbatched(tier: list[Reading]) -> list[Reading]:
    return tier + [Reading(r.input.replace("N", ""), r.kernel) for r in tier if "N" in r.input]


def _said(reading: Reading, settings: Settings) -> bool:
    said_input = (
        settings.input_layout is None
        or check_layout(settings.input_layout, "input") == reading.input
    )
    return said_input and (
        settings.kernel_layout is None
        or check_layout(settings.kernel_layout, "kernel") == reading.kernel
    )


def _around(input_rank: int, kernel_rank: int, settings: Settings) -> list[Reading]:
    """Where one layout was said: every common partner for it."""
    if settings.input_layout:
        known = check_layout(settings.input_layout, "input")
        if len(known) != input_rank:
            raise ConvdiffError(
                f"--input-layout {known}: names {len(known)} axes, the input has {input_rank}"
            )
        space = spatial_axes(known)
        partners = [
            f"OI{space}",
            f"{space}IO",
            f"O{space}I",
            f"{space}OI",
            f"IO{space}",
            f"{space}IM",
        ]
        partners += [f"O{space}", f"{space}O", f"I{space}", space]
        return [Reading(known, kernel) for kernel in partners if len(kernel) == kernel_rank]
    known = check_layout(settings.kernel_layout or "", "kernel")
    if len(known) != kernel_rank:
        raise ConvdiffError(
            f"--kernel-layout {known}: names {len(known)} axes, the kernel has {kernel_rank}"
        )
    space = "".join(a for a in SPATIAL if a in known)
    partners = [f"NC{space}", f"N{space}C", f"C{space}", f"{space}C", f"N{space}", space]
    return [Reading(kernel=known, input=layout) for layout in partners if len(layout) == input_rank]


def _padding(
    settings: Settings, n: Shape, spans: Shape, stride: Shape, input_dilation: Shape
) -> tuple[tuple[Pair, ...], tuple[int, ...]]:
    """Padding pairs and output padding, in numbers."""
    rank = len(n)
    unsaid = "full" if settings.as_ in _PLAIN and not settings.transposed else "valid"
    padding = parse_padding(unsaid if settings.padding is None else settings.padding, rank)
    extra = numbers("--output-padding", settings.output_padding, rank, 0)
    if not settings.transposed:
        if isinstance(padding, str):
            dilated = [(size - 1) * r + 1 for size, r in zip(n, input_dilation, strict=True)]
            padding = tuple(
                word_pair(padding, size, span, s)
                for size, span, s in zip(dilated, spans, stride, strict=True)
            )
        return padding, extra
    if settings.output_size is not None and settings.output_padding is not None:
        raise ConvdiffError(
            "--output-size and --output-padding: expected one of them; the size settles the "
            "padding at the end"
        )
    full = [(size - 1) * s + span for size, s, span in zip(n, stride, spans, strict=True)]
    if settings.output_size is not None:
        return _to_size(
            padding, numbers("--output-size", settings.output_size, rank, 0), full, n, spans, stride
        )
    if not isinstance(padding, str):
        return padding, extra
    pairs, tails = [], []
    for size, span, s, whole, more in zip(n, spans, stride, full, extra, strict=True):
        wanted = (
            size * s
            if padding.startswith("same")
            else size * s + max(span - s, 0)
            if padding == "valid"
            else None
        )
        lo, hi = word_pair(padding, wanted or 0, span, s)
        pairs.append((lo, hi))
        tails.append(more + (wanted - (whole - lo - hi) if wanted is not None else 0))
    return tuple(pairs), tuple(tails)


def _to_size(
    padding: str | tuple[Pair, ...],
    wanted: Shape,
    full: list[int],
    n: Shape,
    spans: Shape,
    stride: Shape,
) -> tuple[tuple[Pair, ...], tuple[int, ...]]:
    """Padding for a transposed convolution whose output size was given; what is short of it is
    added at the end.
    """
    pairs, tails = [], []
    for axis, (y, whole) in enumerate(zip(wanted, full, strict=True)):
        if y < 1:
            raise ConvdiffError(f"--output-size: found {y}, expected at least 1")
        if isinstance(padding, str):
            if padding.startswith("same") and -(-y // stride[axis]) != n[axis]:
                raise ConvdiffError(
                    f"--output-size {y} with --padding {padding}: a stride of {stride[axis]} over "
                    f"{y} gives {-(-y // stride[axis])} "
                    f"positions, the input has {n[axis]}"
                )
            lo, hi = word_pair(padding, y, spans[axis], stride[axis])
        else:
            lo, hi = padding[axis]
        tail = y - (whole - lo - hi)
        if tail < 0:
            hi, tail = hi - tail, 0
        pairs.append((lo, hi))
        tails.append(tail)
    return tuple(pairs), tuple(tails)
