"""The layouts of input and kernel: as they were given, or inferred from the shapes.

A *reading* names the axes of both arrays: an input layout with a kernel layout. If both layouts are
given, that is the only reading. Otherwise:

1. `_tiers` lists the readings that match the arrays' numbers of axes and the layout that is given,
   if one is. The tiers, from likely to unlikely: the pairs that a framework means by default (NCHW
   with OIHW, NHWC with HWIO); plain spatial arrays without channels (HW with HW); mixtures of the
   default pairs (NCHW with HWIO); the given layout with each of its common partners; arrays of
   which one lacks axes that the other has (`_sparse_tiers`: a colour picture with a 2-D kernel).
2. `_channel_problem` says what disagrees in the channel counts under a reading, groups included. A
   reading without a problem fits.
3. The first tier in which a reading fits decides. If several fit in that tier, the shapes are
   ambiguous: an error that lists the options for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from convdiff.errors import ConvdiffError
from convdiff.spec.layout import AXES_OF_RANK, SPATIAL, axis_sizes, check_layout, spatial_axes
from convdiff.spec.settings import Settings

Shape = tuple[int, ...]

# Frameworks whose default layouts have the channels last.
CHANNELS_LAST = ("tensorflow", "keras")
# Libraries whose convolutions take arrays without batch and channel axes.
PLAIN_ARRAYS = ("numpy", "scipy")
# The most channels of a picture: with more, a last axis is taken for a spatial one.
MAX_PICTURE_CHANNELS = 4


class Reading(NamedTuple):
    """One way to name the axes of the two arrays."""

    input: str
    kernel: str

    def __str__(self) -> str:
        return f"{self.input} with {self.kernel}"


def with_items_apart(settings: Settings, input_shape: Shape, kernel_shape: Shape) -> Settings:
    """The settings with N for the C of given layouts, where a plain kernel meets a picture.

    Who says HWC of a picture and gives a 2-D kernel means each of its channels alone.
    """
    layout = (settings.input_layout or "").strip().upper()
    kernel_layout = (settings.kernel_layout or "").strip().upper()
    is_picture = (
        "C" in layout
        and "N" not in layout
        and len(layout) == len(input_shape) == len(kernel_shape) + 1
        and input_shape[layout.index("C")] > 1
        and not set(kernel_layout) - set(SPATIAL)
    )
    if not is_picture:
        return settings
    output_layout = settings.output_layout
    return replace(
        settings,
        input_layout=layout.replace("C", "N"),
        output_layout=output_layout and output_layout.upper().replace("C", "N"),
    )


def infer_layouts(
    input_shape: Shape, kernel_shape: Shape, settings: Settings
) -> tuple[Reading, list[str]]:
    """The reading of arrays of these shapes, and a note on what was inferred, if anything was.

    Raises ConvdiffError where no reading fits, or several do.
    """
    if settings.input_layout and settings.kernel_layout:
        return _given_reading(input_shape, kernel_shape, settings), []
    sparse = [[reading] for reading in _sparse_readings(input_shape, kernel_shape, settings)]
    rejected: list[str] = []
    for tier, readings in enumerate([*_tiers(input_shape, kernel_shape, settings), *sparse]):
        problems = {
            reading: _channel_problem(reading, input_shape, kernel_shape, settings)
            for reading in readings
        }
        fitting = [reading for reading, problem in problems.items() if problem is None]
        if len(fitting) == 1:
            by_default = tier == 0 and len(readings) > 1
            if readings in sparse:
                return fitting[0], [sparse_note(fitting[0], input_shape)]
            return fitting[0], [_note(fitting[0], by_default, settings)]
        if fitting:
            raise ConvdiffError(_ambiguous(input_shape, kernel_shape, fitting))
        rejected += [f"{reading}: {problem}" for reading, problem in problems.items()]
    raise ConvdiffError(_no_reading(input_shape, kernel_shape, settings, rejected))


def fitting_readings(input_shape: Shape, kernel_shape: Shape, settings: Settings) -> list[Reading]:
    """Every reading that fits the shapes and the given layouts, the likeliest first."""
    tiers = [
        *_tiers(input_shape, kernel_shape, settings),
        _sparse_readings(input_shape, kernel_shape, settings),
        _doubtful_readings(input_shape, kernel_shape, settings),
    ]
    readings = dict.fromkeys(reading for tier in tiers for reading in tier)
    return [
        reading
        for reading in readings
        if _channel_problem(reading, input_shape, kernel_shape, settings) is None
    ]


def number_of_groups(
    reading: Reading, input_shape: Shape, kernel_shape: Shape, settings: Settings
) -> int:
    """The groups that are asked for, or those that the channel counts imply."""
    channels, inner, _ = _channel_counts(reading, input_shape, kernel_shape)
    if "M" in reading.kernel or settings.depthwise:
        return channels
    if settings.groups is not None:
        return settings.groups
    if "I" not in reading.kernel and not settings.transposed:
        # Each channel has filters of its own.
        return channels
    return channels // inner if _groups_follow_shapes(settings) else 1


def _groups_follow_shapes(settings: Settings) -> bool:
    """Whether the framework derives the groups from the shapes, as C / I, and takes no number."""
    return (
        settings.as_ in CHANNELS_LAST
        and settings.groups is None
        and not settings.depthwise
        and not settings.transposed
    )


def _channel_counts(
    reading: Reading, input_shape: Shape, kernel_shape: Shape
) -> tuple[int, int, int]:
    """The sizes of C of the input and of I and O (or M) of the kernel; 1 for an absent axis."""
    x, w = axis_sizes(reading.input, input_shape), axis_sizes(reading.kernel, kernel_shape)
    return x.get("C", 1), w.get("I", 1), w.get("M", w.get("O", 1))


def _given_reading(input_shape: Shape, kernel_shape: Shape, settings: Settings) -> Reading:
    """The reading of a user who gave both layouts, checked against the shapes."""
    reading = Reading(
        check_layout(settings.input_layout or "", "input"),
        check_layout(settings.kernel_layout or "", "kernel"),
    )
    _check_rank(reading.input, input_shape, "input")
    _check_rank(reading.kernel, kernel_shape, "kernel")
    input_space, kernel_space = spatial_axes(reading.input), spatial_axes(reading.kernel)
    if sorted(input_space) != sorted(kernel_space):
        raise ConvdiffError(
            f"--input-layout {reading.input}, --kernel-layout {reading.kernel}: found the spatial "
            f"axes {input_space} and {kernel_space}, expected the same in both"
        )
    problem = _channel_problem(reading, input_shape, kernel_shape, settings)
    if problem:
        raise ConvdiffError(
            f"input {reading.input} {_dims(input_shape)} with kernel {reading.kernel} "
            f"{_dims(kernel_shape)}: {problem}"
        )
    return reading


def _check_rank(layout: str, shape: Shape, role: str) -> None:
    if len(layout) != len(shape):
        raise ConvdiffError(
            f"--{role}-layout {layout}: found {len(layout)} axes, expected {len(shape)}, as many "
            f"as the {role} {_dims(shape)} has"
        )


def _tiers(input_shape: Shape, kernel_shape: Shape, settings: Settings) -> list[list[Reading]]:
    """The readings to try, by tier, the likeliest tier first; no tier is empty."""
    rank = len(kernel_shape)
    usual: list[Reading] = []
    plain: list[Reading] = []
    mixed: list[Reading] = []
    if settings.as_ not in PLAIN_ARRAYS and rank - 2 in AXES_OF_RANK:
        usual, mixed = _readings_with_channels(AXES_OF_RANK[rank - 2], settings)
    if rank in AXES_OF_RANK:
        plain = [Reading(AXES_OF_RANK[rank], AXES_OF_RANK[rank])]
    tiers = [
        [
            reading
            for reading in _with_unbatched(readings)
            if _agrees_with_given(reading, settings)
            and len(reading.input) == len(input_shape)
            and len(reading.kernel) == len(kernel_shape)
        ]
        for readings in (usual, plain, mixed)
    ]
    if settings.input_layout:
        tiers.append(_readings_of_input_layout(settings.input_layout, input_shape, kernel_shape))
    elif settings.kernel_layout:
        tiers.append(_readings_of_kernel_layout(settings.kernel_layout, input_shape, kernel_shape))
    return [readings for readings in tiers if readings]


def _readings_with_channels(space: str, settings: Settings) -> tuple[list[Reading], list[Reading]]:
    """Readings with batch and channel axes: the frameworks' defaults, and mixtures of them."""
    first, last = f"NC{space}", f"N{space}C"
    if settings.transposed and settings.as_ == "jax":
        return [Reading(last, f"{space}IO")], []
    if settings.transposed:
        kernel_first, kernel_last = f"IO{space}", f"{space}OI"
    else:
        kernel_first, kernel_last = f"OI{space}", f"{space}IO"
    usual_first = Reading(first, kernel_first)
    usual_last = Reading(last, f"{space}IM" if settings.depthwise else kernel_last)
    if settings.as_:
        return [usual_last if settings.as_ in CHANNELS_LAST else usual_first], []
    mixed = [Reading(first, usual_last.kernel), Reading(last, kernel_first)]
    if not settings.transposed and not settings.depthwise:
        mixed.append(Reading(last, f"O{space}I"))
    return [usual_first, usual_last], mixed


