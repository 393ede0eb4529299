"""Which axis of the three arrays is which, from what the elements of the kernel read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from convdiff.probe.errors import NotUnderstood
from convdiff.probe.read_map import ReadMap
from convdiff.probe.shape_guesses import ShapeGuess
from convdiff.spec.layout import AXES_OF_RANK, SPATIAL

# The letter of each axis, by its index.
Letters = dict[int, str]


@dataclass(frozen=True)
class SpatialAxis:
    """A spatial axis: its index in the input, in the output and in the kernel."""

    input: int
    output: int
    kernel: int


@dataclass(frozen=True)
class AxisRoles:
    """The layouts, and the spatial axes in the order of the input layout.

    `assumed` are the letters of axes of size 1, which no answer shows.
    """

    input_layout: str
    kernel_layout: str
    output_layout: str
    space: tuple[SpatialAxis, ...]
    assumed: frozenset[str]


@dataclass(frozen=True)
class _Matches:
    """What the answers show of the axes, by index.

    `output_of_input` and `kernel_of_input` are the output axis and the kernel axis that go with an
    input axis; the second has the spatial axes only. `kernel_channels` are the kernel axes along
    which a step changes a channel, with their letters.
    """

    output_of_input: dict[int, int]
    kernel_of_input: dict[int, int]
    kernel_channels: Letters
    input_channel: int | None
    output_channel: int | None


def axis_roles(
    guess: ShapeGuess,
    origin: ReadMap,
    steps: dict[int, ReadMap],
    output_shape: tuple[int, ...],
) -> AxisRoles:
    """The role of every axis.

    `origin` is the read map of the kernel element at index 0 of every axis, `steps[axis]` that of
    the element at index 1 of a kernel axis longer than 1. Raises NotUnderstood where they fit no
    convolution.
    """
    if origin.empty or any(step.empty for step in steps.values()):
        raise NotUnderstood("some elements of the kernel reach no output")
    return _named(guess, _matches(guess, origin, steps, output_shape), output_shape)


def _matches(
    guess: ShapeGuess,
    origin: ReadMap,
    steps: dict[int, ReadMap],
    output_shape: tuple[int, ...],
) -> _Matches:
    output_of_input = _paired_axes(guess, origin, output_shape)
    input_channel = _channel_axis(guess.input_shape, output_of_input.keys())
    output_channel = _channel_axis(output_shape, output_of_input.values())
    kernel_channels: Letters = {}
    kernel_of_input: dict[int, int] = {}
    for axis, step in steps.items():
        moved = _moved_by_step(origin, step, output_of_input, input_channel, output_channel)
        if isinstance(moved, str):
            kernel_channels[axis] = moved
        elif moved not in kernel_of_input:
            kernel_of_input[moved] = axis
        else:
            raise NotUnderstood("elements of the kernel do not move along one axis each")
    kernel_of_input |= _assumed_spatial_axes(
        guess, output_of_input, kernel_of_input, kernel_channels
    )
    if not 1 <= len(kernel_of_input) <= 3:
        raise NotUnderstood(f"the kernel slides along {len(kernel_of_input)} axes, expected 1 to 3")
    return _Matches(
        output_of_input, kernel_of_input, kernel_channels, input_channel, output_channel
    )


def _named(guess: ShapeGuess, matches: _Matches, output_shape: tuple[int, ...]) -> AxisRoles:
    """The layouts that the matches amount to, completed by the letters of the guess."""
    space = tuple(
        SpatialAxis(axis, matches.output_of_input[axis], matches.kernel_of_input[axis])
        for axis in sorted(matches.kernel_of_input)
    )
    names = AXES_OF_RANK[len(space)]
    shown_input = _input_letters(space, matches)
    input_letters = _with_assumed(shown_input, guess.input_layout, "NC")
    shown_output = {
        matches.output_of_input[axis]: letter
        for axis, letter in input_letters.items()
        if axis in matches.output_of_input
    }
    if matches.output_channel is not None:
        shown_output[matches.output_channel] = "C"
    output_letters = _with_assumed_output(shown_output, input_letters, output_shape)
    shown_kernel = {
        **matches.kernel_channels,
        **{axis.kernel: name for axis, name in zip(space, names, strict=True)},
    }
    kernel_letters = _with_assumed(shown_kernel, guess.kernel_layout, "IO")
    input_layout, kernel_layout, output_layout = layouts = [
        "".join(letters[axis] for axis in sorted(letters))
        for letters in (input_letters, kernel_letters, output_letters)
    ]
    if any(len(set(layout)) < len(layout) for layout in layouts) or len(kernel_layout) != len(
        guess.kernel_shape
    ):
        raise NotUnderstood("its axes cannot be told apart")
    assumed = {
        letters[axis]
        for shown, letters in (
            (shown_input, input_letters),
            (shown_kernel, kernel_letters),
            (shown_output, output_letters),
        )
        for axis in letters.keys() - shown.keys()
    }
    return AxisRoles(input_layout, kernel_layout, output_layout, space, frozenset(assumed))


def _paired_axes(
    guess: ShapeGuess, origin: ReadMap, output_shape: tuple[int, ...]
) -> dict[int, int]:
    """For each input axis that one kernel element moves along: the output axis it moves with."""
    output_of_input: dict[int, int] = {}
    for axis, n in enumerate(guess.input_shape):
        if n == 1 or origin.input_position(axis) is not None:
            continue
        candidates = [
            output_axis
            for output_axis in range(len(output_shape))
            if origin.along(output_axis, axis) is not None
            and output_axis not in output_of_input.values()
        ]
        if not candidates:
            raise NotUnderstood("one element of the kernel reads the input in no regular pattern")
        output_of_input[axis] = candidates[0]
    return output_of_input


def _channel_axis(shape: tuple[int, ...], paired: Collection[int]) -> int | None:
    """The one axis longer than 1 that is not paired; None if there is none."""
    axes = [axis for axis, n in enumerate(shape) if n > 1 and axis not in paired]
    if len(axes) > 1:
        raise NotUnderstood("one element of the kernel meets a single position along several axes")
    return axes[0] if axes else None


def _moved_by_step(
    origin: ReadMap,
    step: ReadMap,
    output_of_input: dict[int, int],
    input_channel: int | None,
    output_channel: int | None,
) -> int | str:
    """What one step along a kernel axis changes: the position along an input axis, or a channel.

    Returns the index of that input axis, or the letter I or O.
    """
    moved = [
        input_axis
        for input_axis, output_axis in output_of_input.items()
        if origin.along(output_axis, input_axis) != step.along(output_axis, input_axis)
    ]
    input_changes = input_channel is not None and (
        origin.input_position(input_channel) != step.input_position(input_channel)
    )
    output_changes = output_channel is not None and (
        origin.output_position(output_channel) != step.output_position(output_channel)
    )
    if len(moved) == 1 and not input_changes and not output_changes:
        return moved[0]
    if moved or not (input_changes or output_changes):
        raise NotUnderstood("elements of the kernel do not move along one axis each")
    # A step along O changes the group, and with it the input channel, only after several steps; if
    # a step along I changes the output channel too, the kernel is depthwise.
    return "I" if input_changes else "O"


def _assumed_spatial_axes(
    guess: ShapeGuess,
    output_of_input: dict[int, int],
    kernel_of_input: dict[int, int],
    kernel_channels: Letters,
) -> dict[int, int]:
    """Kernel axes of size 1 that are spatial in the guess, by the input axis they slide along.

    No answer shows which input axis that is.
    """
    assumed: dict[int, int] = {}
    for axis, letter in enumerate(guess.kernel_layout):
        unknown = axis not in kernel_channels and axis not in kernel_of_input.values()
        if letter in SPATIAL and unknown and guess.kernel_shape[axis] == 1:
            input_axis = guess.input_layout.index(letter)
            if input_axis in output_of_input and input_axis not in kernel_of_input:
                assumed[input_axis] = axis
    return assumed


def _input_letters(space: tuple[SpatialAxis, ...], matches: _Matches) -> Letters:
    """The letters of the input axes that the answers show."""
    names = AXES_OF_RANK[len(space)]
    letters = {axis.input: name for axis, name in zip(space, names, strict=True)}
    if matches.input_channel is not None:
        letters[matches.input_channel] = "C"
    batch = [axis for axis in matches.output_of_input if axis not in letters]
    if len(batch) > 1:
        raise NotUnderstood(
            f"the same kernel goes over {len(batch)} axes that it does not have itself, expected a "
            "batch axis at most"
        )
    return letters | dict.fromkeys(batch, "N")


def _with_assumed(letters: Letters, layout: str, channels: str) -> Letters:
    """`letters` with every axis of the guess's `layout`.

    An axis whose letter no answer shows gets the guess's if that is a free one of `channels`, else
    the first free one.
    """
    complete = dict(letters)
    for axis, letter in enumerate(layout):
        if axis not in complete:
            free = [channel for channel in channels if channel not in complete.values()]
            if not free:
                raise NotUnderstood("it has more axes than a convolution")
            complete[axis] = letter if letter in free else free[0]
    return complete


def _with_assumed_output(
    letters: Letters, input_letters: Letters, shape: tuple[int, ...]
) -> Letters:
    """`letters` with every axis of the output: the input's letters in their order, then N and C."""
    complete = dict(letters)
    if len(shape) <= len(letters):
        return complete
    order = [input_letters[axis] for axis in sorted(input_letters)]
    order += "NC" if len(shape) - len(letters) > 1 else "CN"
    free = [letter for letter in dict.fromkeys(order) if letter not in letters.values()]
    for axis in range(len(shape)):
        if axis not in complete:
            if not free:
                raise NotUnderstood("its output has more axes than that of a convolution")
            complete[axis] = free.pop(0)
    return complete
