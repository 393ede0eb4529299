"""The convolutions that someone may have meant who left padding, layouts or stride open.

`other_questions` lists them, the likeliest first; each has the options that ask for it. Those that
also need a stride, a dilation or --transposed are listed apart, since they are many. Which one was
meant is told by a saved output: see `convdiff.verdict.infer_question`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from convdiff.errors import ConvdiffError
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.infer_layouts import PLAIN_ARRAYS, Shape, fitting_readings
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.layout import spatial_axes
from convdiff.spec.padding import kernel_span, word_pair
from convdiff.spec.settings import Settings

Options = dict[str, object]
# A convolution, with the options that ask for it beside those that were given.
Question = tuple[ConvSpec, Options]

# Padding words that set the output's size, the likeliest first.
SIZING_WORDS = ("same", "full", "valid")
# Words that are tried after the paddings in numbers, which more people know.
RARE_WORDS = ("same_lower", "half")
# The widest padding in numbers that is tried.
MAX_PADDING = 8
# Strides and dilations that are tried for an output smaller than without any, and the paddings.
STRIDES, DILATIONS = range(2, 9), range(2, 5)
STRIDED_PADDINGS: tuple[object, ...] = ("same", "valid", 1, 2, 3, "full", "half")


class Shapes(NamedTuple):
    """What is known of the arrays: the shapes of input and kernel, a bias, the type."""

    input: Shape
    kernel: Shape
    bias: bool
    dtype: str


def other_questions(shapes: Shapes, settings: Settings) -> Iterator[Question]:
    """Convolutions that `settings` leave room for, each with the options that it adds to them.

    By what has to be supplied: a padding; layouts; both; groups; and `transposed` only where the
    arrays make no direct convolution.
    """
    direct = _readings(shapes, settings)
    paddings = _paddings(settings)
    tried: list[Options] = [{**layouts, **padding} for layouts in direct for padding in paddings]
    for groups in _possible_groups(shapes, settings):
        grouped = _readings(shapes, replace(settings, groups=groups))
        tried += [
            {"groups": groups, **layouts, **padding}
            for layouts, padding in itertools.product(grouped, paddings)
        ]
    yield from _questions(shapes, settings, tried)
    if not direct:
        yield from transposed_questions(shapes, settings)


def transposed_questions(shapes: Shapes, settings: Settings) -> Iterator[Question]:
    """As `other_questions`, for someone who left out `transposed`."""
    if settings.transposed or settings.as_ in PLAIN_ARRAYS:
        return
    tried: list[Options] = []
    readings = _readings(shapes, replace(settings, transposed=True))
    for layouts, padding in itertools.product(readings, _paddings(settings)):
        tried += [
            {"transposed": True, **layouts, **padding, **tail}
            for tail in _output_paddings(settings, padding)
        ]
    yield from _questions(shapes, settings, tried)


def strided_questions(
    shapes: Shapes, output_shape: Shape, settings: Settings
) -> Iterator[Question]:
    """As `other_questions`, with a stride or a dilation that gives the output's spatial sizes.

    Where neither is said, nor the padding.  Axes may have different strides; `output_shape` may
    lack axes of size 1.
    """
    said = (settings.stride, settings.dilation, settings.padding, settings.output_size)
    if any(value is not None for value in said):
        return
    tried: list[Options] = []
    for transposed in dict.fromkeys((settings.transposed, True)):
        given: Options = {} if transposed == settings.transposed else {"transposed": True}
        for layouts in _readings(shapes, replace(settings, transposed=transposed)):
            read = replace(settings, **given, **layouts)  # type: ignore[arg-type]
            tried += [{**given, **layouts, **steps} for steps in _steps(shapes, output_shape, read)]
    yield from _questions(shapes, settings, tried)


def _questions(shapes: Shapes, settings: Settings, tried: list[Options]) -> Iterator[Question]:
    """Those of the options that make a convolution; what the settings say stays as it is said."""
    for options in tried:
        changed = replace(settings, **options)  # type: ignore[arg-type]
        try:
            spec, _ = read_spec(
                shapes.input, shapes.kernel, changed, bias=shapes.bias, dtype=shapes.dtype
            )
        except ConvdiffError:
            continue
        yield spec, options


def _paddings(settings: Settings) -> list[Options]:
    """No padding, and those that may be meant where none is said, the likeliest first."""
    paddings: list[Options] = [{}]
    if settings.padding is None and settings.output_size is None:
        paddings += [{"padding": word} for word in SIZING_WORDS]
        paddings += [{"padding": width} for width in range(1, MAX_PADDING + 1)]
        paddings += [{"padding": word} for word in RARE_WORDS]
    return paddings


def _steps(shapes: Shapes, output_shape: Shape, settings: Settings) -> Iterator[Options]:
    """Strides with paddings, then dilations, that give the sizes; both layouts are given."""
    # With this padding no output is empty.
    read = settings if settings.transposed else replace(settings, padding="full")
    try:
        spec, _ = read_spec(shapes.input, shapes.kernel, read, bias=False, dtype=shapes.dtype)
    except ConvdiffError:
        return
    sizes = _spatial_sizes(output_shape, spec)
    if sizes is None:
        return
    axes = list(zip(spec.input_size, spec.kernel_size, sizes, strict=True))
    if settings.transposed:
        yield from _transposed_steps(axes)
        return
    for padding in STRIDED_PADDINGS:
        fitting = [[s for s in (1, *STRIDES) if _size(n, k, s, padding) == m] for n, k, m in axes]
        for strides in _uniform_first(fitting):
            yield {"stride": strides, **({} if padding == "valid" else {"padding": padding})}
    for dilation, width in itertools.product(DILATIONS, range(3)):
        if all(n + 2 * width - kernel_span(k, dilation) + 1 == m for n, k, m in axes):
            yield {"dilation": dilation, **({"padding": width} if width else {})}


def _transposed_steps(axes: list[tuple[int, int, int]]) -> Iterator[Options]:
    """Strides of a transposed convolution; `axes` are (input, kernel, output) sizes."""
    fitting = [[s for s in STRIDES if n * s == m] for n, _, m in axes]
    for strides in _uniform_first(fitting):
        yield {"stride": strides, "padding": "same"}
    for padding, tail in itertools.product(range(4), (0, 1)):
        fitting = [
            [s for s in STRIDES if (n - 1) * s + k - 2 * padding + tail == m and tail < s]
            for n, k, m in axes
        ]
        for strides in _uniform_first(fitting):
            options: Options = {
                "stride": strides,
                "padding": padding,
                "output_padding": tail,
            }
            yield {name: value for name, value in options.items() if value != 0}


def _uniform_first(fitting: list[list[int]]) -> Iterator[object]:
    """The strides that fit every axis; if there are none, the smallest of each axis."""
    uniform = [s for s in fitting[0] if s > 1 and all(s in strides for strides in fitting)]
    yield from uniform
    if not uniform and all(fitting):
        smallest = [strides[0] for strides in fitting]
        if max(smallest) > 1:
            yield ",".join(map(str, smallest))


def _size(n: int, k: int, stride: int, padding: object) -> int:
    """The size of the output along one axis."""
    pads = (padding, padding) if isinstance(padding, int) else word_pair(str(padding), n, k, stride)
    return (n + sum(pads) - k) // stride + 1


def _spatial_sizes(output_shape: Shape, spec: ConvSpec) -> Shape | None:
    """The spatial sizes of an output in this spec's layout, which may lack axes of size 1.

    None where its other sizes are not the spec's.
    """
    others = {"N": spec.batch, "C": spec.out_channels}
    unit = "".join(letter for letter, size in others.items() if size == 1)
    for lacking in ("", *unit, *([unit] if len(unit) > 1 else [])):
        layout = "".join(letter for letter in spec.output_layout if letter not in lacking)
        if len(layout) != len(output_shape):
            continue
        sizes = dict(zip(layout, output_shape, strict=True))
        if all(sizes.get(letter, 1) == size for letter, size in others.items()):
            return tuple(sizes[axis] for axis in spec.axes)
    return None


def _readings(shapes: Shapes, settings: Settings) -> list[Options]:
    """The layouts that fit, as options; no options where both layouts are given."""
    if settings.input_layout and settings.kernel_layout:
        return [{}]
    try:
        readings = fitting_readings(shapes.input, shapes.kernel, settings)
    except ConvdiffError:
        return []
    options: list[Options] = []
    for reading in readings:
        layouts: Options = {"input_layout": reading.input, "kernel_layout": reading.kernel}
        options.append(layouts)
        if "C" not in reading.input and "O" in reading.kernel and settings.output_layout is None:
            # Such an output may have its channels first or last, whatever the kernel has.
            batch, space = ("N" if "N" in reading.input else ""), spatial_axes(reading.input)
            options += [
                {**layouts, "output_layout": output}
                for output in (f"{batch}C{space}", f"{batch}{space}C")
            ]
    return options


def _possible_groups(shapes: Shapes, settings: Settings) -> list[int]:
    """The numbers of groups above 1 that may be implied by the shapes, where none is given."""
    given = settings.groups is not None or settings.depthwise or settings.transposed
    if given or settings.as_ in PLAIN_ARRAYS or len(shapes.kernel) < 3:
        return []
    pairs = itertools.product(shapes.input, shapes.kernel)
    return sorted({n // k for n, k in pairs if k and n % k == 0 and n > k})


def _output_paddings(settings: Settings, padding: Options) -> list[Options]:
    """No output padding, and that of 1 where padding in numbers leaves the output's end open."""
    if settings.output_padding is not None or not isinstance(padding.get("padding"), int):
        return [{}]
    return [{}, {"output_padding": 1}]
