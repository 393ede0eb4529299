"""The convolutions that someone may have meant who left padding, layouts or --transposed open.

`other_questions` lists them, the likeliest first; each has the options that ask for it. Which one
was meant is told by a saved output: see `convdiff.verdict.infer_question`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

from convdiff.errors import ConvdiffError
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.infer_layouts import PLAIN_ARRAYS, Shape, fitting_readings
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings

# Padding words that set the output's size, the likeliest first.
SIZING_WORDS = ("same", "full", "valid")
# Words that are tried after the paddings in numbers, which more people know.
RARE_WORDS = ("same_lower", "half")
# The widest padding in numbers that is tried.
MAX_PADDING = 8


def other_questions(
    input_shape: Shape, kernel_shape: Shape, settings: Settings, *, bias: bool, dtype: str
) -> Iterator[tuple[ConvSpec, dict[str, object]]]:
    """Convolutions that `settings` leave room for, each with the options that it adds to them.

    By what has to be supplied: a padding; layouts; both; groups; and `transposed` only where the
    arrays make no direct convolution.
    """
    direct = _readings(input_shape, kernel_shape, settings)
    paddings: list[dict[str, object]] = [{}]
    if settings.padding is None and settings.output_size is None:
        paddings += [{"padding": word} for word in SIZING_WORDS]
        paddings += [{"padding": width} for width in range(1, MAX_PADDING + 1)]
        paddings += [{"padding": word} for word in RARE_WORDS]
    tried: list[dict[str, object]] = [
        {**layouts, **padding} for layouts in direct for padding in paddings
    ]
    for groups in _possible_groups(input_shape, kernel_shape, settings):
        grouped = _readings(input_shape, kernel_shape, replace(settings, groups=groups))
        tried += [
            {"groups": groups, **layouts, **padding}
            for layouts, padding in itertools.product(grouped, paddings)
        ]
    if not (direct or settings.transposed or settings.as_ in PLAIN_ARRAYS):
        transposed = replace(settings, transposed=True)
        for layouts, padding in itertools.product(
            _readings(input_shape, kernel_shape, transposed), paddings
        ):
            tried += [
                {"transposed": True, **layouts, **padding, **tail}
                for tail in _output_paddings(settings, padding)
            ]
    for options in tried:
        # What the settings say stays as it is said.
        changed = replace(settings, **options)  # type: ignore[arg-type]
        try:
            spec, _ = read_spec(input_shape, kernel_shape, changed, bias=bias, dtype=dtype)
        except ConvdiffError:
            continue
        yield spec, options


def _readings(
    input_shape: Shape, kernel_shape: Shape, settings: Settings
) -> list[dict[str, object]]:
    """The layouts that fit, as options; no options where both layouts are given."""
    if settings.input_layout and settings.kernel_layout:
        return [{}]
    try:
        readings = fitting_readings(input_shape, kernel_shape, settings)
    except ConvdiffError:
        return []
    return [
        {"input_layout": reading.input, "kernel_layout": reading.kernel} for reading in readings
    ]


def _possible_groups(input_shape: Shape, kernel_shape: Shape, settings: Settings) -> list[int]:
    """The numbers of groups above 1 that may be implied by the shapes, where none is given."""
    given = settings.groups is not None or settings.depthwise or settings.transposed
    if given or settings.as_ in PLAIN_ARRAYS or len(kernel_shape) < 3:
        return []
    pairs = itertools.product(input_shape, kernel_shape)
    return sorted({n // k for n, k in pairs if k and n % k == 0 and n > k})


def _output_paddings(settings: Settings, padding: dict[str, object]) -> list[dict[str, object]]:
    """No output padding, and that of 1 where padding in numbers leaves the output's end open."""
    if settings.output_padding is not None or not isinstance(padding.get("padding"), int):
        return [{}]
    return [{}, {"output_padding": 1}]