def _sparse_readings(input_shape: Shape, kernel_shape: Shape, settings: Settings) -> list[Reading]:
    """Readings of arrays of which one lacks axes that the other has, the likeliest first.

    A plain kernel is slid over each item of an axis by itself, as OpenCV does with the channels of
    a picture: that axis is then the batch, so HWC is read as HWN. A plain input takes a kernel with
    channel axes of size 1, and the reverse. A kernel without the axis I has one filter, or several,
    for each channel; so it has for a plain input.
    """
    readings = [
        *_readings_of_plain_kernel(input_shape, kernel_shape),
        *_readings_of_plain_input(input_shape, kernel_shape, settings),
    ]
    if len(input_shape) != len(kernel_shape):
        readings += _readings_of_filters(input_shape, kernel_shape, settings)
    return _possible_readings(readings, input_shape, settings)


def _doubtful_readings(
    input_shape: Shape, kernel_shape: Shape, settings: Settings
) -> list[Reading]:
    """Readings that only an output can tell from forgotten groups or a wrong kernel.

    Pictures in a batch without channels, filters of the channels of one picture, and TensorFlow's
    depthwise kernels.
    """
    readings = [
        *_readings_of_plain_input(input_shape, kernel_shape, settings, batch="N"),
        *_readings_of_filters(input_shape, kernel_shape, settings),
        *_depthwise_readings(input_shape, kernel_shape, settings),
    ]
    return _possible_readings(readings, input_shape, settings)


