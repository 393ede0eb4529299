"""Small pieces of Python source: tuples, keyword arguments, indices, transpositions.

Layouts and orders are strings of axis letters.  The digit 1 in an order is an axis of size 1 that
no layout names (of a 1-D convolution that is computed as a 2-D one).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair


def tuple_text(values: Sequence[object]) -> str:
    """`(2, 1)`, or `(2,)` for a single value; also of pairs."""
    return repr(tuple(values))


def number_or_tuple(values: Sequence[int]) -> str:
    """`2` where all values are 2, else `(2, 1)`."""
    return str(values[0]) if len(set(values)) == 1 else tuple_text(values)


def keyword(name: str, values: Sequence[int], default: int, *, whole: bool = False) -> str | None:
    """`name=2` or `name=(2, 1)`; None where all values are the default.

    `whole`: always a tuple.
    """
    if set(values) == {default}:
        return None
    return f"{name}={tuple_text(values) if whole else number_or_tuple(values)}"


def list_text(pairs: Sequence[Pair]) -> str:
    """`[[0, 0], [1, 1]]`."""
    return repr([list(pair) for pair in pairs])


def index_text(order: str, picks: Mapping[str, str]) -> str:
    """`[:, 1:8]`: an index of an array in `order`, with the given slices by axis, else everything.

    "" where `picks` is empty.
    """
    parts = [picks.get(letter, ":") for letter in order]
    while parts and parts[-1] == ":":
        parts.pop()
    return f"[{', '.join(parts)}]" if parts else ""


def _absent_axes_index(order: str, absent: Sequence[bool], entry: str) -> str:
    """An index with `entry` at the absent axes: `[None]`, `[None, ..., None]`, `[:, None]`."""
    if not any(absent):
        return ""
    lead = absent.index(False)
    tail = list(reversed(absent)).index(False)
    if tail and lead + tail == sum(absent):
        return f"[{', '.join([entry] * lead + ['...'] + [entry] * tail)}]"
    return index_text(
        order, {letter: entry for letter, missing in zip(order, absent, strict=True) if missing}
    )


def to_order(name: str, layout: str, order: str, permute: str = "transpose") -> str:
    """The array `name` in `layout`, brought to `order`; axes that the layout lacks are added."""
    axes = [layout.index(letter) for letter in order if letter in layout]
    if axes != sorted(axes):
        name = f"{name}.{permute}({', '.join(map(str, axes))})"
    return name + _absent_axes_index(order, [letter not in layout for letter in order], "None")


def to_layout(name: str, order: str, layout: str, permute: str = "transpose") -> str:
    """The inverse of `to_order`: the array `name` in `order`, brought to `layout`."""
    name += _absent_axes_index(order, [letter not in layout for letter in order], "0")
    kept = [letter for letter in order if letter in layout]
    axes = [kept.index(letter) for letter in layout]
    return name if axes == sorted(axes) else f"{name}.{permute}({', '.join(map(str, axes))})"


def assumed_layout(layout: str, order: str) -> str:
    """The layout that unaligned code takes an array to have: the axes of `layout`, in `order`."""
    return "".join(letter for letter in order if letter in layout.replace("M", "O"))


def to_order_unpermuted(name: str, layout: str, order: str) -> str:
    """The array `name` as unaligned code passes it on: lacking axes are added, none are moved."""
    return to_order(name, assumed_layout(layout, order), order)


def misread_notes(spec: ConvSpec, order: str, kernel_order: str) -> Iterator[str]:
    """A note for each array whose `assumed_layout` is not its own: "input NCHW read as NHWC"."""
    for role, layout, expected in (
        ("input", spec.input_layout, order),
        ("kernel", spec.kernel_layout, kernel_order),
    ):
        if is_permuted(layout.replace("M", "O"), expected):
            yield f"{role} {layout} read as {assumed_layout(layout, expected)}"


def is_permuted(layout: str, order: str) -> bool:
    """Whether the axes of `layout` are in another sequence than in `order`."""
    return layout != "".join(letter for letter in order if letter in layout)


def broadcast_channels(name: str, order: str) -> str:
    """The 1-D array `name`, shaped to broadcast along C of `order`: `bias[:, None, None]`."""
    after = len(order) - 1 - order.index("C") if "C" in order else 0
    return f"{name}[:{', None' * after}]" if after else name


def axes_to_flip(spec: ConvSpec) -> str:
    """The kernel's spatial axes that a flip changes: those longer than 1."""
    return "".join(axis for axis, k in zip(spec.axes, spec.kernel_size, strict=True) if k > 1)


def reversal_index(order: str, axes: str) -> str:
    """`[::-1, ::-1]`: an index that reverses `axes` of an array in `order`."""
    return index_text(order, dict.fromkeys(axes, "::-1"))
