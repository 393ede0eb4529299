"""Which axis is which, from what the taps read."""

from __future__ import annotations

from dataclasses import dataclass

from convdiff.probe.gather import Gather
from convdiff.probe.shapes import ShapeForm
from convdiff.spec.layout import AXES_OF_RANK, SPATIAL


class Unclear(Exception):
    """The answers are not those of a convolution, or of none that can be said here; the message
    tells why, in one phrase.
    """


class Settled(Unclear):
    """As `Unclear`, where no other shapes would show more."""


@dataclass(frozen=True)
class Space:
    """A spatial axis: its place in the input, the output and the kernel."""

    input: int
    output: int
    kernel: int


@dataclass(frozen=True)
class Roles:
    """Layouts, and the spatial axes in the order of the input's.  `supposed` are letters that rest
    on a guess: axes of size 1.
    """

    input_layout: str
    kernel_layout: str
    output_layout: str
    space: tuple[Space, ...]
    supposed: frozenset[str]


def roles(
    form: ShapeForm, base: Gather, steps: dict[int, Gather], output_shape: tuple[int, ...]
) -> Roles:
    """The roles of all axes, from the first tap and those one step from it along each kernel axis
    longer than 1.
    """
    if base.empty or any(step.empty for step in steps.values()):
        raise Unclear("some elements of the kernel reach no output")
    pairs = _pairs(form, base, output_shape)
    channel_in = [a for a, n in enumerate(form.input_shape) if n > 1 and a not in pairs]
    channel_out = [q for q, n in enumerate(output_shape) if n > 1 and q not in pairs.values()]
    if len(channel_in) > 1 or len(channel_out) > 1:
        raise Unclear("one element of the kernel meets a single position along several axes")
    kernel: dict[int, str] = {}
    spaces: dict[int, int] = {}
    for axis, step in steps.items():
        kernel[axis] = _kernel_role(base, step, pairs, channel_in, channel_out, spaces, axis)
    _supposed_space(form, pairs, spaces, kernel)
    if not 1 <= len(spaces) <= 3:
        raise Unclear(f"the kernel slides along {len(spaces)} axes, expected 1 to 3")
    supposed: set[str] = set()
    letters = AXES_OF_RANK[len(spaces)]
    space = tuple(Space(a, pairs[a], spaces[a]) for a in sorted(spaces))
    names_in = dict(zip(sorted(spaces), letters, strict=True)) | dict.fromkeys(channel_in, "C")
    batches = [a for a in pairs if a not in spaces]
    if len(batches) > 1:
        raise Unclear(
            "the same kernel goes over several axes that it has none for, more than a batch axis"
        )
    names_in |= dict.fromkeys(batches, "N")
    _fill(names_in, form.input_layout, "NC", supposed)
    names_out = {pairs[a]: letter for a, letter in names_in.items() if a in pairs} | dict.fromkeys(
        channel_out, "C"
    )
    if len(output_shape) > len(names_out):
        _fill_output(names_out, [names_in[a] for a in sorted(names_in)], output_shape, supposed)
    names_kernel = {axis: role for axis, role in kernel.items() if role in "OIM"}
    names_kernel |= {one.kernel: letter for one, letter in zip(space, letters, strict=True)}
    _fill(names_kernel, form.kernel_layout, "IO", supposed)
    made = [
        "".join(names[at] for at in sorted(names)) for names in (names_in, names_kernel, names_out)
    ]
    if any(len(set(layout)) < len(layout) for layout in made) or len(made[1]) != len(
        form.kernel_shape
    ):
        raise Unclear("its axes cannot be told apart")
    return Roles(made[0], made[1], made[2], space, frozenset(supposed))


def _pairs(form: ShapeForm, base: Gather, output_shape: tuple[int, ...]) -> dict[int, int]:
    """The output axis that each input axis moves with."""
    pairs: dict[int, int] = {}
    for a, n in enumerate(form.input_shape):
        if n == 1 or base.constant("inputs", a) is not None:
            continue
        movers = [
            q
            for q in range(len(output_shape))
            if base.along(q, a) is not None and q not in pairs.values()
        ]
        if not movers:
            raise Unclear("one element of the kernel reads the input in no regular pattern")
        pairs[a] = movers[0]
    return pairs


def _kernel_role(
    base: Gather,
    step: Gather,
    pairs: dict[int, int],
    channel_in: list[int],
    channel_out: list[int],
    spaces: dict[int, int],
    axis: int,
) -> str:
    moved = [a for a, q in pairs.items() if base.along(q, a) != step.along(q, a)]
    into = bool(channel_in) and base.constant("inputs", channel_in[0]) != step.constant(
        "inputs", channel_in[0]
    )
    out = bool(channel_out) and base.constant("outputs", channel_out[0]) != step.constant(
        "outputs", channel_out[0]
    )
    if len(moved) == 1 and not into and not out and moved[0] not in spaces:
        spaces[moved[0]] = axis
        return "space"
    if moved or not (into or out):
        raise Unclear("elements of the kernel do not move along one axis each")
    # Along O the groups change only after several steps; I that moves the output too is a depthwise
    # kernel's.
    return "I" if into else "O"


def _supposed_space(
    form: ShapeForm, pairs: dict[int, int], spaces: dict[int, int], kernel: dict[int, str]
) -> None:
    """Kernel axes of size 1 that the form has along space: the axis they slide along shows in
    nothing else.
    """
    for axis, letter in enumerate(form.kernel_layout):
        if letter in SPATIAL and axis not in kernel and form.kernel_shape[axis] == 1:
            place = form.input_layout.index(letter)
            if place in pairs and place not in spaces:
                spaces[place], kernel[axis] = axis, "space"


def _fill(names: dict[int, str], layout: str, allowed: str, supposed: set[str]) -> None:
    """Name the axes that show nothing as the form does, if that letter is free, else by the letter
    that is.
    """
    for at, letter in enumerate(layout):
        if at not in names:
            free = [one for one in allowed if one not in names.values()]
            if not free:
                raise Unclear("it has more axes than a convolution here")
            names[at] = letter if letter in free else free[0]
            supposed.add(names[at])


def _fill_output(
    names: dict[int, str], order: list[str], shape: tuple[int, ...], supposed: set[str]
) -> None:
    spare = "NC" if len(shape) - len(names) > 1 else "CN"
    left = [
        letter
        for letter in [*order, *(one for one in spare if one not in order)]
        if letter not in names.values()
    ]
    for at in range(len(shape)):
        if at not in names:
            if not left:
                raise Unclear("its output has more axes than a convolution's here")
            names[at] = left.pop(0)
            supposed.add(names[at])