def _possible_readings(
    readings: list[Reading], input_shape: Shape, settings: Settings
) -> list[Reading]:
    """Those that agree with the given layouts, and lack no axis of the input's size."""
    return [
        reading
        for reading in dict.fromkeys(readings)
        if _lacks_nothing(reading, input_shape) and _agrees_with_given(reading, settings)
    ]


def channel_layouts(input_shape: Shape, kernel_axes: int) -> list[str]:
    """The layouts of an input with channels, beside a kernel that has only its spatial axes."""
    space = AXES_OF_RANK.get(kernel_axes, "")
    if not space:
        return []
    layouts = [f"NC{space}", f"N{space}C", f"C{space}", f"{space}C"]
    if len(space) == 1:
        # The rows or the columns of a picture with channels last.
        layouts.append(f"{space}NC")
    return [layout for layout in layouts if len(layout) == len(input_shape)]


def _readings_of_plain_kernel(input_shape: Shape, kernel_shape: Shape) -> Iterator[Reading]:
    """Readings of a kernel without channel axes under an input with one or two axes more."""
    space = AXES_OF_RANK.get(len(kernel_shape), "")
    if space and len(input_shape) == len(space) + 1:
        first, last = Reading(f"N{space}", space), Reading(f"{space}N", space)
        items_are_last = _items_are_last(input_shape, kernel_shape)
        yield from (last, first) if items_are_last else (first, last)
    if space and len(input_shape) == len(space) + 2:
        for input in (f"NC{space}", f"N{space}C", f"CN{space}", f"C{space}N"):
            yield Reading(input, space)


def _readings_of_plain_input(
    input_shape: Shape, kernel_shape: Shape, settings: Settings, batch: str = ""
) -> Iterator[Reading]:
    """Readings of an input without a channel axis, of which the kernel has I of size 1."""
    space = AXES_OF_RANK.get(len(kernel_shape) - 2, "")
    if not space or settings.as_ in PLAIN_ARRAYS:
        return
    usual, mixed = _readings_with_channels(space, settings)
    if len(batch + space) == len(input_shape):
        # A kernel with one output channel too is a plain kernel with axes of size 1.
        yield from sorted(
            (Reading(batch + space, reading.kernel) for reading in usual + mixed),
            key=lambda reading: axis_sizes(reading.kernel, kernel_shape).get("O", 1),
        )


def _readings_of_filters(
    input_shape: Shape, kernel_shape: Shape, settings: Settings
) -> Iterator[Reading]:
    """Readings of a kernel that has the axis O without I: several filters, or one per channel."""
    space = AXES_OF_RANK.get(len(kernel_shape) - 1, "")
    if not 1 <= len(space) <= 2 or settings.transposed or settings.depthwise:
        return
    inputs = (f"NC{space}", f"N{space}C", f"C{space}", f"{space}C", space, f"N{space}")
    for input in inputs:
        if len(input) == len(input_shape):
            kernels = [f"O{space}", f"{space}O"]
            has_square_planes = len(set(kernel_shape[:-1])) == 1 < len(set(kernel_shape[1:]))
            last_first = input.endswith("C") or (len(space) > 1 and has_square_planes)
            for kernel in reversed(kernels) if last_first else kernels:
                # A column of weights beside a picture runs along the picture's columns.
                is_column = input == f"N{space}" and kernel.endswith("O") and kernel_shape[-1] == 1
                if not is_column:
                    yield Reading(input, kernel)


def _depthwise_readings(
    input_shape: Shape, kernel_shape: Shape, settings: Settings
) -> Iterator[Reading]:
    """The reading of TensorFlow's depthwise kernels, which look like those of all channels."""
    said = settings.groups is not None or settings.transposed or settings.depthwise
    space = AXES_OF_RANK.get(len(kernel_shape) - 2, "")
    if space and not said and settings.as_ is None and len(input_shape) == len(kernel_shape):
        yield Reading(f"N{space}C", f"{space}IM")


def _lacks_nothing(reading: Reading, input_shape: Shape) -> bool:
    """Whether a channel axis of the input, of which a plain kernel has none, has size 1."""
    return (
        bool({*"OM"} & {*reading.kernel}) or axis_sizes(reading.input, input_shape).get("C", 1) == 1
    )


def _items_are_last(input_shape: Shape, kernel_shape: Shape) -> bool:
    """Whether the last axis of an input with one axis more than the kernel counts its items.

    So it is for the channels of a picture, and where the kernel does not fit otherwise.
    """
    if len(kernel_shape) == 2 and input_shape[-1] <= MAX_PICTURE_CHANNELS < input_shape[0]:
        return True
    pairs = zip(input_shape[1:], kernel_shape, strict=True)
    return any(k > n for n, k in pairs) and all(
        k <= n for n, k in zip(input_shape[:-1], kernel_shape, strict=True)
    )


def _with_unbatched(readings: list[Reading]) -> list[Reading]:
    """The readings, and after them each without its batch axis."""
    unbatched = [
        Reading(reading.input.replace("N", ""), reading.kernel)
        for reading in readings
        if "N" in reading.input
    ]
    return readings + unbatched


def _agrees_with_given(reading: Reading, settings: Settings) -> bool:
    return all(
        given is None or check_layout(given, role) == layout
        for role, given, layout in (
            ("input", settings.input_layout, reading.input),
            ("kernel", settings.kernel_layout, reading.kernel),
        )
    )


def _readings_of_input_layout(
    layout: str, input_shape: Shape, kernel_shape: Shape
) -> list[Reading]:
    """A given input layout with every common kernel layout of as many axes as the kernel has."""
    layout = check_layout(layout, "input")
    _check_rank(layout, input_shape, "input")
    s = spatial_axes(layout)
    partners = [f"OI{s}", f"{s}IO", f"O{s}I", f"{s}OI", f"IO{s}", f"{s}IM"]
    partners += [f"O{s}", f"{s}O", f"I{s}", s]
    return [Reading(layout, kernel) for kernel in partners if len(kernel) == len(kernel_shape)]


def _readings_of_kernel_layout(
    layout: str, input_shape: Shape, kernel_shape: Shape
) -> list[Reading]:
    """A given kernel layout with every common input layout of as many axes as the input has."""
    layout = check_layout(layout, "kernel")
    _check_rank(layout, kernel_shape, "kernel")
    s = "".join(axis for axis in SPATIAL if axis in layout)
    partners = [f"NC{s}", f"N{s}C", f"C{s}", f"{s}C", f"N{s}", s]
    return [Reading(input, layout) for input in partners if len(input) == len(input_shape)]


def _channel_problem(
    reading: Reading, input_shape: Shape, kernel_shape: Shape, settings: Settings
) -> str | None:
    """What disagrees in the channel counts under this reading; None if they agree."""
    channels, inner, outer = _channel_counts(reading, input_shape, kernel_shape)
    if "M" in reading.kernel:
        if channels != inner:
            return f"the depthwise kernel {reading.kernel} has I {inner}, the input C {channels}"
        if settings.groups not in (None, channels):
            return f"--groups {settings.groups} with a depthwise kernel of {channels} channels"
        return None
    if _groups_follow_shapes(settings):
        if channels % inner:
            return f"C {channels} is not a multiple of I {inner}"
        groups = channels // inner
        if outer % groups:
            return f"{groups} groups (C {channels} / I {inner}) do not divide O {outer}"
        return None
    groups = number_of_groups(reading, input_shape, kernel_shape, settings)
    if settings.transposed:
        if channels != inner:
            return f"the input has C {channels}, the transposed kernel I {inner}"
        if channels % groups:
            return f"--groups {groups} does not divide C {channels}"
        return None
    if channels % groups or outer % groups:
        return f"--groups {groups} does not divide C {channels} and O {outer}"
    if channels != inner * groups:
        return _mismatch(channels, inner, outer, groups, settings)
    return None


def _mismatch(channels: int, inner: int, outer: int, groups: int, settings: Settings) -> str:
    """How C differs from I times the groups, and the number of groups that would fit."""
    problem = f"the input has C {channels}, the kernel I {inner}"
    if groups > 1:
        problem += f" x {groups} groups"
    if settings.groups is None and channels % inner == 0 and outer % (channels // inner) == 0:
        problem += f" (--groups {channels // inner} would fit)"
    return problem


def _note(reading: Reading, by_default: bool, settings: Settings) -> str:
    if settings.as_:
        reason = f"as {settings.as_} has them"
    else:
        reason = "by default" if by_default else "the only reading that fits"
    return f"read as input {reading.input}, kernel {reading.kernel} ({reason})"


def sparse_note(reading: Reading, input_shape: Shape) -> str:
    """How arrays were read of which one lacks axes of the other."""
    note = f"read as input {reading.input}, kernel {reading.kernel}"
    sizes = axis_sizes(reading.input, input_shape)
    if "I" not in reading.kernel and sizes.get("C", 1) > 1:
        return f"{note}: each of the {sizes['C']} channels has its own filter"
    items = sizes.get("N", 1)
    if items == 1:
        return f"{note} (the only reading that fits)"
    place = {0: "first", len(input_shape) - 1: "last"}.get(reading.input.index("N"), "second")
    return f"{note}: the kernel slides over each of the {items} items of the {place} axis alone"


def _ambiguous(input_shape: Shape, kernel_shape: Shape, fitting: list[Reading]) -> str:
    options = "; ".join(
        f"--input-layout {reading.input} --kernel-layout {reading.kernel}" for reading in fitting
    )
    return (
        f"input {_dims(input_shape)} with kernel {_dims(kernel_shape)} can be read in "
        f"{len(fitting)} ways: choose one with {options}"
    )


def _no_reading(
    input_shape: Shape, kernel_shape: Shape, settings: Settings, rejected: list[str]
) -> str:
    arrays = f"input {_dims(input_shape)} with kernel {_dims(kernel_shape)}"
    if rejected:
        reasons = "; ".join(list(dict.fromkeys(rejected))[:3])
        return (
            f"{arrays}: no layout fits: {reasons}; name the axes with --input-layout and "
            "--kernel-layout, or give --groups"
        )
    given = "".join(
        f" --{role}-layout {layout}"
        for role, layout in (("input", settings.input_layout), ("kernel", settings.kernel_layout))
        if layout
    )
    return (
        f"{arrays}: found {len(input_shape)} and {len(kernel_shape)} axes, which make no "
        f"convolution{' with' + given if given else ''}; expected as NCHW with OIHW (2-D), NCW "
        "with OIW (1-D), NCDHW with OIDHW (3-D), or plain W with W; name them with --input-layout "
        "and --kernel-layout"
    )


def _dims(shape: Shape) -> str:
    return str(tuple(map(int, shape)))
